/*
 * Large values that come from other nodes: their files have names that this
 * node did not choose, and are there before the records or not at all.
 */
#include "storage/commit.h"

#include "storage/large_orphans.h"
#include "tests/storage/large_value.h"
#include "tests/support/large_files.h"
#include "tests/storage/replica_check.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { SIZE = 100000, CLUSTER = 9, PATIENCE_MS = 10000 };

static const struct store_replication replication = {4, CLUSTER};

static struct node node;
static struct large_reference tide; /* A value as another node calls it. */
static struct blob tide_bytes;

static void repeat(const char *text, struct blob *out)
{
    while (out->size < SIZE)
        blob_append_text(out, text);
    out->size = SIZE;
}

/* Size and hash as they are, and a name from elsewhere. */
static void name_tide(void)
{
    struct large *large = store_large(node.store);

    cr_assert(large_value_make(large, "tide ", SIZE, &tide) == KIST_OK);
    large_drop(large, &tide);
    large_tend(large);
    tide.boot++;
    blob_clear(&tide_bytes);
    large_reference_encode(&tide, &tide_bytes);
}

static void set_up(void)
{
    node_prepare(&node);
    node.replicated = &replication;
    node_start(&node);
    name_tide();
}

static void tear_down(void)
{
    const char *wrong = replica_check(node.store, CLUSTER);

    cr_expect(wrong == NULL, "%s", wrong == NULL ? "" : wrong);
    blob_free(&tide_bytes);
    node_close(&node);
}

TestSuite(large_apply, .init = set_up, .fini = tear_down, .timeout = 60);

static enum kist_status bring(const char *text)
{
    struct large_file *file;
    struct blob bytes = BLOB_EMPTY;
    enum kist_status status;

    repeat(text, &bytes);
    cr_assert(large_create(store_large(node.store), SIZE, &file) == KIST_OK);
    cr_assert(large_append(file, blob_view(&bytes)) == KIST_OK);
    status = large_finish_as(file, &tide);
    large_discard(file);
    blob_free(&bytes);
    return status;
}

static struct write arriving(uint64_t ms, const char *value)
{
    struct write write = node_put("k", value);

    write.kind = WRITE_APPLY;
    write.next.version = (struct version){ms << 16, 7};
    return write;
}

static struct write arriving_tide(uint64_t ms)
{
    struct write write = arriving(ms, "");

    write.next.large = true;
    write.next.value = blob_view(&tide_bytes);
    return write;
}

static void expect_files(size_t count)
{
    struct large *large = store_large(node.store);

    large_tend(large);
    cr_expect(eq(sz, large_files_count(node.path, NULL), count));
    cr_expect(eq(i64, gauge_read(&large_stats(large)->files), (int64_t)count));
    cr_expect(zero(sz, large_files_count(node.path, "incoming")));
    cr_expect(zero(i64, gauge_read(&large_stats(large)->dropped)));
}

static uint64_t collect(void)
{
    struct large_orphans *orphans;
    uint64_t removed;

    cr_assert(large_orphans_open(node.store, &orphans) == KIST_OK);
    cr_assert(large_orphans_run(orphans, PATIENCE_MS));
    removed = counter_read(&large_orphans_stats(orphans)->removed);
    large_orphans_close(orphans);
    return removed;
}

Test(large_apply, a_record_waits_for_its_file)
{
    struct write write = arriving_tide(1000);

    cr_expect(eq(int, node_write(&node, &write), KIST_NOT_FOUND));
    cr_expect(node_has(&node, "k", NULL));
    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
    expect_files(1);

    node_restart(&node);
    cr_expect(zero(u64, collect()));
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
    expect_files(1);
}

Test(large_apply, a_record_that_loses_needs_no_file)
{
    struct write newer = arriving(2000, "new"), older = arriving_tide(1000);

    cr_assert(eq(int, node_write(&node, &newer), KIST_OK));
    cr_expect(eq(int, node_write(&node, &older), KIST_OK));
    cr_expect(version_equal(older.version, newer.next.version));
    expect_files(0);
}

Test(large_apply, the_file_of_a_record_that_lost_goes)
{
    struct write newer = arriving(2000, "new"), older = arriving_tide(1000);

    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_assert(eq(int, node_write(&node, &newer), KIST_OK));
    cr_expect(eq(int, node_write(&node, &older), KIST_OK));
    expect_files(0);
}

Test(large_apply, the_file_of_a_record_below_the_floor_goes)
{
    struct write write = arriving_tide(1000);

    cr_assert(eq(int, bring("tide "), KIST_OK));
    write.floor = (struct version){UINT64_C(2000) << 16, 0};
    cr_expect(eq(int, node_write(&node, &write), KIST_CONFLICT));
    expect_files(0);
}

