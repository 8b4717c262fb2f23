/*
 * What a store of a cluster keeps beside its records, how it comes about, and
 * what is taken out again.
 */
#include "storage/replica_list.h"

#include "base/clock.h"
#include "storage/purge.h"
#include "storage/replica_meta.h"
#include "tests/storage/node.h"
#include "tests/storage/replica_check.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

enum { CLUSTER = 9, BITS = 2, MANY = 600 };

static const struct store_replication replication = {BITS, CLUSTER};
static const struct store_replication more_partitions = {BITS + 3, CLUSTER};
static const struct store_replication another = {BITS, CLUSTER + 1};

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

TestSuite(replica, .init = set_up, .fini = tear_down, .timeout = 60);

static void expect_sound(const char *when)
{
    const char *wrong = replica_check(node.store, CLUSTER);

    cr_expect(wrong == NULL, "%s: %s", when, wrong == NULL ? "" : wrong);
}

static void restart_as(const struct store_replication *replicated)
{
    node_stop(&node);
    node.replicated = replicated;
    node_start(&node);
}

static struct write arriving(const char *key, uint64_t ms)
{
    struct write write = node_put(key, key);

    write.kind = WRITE_APPLY;
    write.next.version = (struct version){ms << 16, 7};
    return write;
}

static const char *nth_key(unsigned i, char out_key[16])
{
    snprintf(out_key, 16, "key/%04u", i);
    return out_key;
}

/* Each third one deleted, each third one expired. */
static void fill(unsigned count)
{
    enum { TURN = 100 };
    static char keys[TURN][16];
    struct write writes[TURN];
    struct commit_group group = {
        .writes = writes, .count = TURN, .bytes = 10, .sync = ENGINE_SYNC};

    for (unsigned i = 0; i < count; i++) {
        struct write *write = &writes[i % TURN];

        *write = arriving(nth_key(i, keys[i % TURN]), 1000 + i);
        if (i % 3 == 1)
            write->next = (struct record){.version = write->next.version,
                                          .tombstone = true};
        if (i % 3 == 2)
            write->next.expiry_ms = 5000;
        if (i % TURN != TURN - 1)
            continue;
        node_commit(&node, (struct commit_group *const[]){&group}, 1);
        for (unsigned j = 0; j < TURN; j++)
            cr_assert(eq(int, writes[j].status, KIST_OK));
    }
}

Test(replica, each_batch_keeps_index_and_sums_with_the_records)
{
    struct write writes[] = {arriving("a", 1000), arriving("b", 1000),
                             arriving("a", 3000), arriving("a", 2000),
                             arriving("b", 1000)};
    struct commit_group group = {.writes = writes, .count = 5, .bytes = 10};

    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    expect_sound("one batch");
    fill(MANY);
    expect_sound("many");
    node_restart(&node);
    expect_sound("after a restart");
}

static size_t count_entries(char space)
{
    struct engine *engine = store_borrow_engine(node.store);
    const struct engine_ops *ops = engine->ops;
    struct engine_iterator *at;
    size_t count = 0;

    cr_assert(ops->iterator_open(engine, &at) == KIST_OK);
    for (ops->seek(at, (struct view){&space, 1});
         ops->valid(at) && ops->key(at).data[0] == space; ops->next(at))
        count++;
    ops->iterator_close(at);
    store_return_engine(node.store);
    return count;
}

/* Writes so many batches of records that are newer each time. */
static void rewrite(unsigned batches)
{
    enum { TURN = 100 };
    static uint64_t now_ms = 100000;
    static char keys[TURN][16];
    struct write writes[TURN];
    struct commit_group group = {.writes = writes, .count = TURN, .bytes = 10};

    for (unsigned batch = 0; batch < batches; batch++) {
        for (unsigned i = 0; i < TURN; i++)
            writes[i] = arriving(nth_key(i, keys[i]), now_ms++);
        node_commit(&node, (struct commit_group *const[]){&group}, 1);
    }
}

Test(replica, what_the_sums_take_on_disk_does_not_grow)
{
    rewrite(60);
    cr_expect(le(sz, count_entries(BUCKET_SUMS_LOG_SPACE), 20));
    cr_expect(gt(sz, count_entries(BUCKET_SUMS_LOG_SPACE), 0));
    cr_expect(eq(sz, count_entries(BUCKET_SUMS_SPACE), 1 << BITS));
    expect_sound("written");
    for (unsigned i = 0; i < 30; i++) {
        node_restart(&node);
        rewrite(2);
    }
    cr_expect(le(sz, count_entries(BUCKET_SUMS_LOG_SPACE), 20));
    expect_sound("with restarts");
}

