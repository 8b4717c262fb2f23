/*
 * replica_list - what a node of a cluster has of a part of the ring: the sum,
 * the list of keys with what tells their copies apart, and whole records.
 *
 * Dead records are told as well: other nodes may still have what they replace.
 *
 * Threads: any. replica_list_sum() does not block, but for the moment in which
 * a commit enters its sums. What blocks reads the engine, as store_get() does:
 * a page of 64 entries takes some tens of microseconds where the tables are in
 * memory, and a disk's time where they are not.
 */
#ifndef KIST_STORAGE_REPLICA_LIST_H
#define KIST_STORAGE_REPLICA_LIST_H

#include "storage/key_hash.h"
#include "storage/replica_index.h"
#include "storage/store.h"

/* Of the records of a partition's leaf, or of all: KEY_HASH_ALL_LEAVES. */
struct bucket_leaf replica_list_sum(struct store *store, unsigned partition,
                                    unsigned leaf);

struct replica_visitor {
    void *ctx;
    /* Returns whether to go on. Must not ask the store. */
    bool (*entry)(void *ctx, const struct replica_entry *entry);
};

/*
 * Visit the entries of range by hash and then by key, from the first one
 * behind the key `after` on (empty: the first of all), until the visitor stops
 * or there are no more. KIST_READ_ONLY: the engine is away. KIST_CORRUPT,
 * KIST_IO, KIST_NO_MEMORY. Blocks.
 */
KIST_CHECKED enum kist_status
replica_list(struct store *store, struct key_hash_range range,
             struct view after, const struct replica_visitor *visitor);

/*
 * The entry of one key, which it borrows. KIST_NOT_FOUND: there is none. Else
 * as above. Blocks.
 */
KIST_CHECKED enum kist_status
replica_list_find(struct store *store, struct view key,
                  struct replica_entry *out_entry);

/*
 * Whole records in the same order, in slices. A scan remembers no more than
 * the last key, so it holds nothing between slices, and sees each record that
 * existed throughout exactly once, as it is when its turn comes.
 */
struct replica_scan {
    struct store *store;
    struct key_hash_range range;
    struct blob after; /* The last key that was looked at. */
    bool done;         /* There are no more. */
};

/* after: where another scan of the range was; empty: at the first. Copied. */
KIST_CHECKED enum kist_status replica_scan_init(struct replica_scan *scan,
                                                struct store *store,
                                                struct key_hash_range range,
                                                struct view after);
void replica_scan_clear(struct replica_scan *scan);

struct replica_reader {
    void *ctx;
    /*
     * Borrows key and record. Returns whether to go on; what it was told is
     * done with either way.
     */
    bool (*record)(void *ctx, struct view key, const struct record *record);
};

/*
 * Read on until the reader stops, `limit` keys were looked at, or there are no
 * more. KIST_CORRUPT: a record failed its checksum; the scan is behind it.
 * KIST_READ_ONLY, KIST_IO, KIST_NO_MEMORY: it is where it was. Blocks.
 */
KIST_CHECKED enum kist_status
replica_scan_run(struct replica_scan *scan, const struct replica_reader *reader,
                 size_t limit);

#endif
