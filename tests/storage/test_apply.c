/*
 * Records that come from other nodes: what a store of a cluster keeps of them.
 */
#include "storage/commit.h"

#include "base/clock.h"
#include "storage/scan.h"
#include "tests/storage/node.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* Which node's: part of the version. */
enum { ELSEWHERE = 7 };

static const struct store_replication replication = {.bits = 4, .cluster = 9};

static struct node node;

static void set_up(void)
{
    node_prepare(&node);
    node.replicated = &replication;
    node_start(&node);
}

static void tear_down(void)
{
    node_close(&node);
}

TestSuite(apply, .init = set_up, .fini = tear_down, .timeout = 30);

static struct version at(uint64_t ms)
{
    return (struct version){ms << 16, ELSEWHERE};
}

static struct write arriving(const char *key, uint64_t ms, const char *value)
{
    struct write write = node_put(key, value);

    write.kind = WRITE_APPLY;
    write.next.version = at(ms);
    write.next.created_ms = ms / 2;
    write.next.type = JSON_IS_STRING;
    return write;
}

static struct write arriving_deletion(const char *key, uint64_t ms)
{
    struct write write = node_delete(key);

    write.kind = WRITE_APPLY;
    write.next.version = at(ms);
    return write;
}

static void expect_kept(struct write *write)
{
    cr_assert(eq(int, node_write(&node, write), KIST_OK));
    cr_expect(not(write->unchanged));
    cr_expect(version_equal(write->version, write->next.version));
}

/* It is answered as if it were there, and the winner is named. */
static void expect_lost(struct write *write, struct version winner)
{
    unsigned changes = node.changes;

    cr_assert(eq(int, node_write(&node, write), KIST_OK));
    cr_expect(write->unchanged);
    cr_expect(version_equal(write->version, winner));
    cr_expect(eq(uint, node.changes, changes));
}

static void get(const char *key, struct item *out_item)
{
    cr_assert(store_get(node.store, view_of(key), out_item) == KIST_OK);
}

Test(apply, a_record_from_elsewhere_is_kept_as_it_is)
{
    struct write write = arriving("colour", 1000, "\"red\"");
    struct blob sent = BLOB_EMPTY, kept = BLOB_EMPTY;
    struct item item;

    write.next.expiry_ms = clock_wall_ms() + 1000000;
    expect_kept(&write);
    cr_expect(eq(uint, node.changes, 1));
    cr_expect(eq(u64, write.expiry_ms, write.next.expiry_ms));
    node_restart(&node);

    get("colour", &item);
    record_encode(write.key, &write.next, &sent);
    record_encode(write.key, &item.record, &kept);
    cr_expect(view_equal(blob_view(&sent), blob_view(&kept)));
    blob_free(&sent);
    blob_free(&kept);
    item_free(&item);
}

Test(apply, the_newer_record_stays_in_whichever_order_they_come)
{
    struct write older = arriving("k", 1000, "old");
    struct write newer = arriving("k", 2000, "new");
    struct write newest = arriving("k", 3000, "newest");

    expect_kept(&newer);
    expect_lost(&older, newer.next.version);
    cr_expect(node_has(&node, "k", "new"));
    expect_kept(&newest);
    expect_lost(&newer, newest.next.version);
    cr_expect(node_has(&node, "k", "newest"));
}

Test(apply, the_same_record_again_is_not_written_again)
{
    struct write write = arriving("k", 1000, "v");
    struct commit_stats *stats = commit_stats(node.commit);

    expect_kept(&write);
    expect_lost(&write, write.next.version);
    cr_expect(eq(u64, counter_read(&stats->writes), 1));
}