Test(replica, a_group_that_failed_changes_no_sum)
{
    struct write writes[] = {arriving("a", 1000), arriving("b", 1000),
                             node_put("c", "1")};
    struct commit_group group = {
        .writes = writes, .count = 3, .bytes = 10, .atomic = true};

    writes[2].condition.kind = CONDITION_PRESENT;
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    cr_assert(eq(sz, group.failed, 2));
    cr_expect(
        eq(u64, replica_list_sum(node.store, 0, KEY_HASH_ALL_LEAVES).count, 0));
    expect_sound("nothing");
}

Test(replica, the_sum_of_a_partition_is_that_of_its_leaves)
{
    uint64_t count = 0;

    fill(MANY);
    for (unsigned partition = 0; partition < 1 << BITS; partition++)
        count +=
            replica_list_sum(node.store, partition, KEY_HASH_ALL_LEAVES).count;
    cr_expect(eq(u64, count, MANY));
}

/* Equal sets in another order, and one that differs. */
Test(replica, two_nodes_with_the_same_records_have_the_same_sums)
{
    struct write first = arriving("a", 1000), second = arriving("b", 1000);
    struct write newer = arriving("b", 2000);
    struct bucket_leaf sums[1 << BITS];

    cr_assert(eq(int, node_write(&node, &first), KIST_OK));
    cr_assert(eq(int, node_write(&node, &newer), KIST_OK));
    for (unsigned i = 0; i < 1 << BITS; i++)
        sums[i] = replica_list_sum(node.store, i, KEY_HASH_ALL_LEAVES);
    node_close(&node);

    set_up();
    cr_assert(eq(int, node_write(&node, &second), KIST_OK));
    cr_assert(eq(int, node_write(&node, &first), KIST_OK));
    unsigned place = key_hash_partition(key_hash(view_of("b")), BITS);
    struct bucket_leaf without =
        replica_list_sum(node.store, place, KEY_HASH_ALL_LEAVES);
    cr_expect(not(bucket_sum_equal(without.sum, sums[place].sum)));

    cr_assert(eq(int, node_write(&node, &newer), KIST_OK));
    for (unsigned i = 0; i < 1 << BITS; i++) {
        struct bucket_leaf sum =
            replica_list_sum(node.store, i, KEY_HASH_ALL_LEAVES);

        cr_expect(bucket_sum_equal(sum.sum, sums[i].sum), "partition %u", i);
    }
}

/* Listing. */

struct page {
    struct key_hash_range range;
    struct blob last;
    size_t count, limit;
    uint64_t last_hash;
};

static bool note(void *ctx, const struct replica_entry *entry)
{
    struct page *page = ctx;
    uint64_t hash = key_hash(entry->key);

    cr_expect(ge(u64, hash, page->last_hash));
    cr_expect(ge(u64, hash, page->range.first));
    cr_expect(le(u64, hash, page->range.last));
    page->last_hash = hash;
    blob_clear(&page->last);
    blob_append(&page->last, entry->key);
    page->count++;
    return page->count % page->limit != 0;
}

static size_t count_in_pages(unsigned partition, unsigned leaf)
{
    struct page page = {.range = key_hash_range(partition, leaf, BITS),
                        .limit = 7};
    struct replica_visitor visitor = {&page, note};
    size_t before;

    do {
        before = page.count;
        cr_assert(replica_list(node.store, page.range, blob_view(&page.last),
                               &visitor) == KIST_OK);
    } while (page.count > before && page.count % page.limit == 0);
    blob_free(&page.last);
    return page.count;
}

Test(replica, a_part_is_listed_by_hash_in_pages_each_key_once)
{
    size_t count = 0;

    fill(MANY);
    for (unsigned partition = 0; partition < 1 << BITS; partition++)
        for (unsigned leaf = 0; leaf < KEY_HASH_LEAVES; leaf++) {
            size_t listed = count_in_pages(partition, leaf);

            cr_expect(eq(u64, listed,
                         replica_list_sum(node.store, partition, leaf).count));
            count += listed;
        }
    cr_expect(eq(sz, count, MANY));
    cr_expect(eq(u64, count_in_pages(1, KEY_HASH_ALL_LEAVES),
                 replica_list_sum(node.store, 1, KEY_HASH_ALL_LEAVES).count));
}

