#include "replication/batch.h"

#include <assert.h>

static_assert(BATCH_PARTS <= FRAME_ITEMS_MAX && BATCH_PARTS >= RING_LEAVES,
              "the sums of a partition's leaves, and parts, are one message");

void batch_clear(struct batch *batch)
{
    batch->count = batch->part_count = batch->at = 0;
}

/* The parts that a partition may turn out to have. */
static unsigned most_parts(bool is_whole)
{
    return is_whole ? 1 : RING_LEAVES;
}

bool batch_add(struct batch *batch, unsigned partition, bool is_whole)
{
    unsigned parts = most_parts(is_whole);

    for (unsigned i = 0; i < batch->count; i++)
        parts += most_parts(batch->shares[i].is_whole);
    if (batch->count == BATCH_PARTITIONS || parts > BATCH_PARTS)
        return false;
    batch->shares[batch->count++] =
        (struct batch_share){.partition = partition, .is_whole = is_whole};
    return true;
}

unsigned batch_add_sums(const struct batch *batch, struct blob *out)
{
    unsigned items = 0;

    for (unsigned i = 0; i < batch->count; i++)
        for (unsigned leaf = 0;
             !batch->shares[i].is_whole && leaf < RING_LEAVES; leaf++) {
            frame_add_sums((struct env_part){batch->shares[i].partition, leaf},
                           out);
            items++;
        }
    return items;
}

static void add_part(struct batch *batch, unsigned partition, unsigned leaf)
{
    assert(batch->part_count < BATCH_PARTS);
    batch->parts[batch->part_count++] = (struct env_part){partition, leaf};
}

static enum kist_status read_leaves(struct batch *batch, struct env *env,
                                    unsigned partition, struct view *body)
{
    struct bucket_sum there;

    for (unsigned leaf = 0; leaf < RING_LEAVES; leaf++) {
        struct env_part part = {partition, leaf};

        if (frame_next_summed(body, &there) != KIST_OK)
            return KIST_CORRUPT;
        if (!bucket_sum_equal(there, env->ops->sum(env, part)))
            add_part(batch, partition, leaf);
    }
    return KIST_OK;
}

enum kist_status batch_read_sums(struct batch *batch, struct env *env,
                                 const struct frame *answer, unsigned *differed)
{
    struct view body = {0};

    if (answer != NULL)
        body = answer->body;
    for (unsigned i = 0; i < batch->count; i++) {
        const struct batch_share *share = &batch->shares[i];

        if (share->is_whole)
            add_part(batch, share->partition, ENV_ALL_LEAVES);
        else if (read_leaves(batch, env, share->partition, &body) != KIST_OK)
            return KIST_CORRUPT;
    }
    *differed += batch->part_count;
    return body.size == 0 ? KIST_OK : KIST_CORRUPT;
}

void batch_go_behind(struct batch *batch, const struct ring *ring,
                     struct view key)
{
    unsigned partition = ring_partition_of(ring, key);
    unsigned leaf = ring_leaf_of(ring, key);

    for (; batch->at < batch->part_count; batch->at++) {
        const struct env_part *part = &batch->parts[batch->at];

        if (part->partition > partition ||
            (part->partition == partition && part->leaf >= leaf))
            return;
    }
}

struct batch_share *batch_share_of(struct batch *batch, unsigned partition)
{
    unsigned i = 0;

    while (i < batch->count && batch->shares[i].partition != partition)
        i++;
    assert(i < batch->count);
    return &batch->shares[i];
}
