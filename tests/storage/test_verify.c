/*
 * Sums that are wrong, and records that cannot be read, are found; and nothing
 * is where all is well, whatever is being written meanwhile.
 */
#include "storage/verify.h"

#include "storage/replica_list.h"
#include "storage/resum.h"
#include "tests/storage/node.h"
#include "tests/storage/replica_check.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

/* Few leaves, so each has many records, and traffic meets each look. */
enum { CLUSTER = 9, BITS = 0, KEYS = 400, PASSES = 3, TURN = 20 };

static const struct store_replication replication = {BITS, CLUSTER};

static struct node node;
static char keys[KEYS][16];

static void set_up(void)
{
    node_prepare(&node);
    node.replicated = &replication;
    node_start(&node);
    for (unsigned i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "key/%04u", i);
}

static void tear_down(void)
{
    node_close(&node);
}

TestSuite(verify, .init = set_up, .fini = tear_down, .timeout = 60);

static void expect_sound(const char *when)
{
    const char *wrong = replica_check(node.store, CLUSTER);

    cr_expect(wrong == NULL, "%s: %s", when, wrong == NULL ? "" : wrong);
}

static void fill(void)
{
    static struct write writes[KEYS];
    struct commit_group group = {
        .writes = writes, .count = KEYS, .bytes = 10, .sync = ENGINE_SYNC};

    for (unsigned i = 0; i < KEYS; i++)
        writes[i] = node_put(keys[i], "1");
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    expect_sound("filled");
}

static unsigned leaf_of(const char *key)
{
    return key_hash_leaf(key_hash(view_of(key)), BITS);
}

/* The number of the last entry of the sums' log. */
static uint64_t last_entry(void)
{
    struct engine *engine = store_borrow_engine(node.store);
    const struct engine_ops *ops = engine->ops;
    char space = BUCKET_SUMS_LOG_SPACE;
    struct engine_iterator *at;
    uint64_t last = 0;

    cr_assert(ops->iterator_open(engine, &at) == KIST_OK);
    for (ops->seek(at, (struct view){&space, 1});
         ops->valid(at) && ops->key(at).data[0] == space; ops->next(at))
        last = read_u64(ops->key(at).data + 1);
    ops->iterator_close(at);
    store_return_engine(node.store);
    return last;
}

/* One more record in the leaf than there is, and another sum, on disk. */
static void plant_wrong_sum(const char *key)
{
    struct bucket_leaf leaf = replica_list_sum(node.store, 0, leaf_of(key));
    struct engine_batch batch = {0};
    struct blob place = BLOB_EMPTY, value = BLOB_EMPTY;

    blob_append_byte(&place, BUCKET_SUMS_LOG_SPACE);
    blob_append_u64(&place, last_entry() + 1);
    blob_append_u32(&value, leaf_of(key));
    blob_append_u64(&value, leaf.sum.high);
    blob_append_u64(&value, leaf.sum.low + 1);
    blob_append_u64(&value, leaf.count + 1);
    engine_batch_put(&batch, blob_view(&place), blob_view(&value));
    cr_assert(store_apply(node.store, &batch, store_opening(node.store),
                          ENGINE_SYNC) == KIST_OK);
    engine_batch_free(&batch);
    blob_free(&place);
    blob_free(&value);
    node_restart(&node);
    cr_assert(replica_check(node.store, CLUSTER) != NULL);
}

/* Some passes, and writes the while. */
static struct {
    struct verify *verify;
    struct loop_timer *timer;
    bool has_traffic, is_writing;
    unsigned next_key, turns;
    struct write writes[TURN];
    struct commit_group group;

    uint64_t leaves, corrected, errors;
    unsigned wrong_leaf;
    _Atomic unsigned damaged;
    char damaged_key[16];
} run;

static void note_damaged(void *ctx, struct view key)
{
    (void)ctx;
    cr_assert(lt(sz, key.size, sizeof(run.damaged_key)));
    memcpy(run.damaged_key, key.data, key.size);
    run.damaged++;
}

static void note_corrected(void *ctx, unsigned partition, unsigned leaf)
{
    (void)ctx;
    cr_expect(eq(uint, partition, 0));
    run.wrong_leaf = leaf;
}

static void written(struct commit_group *group)
{
    for (size_t i = 0; i < group->count; i++)
        cr_expect(eq(int, group->writes[i].status, KIST_OK));
    run.is_writing = false;
    run.turns++;
}

static void write_some(void)
{
    for (unsigned i = 0; i < TURN; i++) {
        run.writes[i] = node_put(keys[run.next_key], "2");
        run.next_key = (run.next_key + 7) % KEYS;
    }
    run.group = (struct commit_group){.writes = run.writes,
                                      .count = TURN,
                                      .bytes = 100,
                                      .sync = ENGINE_ASYNC,
                                      .done = written};
    cr_assert(commit_lane_add(node.lane, &run.group) == KIST_OK);
    run.is_writing = true;
}