struct reading {
    size_t count, dead;
    uint64_t last_hash;
};

static bool read_record(void *ctx, struct view key, const struct record *record)
{
    struct reading *reading = ctx;
    uint64_t hash = key_hash(key);

    cr_expect(ge(u64, hash, reading->last_hash));
    reading->last_hash = hash;
    reading->count++;
    reading->dead += record_is_dead(record, clock_wall_ms());
    cr_expect(record->tombstone || view_equal(record->value, key));
    return reading->count % 35 != 0; /* Stops within a slice. */
}

Test(replica, whole_records_are_read_in_slices_dead_ones_too)
{
    struct reading reading = {0};
    struct replica_reader reader = {&reading, read_record};
    struct replica_scan scan;

    fill(MANY);
    cr_assert(replica_scan_init(&scan, node.store,
                                (struct key_hash_range){0, UINT64_MAX},
                                (struct view){0}) == KIST_OK);
    while (!scan.done)
        cr_assert(replica_scan_run(&scan, &reader, 64) == KIST_OK);
    replica_scan_clear(&scan);
    cr_expect(eq(sz, reading.count, MANY));
    cr_expect(eq(sz, reading.dead, MANY / 3 * 2));
}

Test(replica, a_scan_goes_on_where_another_one_was)
{
    struct reading reading = {0};
    struct replica_reader reader = {&reading, read_record};
    struct replica_scan first, second;
    struct key_hash_range all = {0, UINT64_MAX};

    fill(MANY);
    cr_assert(replica_scan_init(&first, node.store, all, (struct view){0}) ==
              KIST_OK);
    cr_assert(replica_scan_run(&first, &reader, 30) == KIST_OK);
    cr_assert(eq(sz, reading.count, 30));
    cr_assert(replica_scan_init(&second, node.store, all,
                                blob_view(&first.after)) == KIST_OK);
    replica_scan_clear(&first);
    while (!second.done)
        cr_assert(replica_scan_run(&second, &reader, 64) == KIST_OK);
    replica_scan_clear(&second);
    cr_expect(eq(sz, reading.count, MANY));
}

/* Opening. */

Test(replica, a_directory_of_a_node_alone_gets_its_index)
{
    struct write put = node_put("k", "1"), short_lived = node_put("s", "1");

    restart_as(NULL);
    short_lived.next.expiry_ms = clock_wall_ms() + 1000000;
    cr_assert(eq(int, node_write(&node, &put), KIST_OK));
    cr_assert(eq(int, node_write(&node, &short_lived), KIST_OK));
    for (unsigned i = 0; i < 50; i++) {
        char key[16];
        struct write write = node_put(nth_key(i, key), "1");

        cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    }
    restart_as(&replication);
    expect_sound("taken over");
    cr_expect(node_has(&node, "k", "1"));
    cr_assert(eq(int, node_write(&node, &short_lived), KIST_OK));
    expect_sound("written");
    node_restart(&node);
    expect_sound("restarted");
}

Test(replica, other_partitions_get_their_own_sums)
{
    fill(MANY);
    restart_as(&more_partitions);
    expect_sound("more");
    fill(MANY);
    restart_as(&replication);
    expect_sound("fewer again");
}

/* The refusal, and back to what it was. */
static void expect_refusal(const struct store_replication *replicated,
                           const char *why)
{
    node_stop(&node);
    node.replicated = replicated;
    cr_expect(eq(int, node_open_store(&node), KIST_INVALID));
    cr_expect(strstr(node.fault.text, why) != NULL, "%s", node.fault.text);
    node.replicated = &replication;
    node_start(&node);
    expect_sound("refused");
}

Test(replica, what_others_rely_on_is_not_given_to_a_node_alone)
{
    struct write deletion = arriving("k", 1000);

    deletion.next =
        (struct record){.version = deletion.next.version, .tombstone = true};
    restart_as(NULL); /* Nothing is lost. */
    restart_as(&replication);
    cr_assert(eq(int, node_write(&node, &deletion), KIST_OK));
    expect_refusal(NULL, "part of a cluster");
}

Test(replica, records_of_one_cluster_are_not_taken_into_another)
{
    struct write write = arriving("k", 1000);

    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    expect_refusal(&another, "another cluster");
}

