#include "storage/large_orphans.h"

#include "tests/storage/large_value.h"
#include "tests/support/large_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 70000, PATIENCE_MS = 10000 };

static struct node node;
static struct large_orphans *orphans;

static void set_up(void)
{
    node_open(&node);
}

static void tear_down(void)
{
    large_orphans_close(orphans);
    node_close(&node);
}

TestSuite(large_orphans, .init = set_up, .fini = tear_down, .timeout = 60);

static uint64_t collect(void)
{
    cr_assert(large_orphans_open(node.store, &orphans) == KIST_OK);
    cr_expect(
        eq(i64, gauge_read(&large_orphans_stats(orphans)->collecting), 1));
    cr_assert(large_orphans_run(orphans, PATIENCE_MS));
    cr_expect(
        eq(i64, gauge_read(&large_orphans_stats(orphans)->collecting), 0));
    return counter_read(&large_orphans_stats(orphans)->removed);
}

static void make(const char *text)
{
    struct large_reference reference;

    cr_assert(large_value_make(store_large(node.store), text, SIZE,
                               &reference) == KIST_OK);
}

Test(large_orphans, what_an_earlier_run_left_goes_and_what_is_named_stays)
{
    cr_assert(large_value_store(&node, "a", "tide ", SIZE) == KIST_OK);
    make("nobody's");
    cr_assert(large_value_store(&node, "b", "flow ", SIZE) == KIST_OK);
    cr_assert(large_value_store(&node, "b", "ebb ", SIZE) == KIST_OK);
    cr_expect(eq(sz, large_files_count(node.path, NULL), 4));
    node_restart(&node);

    cr_expect(eq(u64, collect(), 2));
    cr_expect(eq(sz, large_files_count(node.path, NULL), 2));
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));
    cr_expect(large_value_is(&node, "b", "ebb ", SIZE));
}

Test(large_orphans, uploads_of_this_run_are_left_alone)
{
    struct large_file *file;
    struct large_reference reference;

    node_restart(&node);
    make("its record is still on its way");
    cr_assert(large_create(store_large(node.store), 0, &file) == KIST_OK);
    cr_assert(large_append(file, VIEW_LITERAL("half")) == KIST_OK);

    cr_expect(eq(u64, collect(), 0));
    cr_expect(eq(sz, large_files_count(node.path, NULL), 1));
    cr_expect(large_finish(file, &reference) == KIST_OK);
    large_discard(file);
    cr_expect(eq(sz, large_files_count(node.path, NULL), 2));
}

Test(large_orphans, an_upload_that_a_crash_cut_off_goes)
{
    char path[160];
    int file;

    snprintf(path, sizeof(path),
             "%s/large/incoming/0123456789abcdef0000000000000001", node.path);
    file = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert(file >= 0);
    close(file);
    cr_expect(eq(u64, collect(), 1));
    cr_expect(eq(sz, large_files_count(node.path, "incoming"), 0));
}

Test(large_orphans, what_is_not_ours_is_left_alone)
{
    static const char *const names[] = {
        "incoming/notes.txt", "damaged/0123456789abcdef0000000000000002",
        "00/0123456789abcdef00000000000000ff", /* Would be in ff. */
        "00/README"};
    char path[160];
    int file;

    snprintf(path, sizeof(path), "%s/large/00", node.path);
    cr_assert(mkdir(path, 0700) == 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/large/%s", node.path, names[i]);
        file = open(path, O_WRONLY | O_CREAT, 0600);
        cr_assert(file >= 0);
        close(file);
    }
    cr_expect(eq(u64, collect(), 0));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/large/%s", node.path, names[i]);
        cr_expect(access(path, F_OK) == 0, "%s", names[i]);
    }
    cr_expect(
        eq(i64, gauge_read(&large_stats(store_large(node.store))->damaged), 1));
}

static void expect_counted(int64_t files)
{
    struct large_stats *stats = large_stats(store_large(node.store));

    cr_expect(eq(i64, gauge_read(&stats->files), files));
    cr_expect(eq(i64, gauge_read(&stats->bytes), files * SIZE));
}

/* Files go while they are being counted, before and after their folder is. */
Test(large_orphans, sums_are_right_whenever_a_file_goes)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
    enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

    for (size_t i = 0; i < KEYS; i++)
        cr_assert(large_value_store(&node, keys[i], "tide ", SIZE) == KIST_OK);
    make("nobody's");
    expect_counted(KEYS + 1);
    node_restart(&node);
    expect_counted(0);

    cr_assert(large_orphans_open(node.store, &orphans) == KIST_OK);
    for (size_t i = 0; i < KEYS; i++) {
        struct write write = node_delete(keys[i]);

        /* No time at all: one file at most, or hardly a few folders. */
        if (large_orphans_run(orphans, 0) && i == 0)
            cr_skip("too fast");
        cr_assert(node_write(&node, &write) == KIST_OK);
        large_tend(store_large(node.store));
    }
    cr_assert(large_orphans_run(orphans, PATIENCE_MS));
    expect_counted(0);
    cr_expect(eq(sz, large_files_count(node.path, NULL), 0));
    cr_assert(large_value_store(&node, "a", "tide ", SIZE) == KIST_OK);
    expect_counted(1);
}
