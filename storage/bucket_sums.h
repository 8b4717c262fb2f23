/*
 * bucket_sums - the sums of a node's records, leaf by leaf, in memory and in
 * the engine.
 *
 * The batch that changes records also says what it made of their leaves, in one
 * entry for all: 'd' + number (8) -> leaf among all (4), sum (16), number of
 * records (8), each. So whatever a crash leaves, the sums are those of the
 * records that are found. Now and then a batch has whole partitions, too: 'b' +
 * partition (4) -> sum and number of each leaf; once all had their turn, the
 * entries from before are not needed any more, and go two a batch.
 *
 * (An entry a leaf would be simpler, and as many entries as records.)
 *
 * A batch in the making only notes its changes, which can be taken back by
 * going back to an earlier count. The sums in memory change when the batch was
 * applied.
 *
 * Threads: bucket_sums_of() from any; the rest belongs to the committing one,
 * or to who opens or reopens the engine while nobody commits.
 */
#ifndef KIST_STORAGE_BUCKET_SUMS_H
#define KIST_STORAGE_BUCKET_SUMS_H

#include "storage/bucket.h"
#include "storage/engine.h"

enum {
    BUCKET_SUMS_SPACE = 'b',
    BUCKET_SUMS_LOG_SPACE = 'd',
    BUCKET_SUMS_BLOCKS_MAX = 32, /* Partitions that a batch may have. */
};

struct bucket_leaf {
    struct bucket_sum sum;
    uint64_t count; /* Of records. */
};

bool bucket_leaf_equal(const struct bucket_leaf *a,
                       const struct bucket_leaf *b);

struct bucket_sums;

/* KIST_NO_MEMORY. All are zero. Ended by bucket_sums_free(). */
KIST_CHECKED enum kist_status bucket_sums_new(unsigned bits, uint64_t cluster,
                                              struct bucket_sums **out_sums);
void bucket_sums_free(struct bucket_sums *sums); /* Takes NULL. */

unsigned bucket_sums_bits(const struct bucket_sums *sums);

/* Of a partition's leaf, or of a whole partition: KEY_HASH_ALL_LEAVES. */
struct bucket_leaf bucket_sums_of(struct bucket_sums *sums, unsigned partition,
                                  unsigned leaf);

/* The leaf, one of the caller's own, has this record, too. */
void bucket_sums_add(const struct bucket_sums *sums, struct bucket_leaf *leaf,
                     struct view key, const struct record *record);

/* What a batch in the making does to the sums. */
struct bucket_changes {
    struct bucket_change *changes;
    size_t count;
    size_t capacity;

    /* What is in the batch besides, from bucket_sums_put() on. */
    struct blob log;
    unsigned blocks[BUCKET_SUMS_BLOCKS_MAX]; /* Partitions. */
    unsigned block_count;
    unsigned next_block;
    bool is_pass_over;
    uint64_t forgotten; /* Entries. */
};

void bucket_changes_end(struct bucket_changes *changes); /* Keeps little. */
void bucket_changes_free(struct bucket_changes *changes);

/*
 * The key with this hash has next now, and had old; NULL: none. Of a record,
 * what bucket_add() counts matters. KIST_NO_MEMORY: nothing was noted.
 */
KIST_CHECKED enum kist_status bucket_sums_note(const struct bucket_sums *sums,
                                               struct bucket_changes *changes,
                                               uint64_t hash, struct view key,
                                               const struct record *old,
                                               const struct record *next);

/*
 * The sum of the leaf, as of the last batch, should have been right; at most
 * once a leaf and batch. KIST_NOT_FOUND: it is. KIST_NO_MEMORY: nothing was
 * noted.
 */
KIST_CHECKED enum kist_status
bucket_sums_note_right(const struct bucket_sums *sums,
                       struct bucket_changes *changes, unsigned partition,
                       unsigned leaf, const struct bucket_leaf *right);

/* Add to batch what the sums will be; nothing can be taken back any more. */
void bucket_sums_put(const struct bucket_sums *sums,
                     struct bucket_changes *changes,
                     struct engine_batch *batch);

/* That batch was applied. */
void bucket_sums_applied(struct bucket_sums *sums,
                         const struct bucket_changes *changes);

/* All are zero again. */
void bucket_sums_clear(struct bucket_sums *sums);

/*
 * An entry of the engine, without its space; all of 'b' before all of 'd'.
 * KIST_CORRUPT: it is none of these sums'.
 */
KIST_CHECKED enum kist_status bucket_sums_load(struct bucket_sums *sums,
                                               char space, struct view key,
                                               struct view value);

/*
 * For who makes the sums. Add to batch the partitions of which there is no
 * word yet, from *partition on, up to so many bytes; and when all of that is
 * applied, there are no entries.
 */
void bucket_sums_put_behind(const struct bucket_sums *sums, unsigned *partition,
                            size_t limit, struct engine_batch *batch);
void bucket_sums_settled(struct bucket_sums *sums);

#endif
