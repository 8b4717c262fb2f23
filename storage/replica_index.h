/*
 * replica_index - a node's records in the order of their keys' hashes, for
 * comparing them with those of other nodes and for moving them.
 *
 * On a store of a cluster, the batch that changes a record also has its entry
 * here: 'i' + hash (8) + key -> version (16), flags (1: tombstone), expiry (8);
 * and the sum of its leaf (storage/bucket_sums.h). So a part of the ring is a
 * contiguous run of entries, and what tells two copies of a record apart is
 * known without reading records.
 *
 * Read through storage/replica_list.h.
 *
 * Threads: the committing one.
 */
#ifndef KIST_STORAGE_REPLICA_INDEX_H
#define KIST_STORAGE_REPLICA_INDEX_H

#include "storage/bucket_sums.h"

enum {
    REPLICA_INDEX_SPACE = 'i',
    REPLICA_INDEX_VALUE_SIZE = 25,
    REPLICA_INDEX_HASH_SIZE = 8, /* What an entry's key has before the key. */
};

/*
 * Add to batch and changes that key has next now, and had old; NULL: none.
 * KIST_NO_MEMORY: nothing was noted in changes.
 */
KIST_CHECKED enum kist_status
replica_index_enter(const struct bucket_sums *sums,
                    struct bucket_changes *changes, struct engine_batch *batch,
                    struct view key, const struct record *old,
                    const struct record *next);

/* What tells copies apart. */
struct replica_entry {
    struct view key;
    struct version version;
    bool tombstone;
    uint64_t expiry_ms;
};

/*
 * An entry of the engine without its space: hash and key. Borrows both.
 * KIST_CORRUPT: that cannot be.
 */
KIST_CHECKED enum kist_status
replica_index_decode(struct view place, struct view value,
                     struct replica_entry *out_entry);

/* Appends the hash and the key. */
void replica_index_place(struct view key, struct blob *out);

#endif