/* An answer says "durable", whatever the first one had asked for. */
Test(apply, the_same_record_again_is_synced_if_it_was_not_before)
{
    struct write first = arriving("j", 1000, "takes the lease");
    struct write write = arriving("k", 1000, "v");
    struct commit_group group = {.writes = &write, .count = 1, .bytes = 10};
    struct commit_stats *stats = commit_stats(node.commit);

    expect_kept(&first);
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    cr_assert(eq(int, write.status, KIST_OK));
    expect_lost(&write, write.next.version);
    cr_expect(eq(u64, counter_read(&stats->writes), 3));
    cr_expect(node_has(&node, "k", "v"));
}

/* Other members may have what was stamped within it. */
Test(apply, a_lease_is_durable_before_the_clock_relies_on_it)
{
    struct write write = arriving("k", 1000, "v");
    struct commit_group group = {.writes = &write, .count = 1, .bytes = 10};

    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    cr_expect(eq(int, group.synced, ENGINE_SYNC));
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    cr_expect(eq(int, group.synced, ENGINE_ASYNC));
}

Test(apply, a_deletion_wins_over_what_comes_after_it_but_is_older)
{
    struct write deletion = arriving_deletion("k", 2000);
    struct write older = arriving("k", 1000, "v");
    struct item item;

    expect_kept(&deletion);
    node_restart(&node);
    expect_lost(&older, deletion.next.version);
    cr_expect(node_has(&node, "k", NULL));
    get("k", &item);
    cr_expect(item.record.tombstone);
    cr_expect(version_equal(item.record.version, deletion.next.version));
    item_free(&item);
}

Test(apply, an_expired_record_wins_over_an_older_one)
{
    struct write expired = arriving("k", 2000, "short");
    struct write older = arriving("k", 1000, "long");

    expired.next.expiry_ms = 3000;
    expect_kept(&expired);
    expect_lost(&older, expired.next.version);
    cr_expect(node_has(&node, "k", NULL));
}

Test(apply, of_two_records_of_one_version_every_order_keeps_the_same)
{
    struct write one = arriving("k", 1000, "1");
    struct write two = arriving("k", 1000, "2");
    struct write deletion = arriving_deletion("k", 1000);

    expect_kept(&one);
    expect_kept(&two);
    expect_lost(&one, two.next.version);
    cr_expect(node_has(&node, "k", "2"));
    expect_kept(&deletion);
    expect_lost(&two, deletion.next.version);
    cr_expect(node_has(&node, "k", NULL));
}

Test(apply, records_of_one_batch_meet_each_other)
{
    enum { COUNT = 5 };
    struct write writes[COUNT] = {
        arriving("k", 2000, "2"), arriving("k", 1000, "1"),
        arriving("k", 4000, "4"), arriving_deletion("k", 3000),
        arriving("k", 4000, "4")};
    struct commit_group group = {
        .writes = writes, .count = COUNT, .bytes = 10, .sync = ENGINE_SYNC};

    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    for (size_t i = 0; i < COUNT; i++) {
        cr_expect(eq(int, writes[i].status, KIST_OK), "%zu", i);
        cr_expect(eq(int, writes[i].unchanged, i % 2 == 1 || i == 4), "%zu", i);
        cr_expect(eq(u64, version_ms(writes[i].version), i < 2 ? 2000 : 4000),
                  "%zu", i);
    }
    cr_expect(node_has(&node, "k", "4"));
}

Test(apply, created_says_whether_a_live_value_was_there)
{
    struct write first = arriving("k", 1000, "1");
    struct write second = arriving("k", 2000, "2");
    struct write deletion = arriving_deletion("k", 3000);
    struct write third = arriving("k", 4000, "3");

    expect_kept(&first);
    cr_expect(first.created);
    expect_kept(&second);
    cr_expect(not(second.created));
    expect_lost(&first, second.next.version);
    cr_expect(not(first.created));
    expect_kept(&deletion);
    cr_expect(not(deletion.created));
    expect_kept(&third);
    cr_expect(third.created);
}