/* The other version only ends at another time. */
Test(large_apply, a_file_stays_that_another_version_of_the_record_has)
{
    struct write write = arriving_tide(2000), older = arriving_tide(1000);

    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    cr_expect(eq(int, node_write(&node, &older), KIST_OK));
    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}

Test(large_apply, of_a_batch_the_last_word_decides_about_the_file)
{
    struct write writes[] = {arriving(2000, "new"), arriving_tide(1000),
                             arriving_tide(3000), arriving(2500, "late")};
    struct commit_group group = {.writes = writes, .count = 4, .bytes = 10};

    cr_assert(eq(int, bring("tide "), KIST_OK));
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    cr_expect(eq(int, writes[3].status, KIST_OK));
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}

Test(large_apply, a_file_brought_twice_is_one)
{
    struct write write = arriving_tide(1000);

    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    cr_assert(eq(int, bring("tide "), KIST_OK));
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}

Test(large_apply, other_bytes_than_the_record_says_are_refused)
{
    struct write write = arriving_tide(1000);

    cr_expect(eq(int, bring("ebb and flow "), KIST_CORRUPT));
    expect_files(0);
    cr_expect(eq(int, node_write(&node, &write), KIST_NOT_FOUND));
}

Test(large_apply, a_file_that_was_given_up_may_be_needed_again)
{
    struct write first = arriving_tide(1000), second = arriving(2000, "new");
    struct write third = arriving_tide(3000);

    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_assert(eq(int, node_write(&node, &first), KIST_OK));
    cr_assert(eq(int, node_write(&node, &second), KIST_OK));
    cr_expect(
        eq(i64, gauge_read(&large_stats(store_large(node.store))->dropped), 1));
    cr_expect(eq(int, node_write(&node, &third), KIST_OK));
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}

Test(large_apply, what_came_in_this_run_is_no_orphan_before_the_next)
{
    struct write write = arriving_tide(1000);

    node_restart(&node); /* As a name, ours could be an earlier run's. */
    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_expect(zero(u64, collect()));
    expect_files(1);
    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
    expect_files(1);

    tide.serial++;
    cr_assert(eq(int, bring("tide "), KIST_OK));
    expect_files(2);
    node_restart(&node);
    cr_expect(eq(u64, collect(), 1));
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}

Test(large_apply, a_file_of_an_earlier_run_is_found_and_kept)
{
    struct write write = arriving_tide(1000);

    cr_assert(eq(int, bring("tide "), KIST_OK));
    node_restart(&node);
    cr_assert(large_claim(store_large(node.store), &tide));
    cr_expect(zero(u64, collect()));
    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}

Test(large_apply, a_file_of_this_run_is_counted_once)
{
    struct write put = arriving_tide(1000), small = arriving(2000, "new");

    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_assert(eq(int, node_write(&node, &put), KIST_OK));
    cr_assert(eq(int, node_write(&node, &small), KIST_OK));
    expect_files(0);
    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_expect(zero(u64, collect()));
    expect_files(1);
}

static void give_up_tide(void)
{
    struct write write = {.kind = WRITE_LEFTOVER,
                          .next.value = blob_view(&tide_bytes)};

    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
}

Test(large_apply, a_file_that_no_record_came_to_name_goes)
{
    cr_assert(eq(int, bring("tide "), KIST_OK));
    give_up_tide();
    expect_files(0);
}

Test(large_apply, a_file_that_a_record_names_is_not_given_up)
{
    struct write write = arriving_tide(1000);

    cr_assert(eq(int, bring("tide "), KIST_OK));
    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    give_up_tide();
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}

Test(large_apply, a_file_may_get_a_name_of_its_writers_choice)
{
    struct large_reference named = {.boot = tide.boot, .serial = tide.serial};
    struct write write = arriving_tide(1000);
    struct blob bytes = BLOB_EMPTY;
    struct large_file *file;

    repeat("tide ", &bytes);
    cr_assert(large_create(store_large(node.store), SIZE, &file) == KIST_OK);
    cr_assert(large_append(file, blob_view(&bytes)) == KIST_OK);
    cr_assert(eq(int, large_finish_named(file, &named), KIST_OK));
    large_discard(file);
    blob_free(&bytes);
    cr_expect(eq(u64, named.size, tide.size));
    cr_expect(eq(u64, named.hash, tide.hash));
    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
    expect_files(1);
    cr_expect(large_value_is(&node, "k", "tide ", SIZE));
}
