/*
 * commit - one order for all writes of a node.
 *
 * Loops hand over the groups of a turn at once (a lane each). A commit thread
 * takes all that wait, decides each write in order against the records as the
 * writes before it leave them, writes one engine batch, syncs it once, and
 * hands the groups back to their loops, one wake-up a loop. So a condition, a
 * patch or a counter is atomic without any lock on keys, and one fdatasync
 * serves every connection that was waiting.
 *
 * Threads: a lane belongs to its loop; the rest as noted.
 */
#ifndef KIST_STORAGE_COMMIT_H
#define KIST_STORAGE_COMMIT_H

#include "base/loop.h"
#include "storage/condition.h"
#include "storage/store.h"

enum write_kind {
    WRITE_CLIENT, /* What a client wants: decided and stamped here. */

    /*
     * next is a whole record that was stamped elsewhere, or by this node's
     * coordinator. It is kept as it is, or what
     * is there stays, whichever is newer (storage/merge.h). Either way
     * KIST_OK: a record that is at least as new is here, as durable as the
     * group's sync says, and version is its version; unchanged: it was here
     * before. Condition and edit are not looked at. KIST_NOT_FOUND: the file
     * of a large value is not here; bring it first (large_finish_as()).
     * KIST_CONFLICT: it is below the floor, and not here. A record that cannot
     * be read any more is replaced by a copy, or by a newer one; an older one
     * is KIST_CORRUPT.
     */
    WRITE_APPLY,

    /*
     * On a store of a cluster (storage/purge.c): take the record out if it is
     * dead and below the floor, or in any case. Watchers hear nothing.
     * KIST_NOT_FOUND: it stays, or there is none.
     */
    WRITE_PURGE,
    WRITE_DROP,

    /*
     * On a store of a cluster, not about a record: the file that next.value
     * refers to goes, unless a record has come to name it
     * (storage/large_leftover.h).
     */
    WRITE_LEFTOVER,

    /*
     * On a store of a cluster, not about a record: the sum of the leaf that key
     * names (storage/resum.h) is computed anew. Only one of a leaf may be under
     * way. KIST_NOT_FOUND: it was right.
     */
    WRITE_RESUM,

    /*
     * Not about a record. The clock's lease reaches at least to next.expiry_ms
     * (storage/hlc.h); and what is kept below the name `key` is next.value now,
     * or nothing if next is a tombstone (storage/replica_meta.h).
     */
    WRITE_LEASE,
    WRITE_META,

    /*
     * The sweep's (storage/sweep.c): take the record out if it is dead by now,
     * and the sweep's entry at next.expiry_ms. KIST_NOT_FOUND: it is not. In a
     * cluster the dead stay.
     */
    WRITE_EXPIRE,
};

struct write {
    /* Set by the caller, who keeps all bytes until the group is done. */
    enum write_kind kind;
    struct view key;
    struct condition condition;

    /*
     * What the key gets: value, media type, type, expiry, or a tombstone.
     * Version and creation time are the commit's (but WRITE_APPLY's own).
     */
    struct record next;

    /*
     * Of WRITE_PURGE; and of WRITE_APPLY, where none means that there is none,
     * and else what has been purged since counts, too: who set it may not have
     * heard of that yet.
     */
    struct version floor;

    /*
     * Or, if set, called in its turn on the commit thread to make *next from
     * the current record (NULL: none). next starts as a copy of current.
     * Another status than KIST_OK leaves the key alone and becomes the
     * write's; one that sets unchanged leaves it alone and succeeds. Must not
     * block; ctx is the write's own.
     */
    enum kist_status (*edit)(struct write *write, const struct record *current,
                             struct record *next);
    void *ctx;
    bool unchanged; /* Readers see no difference: watchers hear nothing. */

    /*
     * For edit, which gets a large value of up to so many bytes as bytes, and
     * is not called for a larger one: KIST_TOO_LARGE. 0: it gets the record as
     * it is, and may hand its reference on in next.
     */
    uint64_t load_limit;

    /* Set by the commit. */
    enum kist_status status; /* KIST_CONFLICT: the condition did not hold. */
    struct version version;  /* Of the new record; else of the current one. */
    bool created;            /* The key had no value before. */
    uint64_t expiry_ms;      /* Of the new record. */

    /* The commit's own. */
    bool on_pending;    /* Decided on what a write before it did. */
    bool is_unreadable; /* What is there: the index says which one it is. */
};

/*
 * Writes that are handed over and come back together. Kept from
 * commit_lane_add() until done was called.
 */
struct commit_group {
    struct commit_group *next;
    struct write *writes;
    size_t count;
    size_t bytes; /* Memory it holds; counts against the queue's limit. */
    bool atomic;  /* All or nothing: one failed write fails all. */
    enum engine_sync sync;
    /*
     * Bytes of records that its writes may read and make in all; what comes
     * after is KIST_TOO_LARGE. 0: any. A group is one turn of everybody.
     */
    uint64_t work_limit;
    void (*done)(struct commit_group *group); /* On the loop of the lane. */

    /* Set by the commit. */
    enum engine_sync synced; /* What it got: SYNC if any neighbour wanted it. */
    size_t failed; /* Atomic: which write failed, so none happened; count:
                      none did. Not atomic: always count. */

    /* The commit's own. */
    struct commit_lane *lane;
    uint64_t added_ns;
    _Atomic uint64_t work;
    _Atomic size_t parts; /* Of who else decides: that are not done yet. */
};

struct commit;
struct commit_lane;

struct commit_options {
    size_t queue_bytes; /* Limit of all groups that wait or are written. */
    void *ctx;
    /* key has a new record, durable now: commit thread, no lock. */
    void (*changed)(void *ctx, struct view key);

    /*
     * Or, where the records are not in a store (storage/redis.h): somebody
     * else decides. He gets what a lane hands over, linked by next, on the
     * thread of its loop, and calls commit_return() for each. No edit is
     * called on a thread of ours then.
     */
    void (*decide)(void *ctx, struct commit_group *groups);
    /* Whether he takes writes now: as store_writable(). Any thread. */
    enum kist_status (*writable)(void *ctx);
};

/* store: NULL if options->decide is set. */
KIST_CHECKED enum kist_status commit_open(struct store *store,
                                          const struct commit_options *options,
                                          struct commit **out_commit);

/* The group's results are set: back to its loop with it. Any thread. */
void commit_return(struct commit_group *group);

/* Writes what is queued, then ends the thread. Lanes are closed after. */
void commit_close(struct commit *commit);

/* A loop's end of the queue. Closed when nothing of it is in flight. */
KIST_CHECKED enum kist_status commit_lane_open(struct commit *commit,
                                               struct loop *loop,
                                               struct commit_lane **out_lane);
void commit_lane_close(struct commit_lane *lane);

/*
 * Take group into this turn's hand-over. KIST_BUSY: the queue is full.
 * KIST_DISK_FULL, KIST_READ_ONLY: the store takes no writes now. Then nothing
 * happened and done is not called.
 */
KIST_CHECKED enum kist_status commit_lane_add(struct commit_lane *lane,
                                              struct commit_group *group);

/* At the end of each turn of the loop. */
void commit_lane_flush(struct commit_lane *lane);

/* Nothing of this lane waits or is being written. On its loop. */
bool commit_lane_idle(const struct commit_lane *lane);

struct commit_stats {
    struct counter batches;
    struct counter writes;
    struct counter refused; /* KIST_BUSY. */
    struct gauge queued_bytes;
    struct gauge queued_groups;
    struct histogram wait_time; /* From hand-over to hand-back. */
};

struct commit_stats *commit_stats(struct commit *commit);

#endif