static bool goes_on(void)
{
    struct verify_stats *stats = verify_stats(run.verify);

    if (counter_read(&stats->leaves) < (uint64_t)PASSES * KEY_HASH_LEAVES)
        return true;
    verify_stop(run.verify);
    return !verify_idle(run.verify) || run.is_writing;
}

static void turn_end(void *ctx)
{
    (void)ctx;
    if (run.has_traffic && !run.is_writing &&
        counter_read(&verify_stats(run.verify)->leaves) <
            (uint64_t)PASSES * KEY_HASH_LEAVES)
        write_some();
    commit_lane_flush(node.lane);
}

static void look(void *ctx)
{
    struct verify_stats *stats = verify_stats(run.verify);

    (void)ctx;
    if (goes_on()) {
        loop_timer_set(run.timer, 1);
        return;
    }
    run.leaves = counter_read(&stats->leaves);
    run.corrected = counter_read(&stats->corrected);
    run.errors = counter_read(&stats->errors);
    cr_expect(eq(u64, counter_read(&stats->damaged), run.damaged));
    verify_close(run.verify);
    loop_timer_close(run.timer);
    loop_stop(node.loop);
    loop_on_turn_end(node.loop, NULL, NULL);
}

static void verify_all(bool has_traffic)
{
    struct verify_options options = {
        .store = node.store,
        .loop = node.loop,
        .lane = node.lane,
        .sync = ENGINE_SYNC,
        .records_per_second = 1000000,
        .damaged = note_damaged,
        .corrected = note_corrected,
    };

    run.has_traffic = has_traffic;
    cr_assert(verify_open(&options, &run.verify) == KIST_OK);
    cr_assert(loop_timer_open(node.loop, look, NULL, &run.timer) == KIST_OK);
    loop_timer_set(run.timer, 1);
    loop_on_turn_end(node.loop, turn_end, NULL);
    loop_run(node.loop);
    node_renew(&node);
    cr_expect(eq(u64, run.errors, 0));
}

Test(verify, a_wrong_sum_is_put_right_for_good)
{
    fill();
    plant_wrong_sum(keys[3]);
    verify_all(false);
    cr_expect(eq(u64, run.corrected, 1));
    cr_expect(eq(uint, run.wrong_leaf, leaf_of(keys[3])));
    cr_expect(eq(uint, run.damaged, 0));
    expect_sound("corrected");
    node_restart(&node);
    expect_sound("after a restart");
}

Test(verify, a_wrong_sum_is_put_right_while_its_leaf_is_written)
{
    fill();
    plant_wrong_sum(keys[3]);
    verify_all(true);
    cr_expect(gt(uint, run.turns, 10));
    cr_expect(eq(u64, run.corrected, 1));
    expect_sound("corrected");
    node_restart(&node);
    expect_sound("after a restart");
}

Test(verify, nothing_is_corrected_where_all_is_well)
{
    fill();
    verify_all(true);
    cr_expect(ge(u64, run.leaves, PASSES * KEY_HASH_LEAVES));
    cr_expect(gt(uint, run.turns, 10));
    cr_expect(eq(u64, run.corrected, 0));
    cr_expect(eq(uint, run.damaged, 0));
    expect_sound("verified");
}

Test(verify, a_leaf_that_nothing_is_in_has_no_sum)
{
    plant_wrong_sum("nothing");
    verify_all(false);
    cr_expect(eq(u64, run.corrected, 1));
    expect_sound("corrected");
}

/* In the batch of writes to the same leaf, before and behind it. */
Test(verify, a_correction_adds_up_with_its_neighbours)
{
    char name[RESUM_KEY_SIZE];
    struct write writes[] = {
        node_put(keys[3], "2"),
        {.kind = WRITE_RESUM, .key = resum_key(0, leaf_of(keys[3]), name)},
        node_delete(keys[3]),
    };
    struct commit_group group = {
        .writes = writes, .count = 3, .bytes = 10, .sync = ENGINE_SYNC};

    fill();
    plant_wrong_sum(keys[3]);
    node_commit(&node, (struct commit_group *const[]){&group}, 1);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(eq(int, writes[i].status, KIST_OK));
    expect_sound("corrected");
    cr_expect(eq(int, node_write(&node, &writes[1]), KIST_NOT_FOUND));
    node_restart(&node);
    expect_sound("after a restart");
}

Test(verify, a_record_that_cannot_be_read_is_told)
{
    fill();
    node_damage(&node, keys[5]);
    verify_all(false);
    cr_expect(eq(uint, run.damaged, PASSES)); /* Once each. */
    cr_expect(eq(str, run.damaged_key, keys[5]));
    cr_expect(eq(u64, run.corrected, 0)); /* The index still has it. */
}
