/*
 * Sums of leaves over many batches, against an engine that is two arrays: what
 * it would give back at any moment are the sums of that moment.
 */
#include "storage/bucket_sums.h"

#include "storage/key_hash.h"
#include "tests/storage/workload.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum {
    CLUSTER = 9,
    BITS = 2,
    PARTITIONS = 1 << BITS,
    LEAVES = PARTITIONS * KEY_HASH_LEAVES,
    BATCHES = 3000,
    A_PHASE = 7, /* Batches that touch the same few leaves. */
};

static struct blob blocks[PARTITIONS];
static struct blob entries[BATCHES];
static struct bucket_sums *sums;
static struct bucket_changes changes;
static struct engine_batch batch;
static uint64_t number;

static void set_up(void)
{
    cr_assert(bucket_sums_new(BITS, CLUSTER, &sums) == KIST_OK);
}

static void tear_down(void)
{
    bucket_sums_free(sums);
    bucket_changes_free(&changes);
    engine_batch_free(&batch);
    for (size_t i = 0; i < PARTITIONS; i++)
        blob_free(&blocks[i]);
    for (size_t i = 0; i < BATCHES; i++)
        blob_free(&entries[i]);
}

TestSuite(bucket_sums, .init = set_up, .fini = tear_down, .timeout = 60);

static void apply(void)
{
    struct engine_operation operation;
    size_t offset = 0;

    while (engine_batch_next(&batch, &offset, &operation)) {
        const char *at = operation.key.data + 1;
        struct blob *place = operation.key.data[0] == BUCKET_SUMS_SPACE
                                 ? &blocks[read_u32(at)]
                                 : &entries[read_u64(at)];

        blob_clear(place);
        if (!operation.is_delete)
            blob_append(place, operation.value);
    }
}

static void load(struct bucket_sums *into, char space, const struct blob *from,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct blob key = BLOB_EMPTY;

        if (space == BUCKET_SUMS_SPACE)
            blob_append_u32(&key, (uint32_t)i);
        else
            blob_append_u64(&key, i);
        if (from[i].size > 0)
            cr_assert(bucket_sums_load(into, space, blob_view(&key),
                                       blob_view(&from[i])) == KIST_OK);
        blob_free(&key);
    }
}

static void load_all(struct bucket_sums *into)
{
    bucket_sums_clear(into);
    load(into, BUCKET_SUMS_SPACE, blocks, PARTITIONS);
    load(into, BUCKET_SUMS_LOG_SPACE, entries, BATCHES);
}

static void expect_same(struct bucket_sums *found, unsigned when)
{
    for (unsigned i = 0; i < LEAVES; i++) {
        struct bucket_leaf a =
            bucket_sums_of(sums, i / KEY_HASH_LEAVES, i % KEY_HASH_LEAVES);
        struct bucket_leaf b =
            bucket_sums_of(found, i / KEY_HASH_LEAVES, i % KEY_HASH_LEAVES);

        cr_assert(bucket_sum_equal(a.sum, b.sum), "leaf %u, batch %u", i, when);
        cr_assert(eq(u64, a.count, b.count));
    }
}

/* A new record each, in some leaves of the phase; the key does not matter. */
static void make_batch(unsigned phase, uint64_t *random)
{
    size_t count = 1 + workload_random(random) % 70;
    uint64_t seed = phase;
    uint64_t base = workload_random(&seed) % LEAVES;
    uint64_t spread = 1 + workload_random(&seed) % 80;

    engine_batch_clear(&batch);
    bucket_changes_end(&changes);
    for (size_t i = 0; i < count; i++) {
        uint64_t leaf = base + workload_random(random) % spread;
        uint64_t hash = leaf % LEAVES << (64 - BITS - 6);
        struct record record = {.version = {++number, 1}};

        cr_assert(bucket_sums_note(sums, &changes, hash, VIEW_LITERAL("k"),
                                   NULL, &record) == KIST_OK);
    }
    bucket_sums_put(sums, &changes, &batch);
}

static size_t count_entries(void)
{
    size_t count = 0;

    for (size_t i = 0; i < BATCHES; i++)
        count += entries[i].size > 0;
    return count;
}

/* One in ten batches is not applied; once in a while there is a restart. */
Test(bucket_sums, what_the_engine_has_are_the_sums_at_any_moment)
{
    struct bucket_sums *found;
    uint64_t random = 1;
    size_t most = 0;

    cr_assert(bucket_sums_new(BITS, CLUSTER, &found) == KIST_OK);
    for (unsigned i = 0; i < BATCHES; i++) {
        make_batch(i / A_PHASE, &random);
        if (workload_random(&random) % 10 == 0)
            continue;
        apply();
        bucket_sums_applied(sums, &changes);
        load_all(found);
        expect_same(found, i);
        if (count_entries() > most)
            most = count_entries();
        if (workload_random(&random) % 100 == 0)
            load_all(sums);
    }
    bucket_sums_free(found);
    /* Each partition has its turn: LEAVES logged leaves, and once more. */
    cr_expect(lt(sz, most, 300));
    cr_expect(gt(sz, most, 10));
}