/* Taking out. */

struct purging {
    struct purge purge;
    struct loop_task begin;
};

static void flush_lane(void *ctx)
{
    (void)ctx;
    commit_lane_flush(node.lane);
}

static void next_page(struct purge *purge)
{
    cr_assert(eq(int, purge->status, KIST_OK));
    if (purge->complete)
        loop_stop(node.loop);
    else
        cr_assert(purge_page(purge, next_page) == KIST_OK);
}

static struct purging *purging_now;

static void begin(struct loop_task *task)
{
    (void)task;
    cr_assert(purge_page(&purging_now->purge, next_page) == KIST_OK);
}

static uint64_t purge(enum write_kind kind, struct key_hash_range range,
                      uint64_t floor_ms)
{
    struct purging purging = {.begin.run = begin};
    struct purge_options options = {
        .store = node.store,
        .loop = node.loop,
        .lane = node.lane,
        .kind = kind,
        .range = range,
        .floor = {floor_ms << 16, 0},
        .sync = ENGINE_SYNC,
    };
    uint64_t removed;

    cr_assert(purge_open(&purging.purge, &options) == KIST_OK);
    purging_now = &purging;
    loop_on_turn_end(node.loop, flush_lane, NULL);
    loop_post(node.loop, &purging.begin);
    loop_run(node.loop);
    removed = purging.purge.removed;
    purge_close(&purging.purge);
    node_renew(&node);
    return removed;
}

Test(replica, the_dead_below_the_floor_go_with_their_share_of_the_sums)
{
    struct key_hash_range all = {0, UINT64_MAX};
    unsigned changes;

    fill(MANY);
    changes = node.changes;
    /* Versions are 1000 to 1599: tombstones, as nothing is expired by then. */
    cr_expect(eq(u64, purge(WRITE_PURGE, all, 1300), 100));
    expect_sound("some tombstones");
    cr_expect(eq(u64, purge(WRITE_PURGE, all, 1300), 0));
    cr_expect(eq(u64, purge(WRITE_PURGE, all, 6000), MANY / 3 * 2 - 100));
    expect_sound("all that is dead");
    cr_expect(eq(uint, node.changes, changes));
    node_restart(&node);
    expect_sound("restarted");
    cr_expect(node_has(&node, "key/0000", "key/0000"));
}

Test(replica, a_part_that_has_other_owners_goes_whole)
{
    uint64_t count;

    fill(MANY);
    count = replica_list_sum(node.store, 2, KEY_HASH_ALL_LEAVES).count;
    cr_assert(gt(u64, count, 0));
    cr_expect(eq(
        u64, purge(WRITE_DROP, key_hash_range(2, KEY_HASH_ALL_LEAVES, BITS), 0),
        count));
    expect_sound("dropped");
    cr_expect(eq(sz, count_in_pages(2, KEY_HASH_ALL_LEAVES), 0));
    cr_expect(gt(sz, count_in_pages(1, KEY_HASH_ALL_LEAVES), 0));
}

/* The floor says so, and not when a record happens to look dead. */
Test(replica, what_is_decided_is_what_is_there_by_then)
{
    struct write expired = arriving("k", 1000), newer = arriving("k", 2000);
    struct write writes[2], again;
    struct commit_group group = {
        .writes = writes, .count = 2, .bytes = 10, .sync = ENGINE_SYNC};

    expired.next.expiry_ms = 1500;
    cr_assert(eq(int, node_write(&node, &expired), KIST_OK));
    writes[0] = newer;
    writes[1] = (struct write){.kind = WRITE_PURGE,
                               .key = view_of("k"),
                               .floor = {UINT64_C(1800) << 16, 0}};
    again = writes[1];
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    cr_expect(eq(int, writes[1].status, KIST_NOT_FOUND));
    cr_expect(node_has(&node, "k", "k"));
    again.floor.hlc = UINT64_C(9000) << 16;
    cr_expect(eq(int, node_write(&node, &again), KIST_NOT_FOUND));
    expect_sound("kept");
}

static struct version floor_at(uint64_t ms)
{
    return (struct version){ms << 16, 0};
}

