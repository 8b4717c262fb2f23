/*
 * A leaf is compared on a pool thread while the commit may be at work, so what
 * looks wrong there is only suspected. The commit looks again, where nothing
 * can change meanwhile, and it alone says that a sum was wrong.
 */
#include "storage/verify.h"

#include "base/clock.h"
#include "base/owner.h"
#include "storage/replica_list.h"
#include "storage/resum.h"

#include <assert.h>
#include <stdlib.h>

enum { SLICE = 64 }; /* Records read between two looks at `stopping`. */

struct verify {
    /* Set when opened, then read-only. */
    struct verify_options options;
    unsigned bits;
    uint64_t leaves;

    struct loop_timer *timer;
    struct loop_work work;
    bool busy;
    _Atomic bool stopping;

    /* The loop, or the pool thread while it reads. */
    uint64_t place; /* Of the leaf at work among all. */
    uint64_t records;
    bool suspected;

    struct write write;
    struct commit_group group;
    char key[RESUM_KEY_SIZE];

    struct verify_stats stats;
};

static unsigned partition_of(const struct verify *verify)
{
    return (unsigned)(verify->place / KEY_HASH_LEAVES);
}

static unsigned leaf_of(const struct verify *verify)
{
    return (unsigned)(verify->place % KEY_HASH_LEAVES);
}

/* How long until the next leaf. */
static uint64_t pause_ms(const struct verify *verify)
{
    const struct verify_options *options = &verify->options;
    uint64_t least_ms = options->pass_ms / verify->leaves;
    uint64_t read_ms = verify->records * 1000 / options->records_per_second;
    uint64_t pause_ms = read_ms > least_ms ? read_ms : least_ms;

    return pause_ms > 0 ? pause_ms : 1;
}

static void rest(struct verify *verify)
{
    verify->busy = false;
    if (!verify->stopping)
        loop_timer_set(verify->timer, pause_ms(verify));
}

static void pass_leaf(struct verify *verify)
{
    counter_add(&verify->stats.leaves, 1);
    verify->place = (verify->place + 1) % verify->leaves;
    rest(verify);
}

/* The pool. */

static struct bucket_leaf kept_sum(const struct verify *verify)
{
    return replica_list_sum(verify->options.store, partition_of(verify),
                            leaf_of(verify));
}

static enum kist_status compare(struct verify *verify)
{
    struct bucket_leaf before = kept_sum(verify), after, right;
    enum kist_status status = resum_compute(
        verify->options.store, partition_of(verify), leaf_of(verify), &right);

    after = kept_sum(verify);
    verify->suspected = status == KIST_OK &&
                        bucket_leaf_equal(&before, &after) &&
                        !bucket_leaf_equal(&before, &right);
    return status;
}

static bool count_record(void *ctx, struct view key,
                         const struct record *record)
{
    struct verify *verify = ctx;

    (void)key;
    (void)record;
    verify->records++;
    return true;
}

/* It is behind a record that fails its checksum, but not behind an entry. */
static enum kist_status read_slice(struct verify *verify,
                                   struct replica_scan *scan)
{
    struct replica_reader reader = {verify, count_record};
    uint64_t from = key_hash(blob_view(&scan->after));
    enum kist_status status = replica_scan_run(scan, &reader, SLICE);

    if (status != KIST_CORRUPT || key_hash(blob_view(&scan->after)) == from)
        return status;
    counter_add(&verify->stats.damaged, 1);
    verify->options.damaged(verify->options.ctx, blob_view(&scan->after));
    return KIST_OK;
}

static enum kist_status read_records(struct verify *verify)
{
    struct key_hash_range range =
        key_hash_range(partition_of(verify), leaf_of(verify), verify->bits);
    struct replica_scan scan;
    enum kist_status status = replica_scan_init(&scan, verify->options.store,
                                                range, (struct view){0});

    while (status == KIST_OK && !scan.done && !verify->stopping)
        status = read_slice(verify, &scan);
    replica_scan_clear(&scan);
    return status;
}

static void look(struct loop_work *work)
{
    struct verify *verify = OWNER(work, struct verify, work);
    enum kist_status status;

    verify->records = 0;
    status = compare(verify);
    if (status == KIST_OK)
        status = read_records(verify);
    if (status != KIST_OK)
        counter_add(&verify->stats.errors, 1);
}

/* The loop. */

static void resummed(struct commit_group *group)
{
    struct verify *verify = OWNER(group, struct verify, group);

    if (verify->write.status == KIST_OK) {
        counter_add(&verify->stats.corrected, 1);
        verify->options.corrected(verify->options.ctx, partition_of(verify),
                                  leaf_of(verify));
    }
    pass_leaf(verify);
}

static void looked(struct loop_work *work)
{
    struct verify *verify = OWNER(work, struct verify, work);

    if (!verify->suspected || verify->stopping) {
        pass_leaf(verify);
        return;
    }
    verify->write = (struct write){
        .kind = WRITE_RESUM,
        .key = resum_key(partition_of(verify), leaf_of(verify), verify->key),
    };
    verify->group = (struct commit_group){
        .writes = &verify->write,
        .count = 1,
        .bytes = sizeof(verify->write),
        .sync = verify->options.sync,
        .done = resummed,
    };
    if (commit_lane_add(verify->options.lane, &verify->group) != KIST_OK)
        rest(verify); /* Full queue or full disk: this leaf again, later. */
}

static void on_timer(void *ctx)
{
    struct verify *verify = ctx;

    verify->busy = true;
    if (loop_work(verify->options.loop, &verify->work) != KIST_OK)
        rest(verify);
}

enum kist_status verify_open(const struct verify_options *options,
                             struct verify **out_verify)
{
    struct verify *verify = calloc(1, sizeof(*verify));
    enum kist_status status;

    if (verify == NULL)
        return KIST_NO_MEMORY;
    assert(options->records_per_second > 0);
    verify->options = *options;
    verify->bits = bucket_sums_bits(store_sums(options->store));
    verify->leaves = (uint64_t)KEY_HASH_LEAVES << verify->bits;
    verify->place = clock_wall_ms() % verify->leaves;
    verify->work = (struct loop_work){.run = look, .done = looked};
    status = loop_timer_open(options->loop, on_timer, verify, &verify->timer);
    if (status != KIST_OK) {
        verify_close(verify);
        return status;
    }
    rest(verify);
    *out_verify = verify;
    return KIST_OK;
}

void verify_stop(struct verify *verify)
{
    verify->stopping = true;
    loop_timer_stop(verify->timer);
}

bool verify_idle(const struct verify *verify)
{
    return !verify->busy;
}

void verify_close(struct verify *verify)
{
    if (verify == NULL)
        return;
    assert(!verify->busy);
    loop_timer_close(verify->timer);
    free(verify);
}

struct verify_stats *verify_stats(struct verify *verify)
{
    return &verify->stats;
}