/* Within what is believed, but far ahead of this node's clock. */
Test(apply, own_versions_are_above_all_that_came_over_a_restart_too)
{
    uint64_t ahead_ms = clock_wall_ms() + HLC_FUTURE_MS / 2;
    struct write ahead = arriving("k", ahead_ms, "theirs");
    struct write own = node_put("k", "ours");
    struct hlc *clock = store_clock(node.store);

    expect_kept(&ahead);
    cr_expect(
        gt(int, version_compare(hlc_next(clock, 0), ahead.next.version), 0));
    node_restart(&node);
    cr_assert(eq(int, node_write(&node, &own), KIST_OK));
    cr_expect(gt(int, version_compare(own.version, ahead.next.version), 0));
    cr_expect(node_has(&node, "k", "ours"));
}

Test(apply, a_clock_that_nobody_believes_sets_no_other_one)
{
    uint64_t now_ms = clock_wall_ms();
    struct write mad = arriving("k", now_ms * 2, "from the future");
    struct write own = node_put("k", "ours");

    expect_kept(&mad);
    cr_expect(lt(u64, version_ms(hlc_next(store_clock(node.store), 0)),
                 now_ms + HLC_FUTURE_MS));
    cr_expect(eq(int, node_write(&node, &own), KIST_CONFLICT));
    cr_expect(version_equal(own.version, mad.next.version));
    cr_expect(node_has(&node, "k", "from the future"));
}

static bool count_key(void *ctx, struct view key, const struct record *record)
{
    unsigned *count = ctx;

    (void)key;
    (void)record;
    (*count)++;
    return true;
}

static unsigned count_listed(void)
{
    unsigned count = 0;
    struct scan_visitor visitor = {&count, count_key, NULL};
    struct scan scan;

    cr_assert(scan_init(&scan, node.store, &(struct scan_range){0}) == KIST_OK);
    cr_assert(scan_run(&scan, &visitor, clock_wall_ms(), 100) == KIST_OK);
    cr_assert(scan.done);
    scan_clear(&scan);
    return count;
}

Test(apply, lists_hide_the_dead)
{
    struct write live = arriving("a", 1000, "1");
    struct write deletion = arriving_deletion("b", 1000);
    struct write expired = arriving("c", 1000, "1");

    expired.next.expiry_ms = 2000;
    expect_kept(&live);
    expect_kept(&deletion);
    expect_kept(&expired);
    cr_expect(eq(uint, count_listed(), 1));
}

Test(apply, conditions_do_not_see_the_dead)
{
    struct write deletion = arriving_deletion("k", 1000);
    struct write absent = node_put("k", "1"), present = node_put("k", "2");

    absent.condition.kind = CONDITION_ABSENT;
    present.condition.kind = CONDITION_PRESENT;
    expect_kept(&deletion);
    cr_expect(eq(int, node_write(&node, &present), KIST_CONFLICT));
    cr_expect(eq(int, node_write(&node, &absent), KIST_OK));
    cr_expect(absent.created);
}

/* There may be a copy elsewhere, of a key that was never here. */
Test(apply, a_deletion_of_ones_own_is_kept_whatever_was_there)
{
    struct write put = node_put("k", "1"), deletion = node_delete("k");
    struct write again = node_delete("k");
    struct item item;

    cr_assert(eq(int, node_write(&node, &put), KIST_OK));
    cr_expect(eq(int, node_write(&node, &deletion), KIST_OK));
    cr_expect(not(deletion.created));
    cr_expect(eq(int, node_write(&node, &again), KIST_OK));
    cr_expect(again.created);
    get("k", &item);
    cr_expect(item.record.tombstone);
    cr_expect(version_equal(item.record.version, again.version));
    item_free(&item);
}

Test(apply, the_sweep_takes_nothing_out)
{
    struct write expired = arriving("k", 1000, "1");
    struct write sweep = {.key = view_of("k"), .kind = WRITE_EXPIRE};
    struct item item;

    sweep.next.expiry_ms = expired.next.expiry_ms = 2000;
    expect_kept(&expired);
    cr_expect(eq(int, node_write(&node, &sweep), KIST_NOT_FOUND));
    get("k", &item);
    item_free(&item);
}