Test(replica, nothing_new_comes_in_below_the_floor)
{
    struct write deletion = arriving("k", 2000), older = arriving("k", 1000);
    struct write purge = {
        .kind = WRITE_PURGE, .key = view_of("k"), .floor = floor_at(3000)};
    struct write above = arriving("k", 3500), again = arriving("k", 3500);

    deletion.next =
        (struct record){.version = deletion.next.version, .tombstone = true};
    cr_assert(eq(int, node_write(&node, &deletion), KIST_OK));
    older.floor = floor_at(3000);
    cr_expect(eq(int, node_write(&node, &older), KIST_OK)); /* Not needed. */
    cr_assert(eq(int, node_write(&node, &purge), KIST_OK));
    cr_expect(eq(int, node_write(&node, &older), KIST_CONFLICT));
    cr_expect(node_has(&node, "k", NULL));

    above.floor = again.floor = floor_at(3000);
    cr_expect(eq(int, node_write(&node, &above), KIST_OK));
    again.floor = floor_at(9000); /* It is here. */
    cr_expect(eq(int, node_write(&node, &again), KIST_OK));
    expect_sound("floor");
}

/* Of two loops one may hear of a floor later than the other has purged. */
Test(replica, a_purge_counts_for_those_who_have_not_heard_of_its_floor)
{
    struct write late = arriving("k", 1000), streamed = arriving("k", 1000);
    struct write purge = {
        .kind = WRITE_PURGE, .key = view_of("other"), .floor = floor_at(3000)};

    cr_assert(eq(int, node_write(&node, &purge), KIST_NOT_FOUND));
    late.floor = floor_at(500);
    cr_expect(eq(int, node_write(&node, &late), KIST_CONFLICT));
    cr_expect(eq(int, node_write(&node, &streamed), KIST_OK));
    expect_sound("streamed");
}

Test(replica, a_damaged_record_is_replaced_by_a_copy_or_a_newer_one)
{
    struct write write = arriving("k", 2000), older = arriving("k", 1000);
    struct write newer = arriving("k", 3000);

    cr_assert(eq(int, node_write(&node, &write), KIST_OK));
    node_damage(&node, "k");
    cr_expect(eq(int, node_write(&node, &older), KIST_CORRUPT));
    write.floor = floor_at(9000); /* It is no new one. */
    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
    cr_expect(node_has(&node, "k", "k"));
    expect_sound("a copy");

    node_damage(&node, "k");
    cr_expect(eq(int, node_write(&node, &newer), KIST_OK));
    cr_expect(node_has(&node, "k", "k"));
    expect_sound("a newer one");

    node_damage(&node, "k");
    write = (struct write){.kind = WRITE_DROP, .key = view_of("k")};
    cr_expect(eq(int, node_write(&node, &write), KIST_OK));
    cr_expect(node_has(&node, "k", NULL));
    expect_sound("dropped");
}

/* Beside records. */

Test(replica, what_replication_keeps_is_there_after_a_restart)
{
    struct write put = {.kind = WRITE_META,
                        .key = view_of("ring"),
                        .next.value = view_of("owners")};
    struct write deletion = {
        .kind = WRITE_META, .key = view_of("ring"), .next.tombstone = true};
    struct blob found = BLOB_EMPTY;

    cr_expect(replica_meta_get(node.store, put.key, &found) == KIST_NOT_FOUND);
    cr_assert(eq(int, node_write(&node, &put), KIST_OK));
    node_restart(&node);
    cr_expect(replica_meta_get(node.store, put.key, &found) == KIST_OK);
    cr_expect(view_is(blob_view(&found), "owners"));
    cr_assert(eq(int, node_write(&node, &deletion), KIST_OK));
    cr_expect(replica_meta_get(node.store, put.key, &found) == KIST_NOT_FOUND);
    blob_free(&found);
    expect_sound("no records");
}

Test(replica, a_lease_holds_over_a_restart_and_never_goes_back)
{
    uint64_t until_ms = clock_wall_ms() + 1000000;
    struct write lease = {.kind = WRITE_LEASE, .next.expiry_ms = until_ms};
    struct write less = {.kind = WRITE_LEASE, .next.expiry_ms = until_ms - 1};
    struct write put = node_put("k", "1");

    cr_assert(eq(int, node_write(&node, &lease), KIST_OK));
    cr_assert(eq(int, node_write(&node, &less), KIST_OK));
    cr_assert(eq(int, node_write(&node, &put), KIST_OK));
    node_restart(&node);
    cr_expect(
        ge(u64, version_ms(hlc_next(store_clock(node.store), 0)), until_ms));
}
