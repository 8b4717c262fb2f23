/*
 * store - the durable map behind one node: records by key, in one engine.
 *
 * The store decides when writes may happen at all:
 *
 *   READ_WRITE --- disk low, or a write failed for space ---> READ_ONLY
 *   READ_ONLY  --- space is back; the engine, if poisoned, is closed,
 *                  opened again and proved with a canary ---> READ_WRITE
 *   any        --- another write error, or a failed reopen --> DOWN
 *   DOWN       --- a later reopen succeeds -----------------> READ_WRITE
 *
 * A write error that is not about space ends the process (hooks.failed): what
 * is really on disk is only known by recovery. Reads go on in READ_ONLY.
 *
 * Keys of the engine: 'k' + key: record; 'x' + expiry (8 bytes) + key: what
 * the sweep looks for; 'l' + file: the key of a large value
 * (storage/large_entry.h); 'm' + name: identity, clock lease, canary; in a
 * cluster also 'i', 'b', 'd' and 'r' (storage/replica_index.h).
 *
 * Threads: store_get() and cursors (storage/cursor.h) from any; store_apply()
 * from one at a time; store_check() from one at a time; store_close() last.
 */
#ifndef KIST_STORAGE_STORE_H
#define KIST_STORAGE_STORE_H

#include "base/metric.h"
#include "storage/engine.h"
#include "storage/engine_kind.h"
#include "storage/hlc.h"
#include "storage/large.h"
#include "storage/record.h"
#include "storage/store_read.h"

#define STORE_KEY_MAX 1024

/* The first byte of a record's key in the engine. */
#define STORE_SPACE_RECORDS 'k'

struct bucket_sums;
struct cache;
struct store;

enum store_state {
    STORE_READ_WRITE,
    STORE_READ_ONLY,
    STORE_DOWN,
};

const char *store_state_name(enum store_state state);

/* Whose part of the world's records these are. */
struct store_replication {
    unsigned bits;    /* 2^bits partitions of the hashes of keys. */
    uint64_t cluster; /* Which cluster's records these are. */
};

struct store_options {
    const char *path;             /* The data directory. */
    enum engine_kind kind;        /* Which engine keeps it, for ever. */
    struct engine_options engine; /* path is ours to set. */
    uint64_t cache_bytes;         /* Of records in memory; 0: none. */
    uint64_t reserve_bytes;       /* Writes stop below it; 0: automatic. */
    uint64_t ballast_bytes;       /* 0: automatic. */
    /*
     * NULL: a node alone. Else deletions and expired records are kept, as
     * older copies of them may come from elsewhere; readers skip them. A
     * directory that has no index yet gets one: storage/replica_open.h. Needed
     * during the open only.
     */
    const struct store_replication *replicated;
};

struct store_hooks {
    void *ctx;
    /* The state changed: any thread, no lock held. why is for people. */
    void (*moved)(void *ctx, enum store_state from, enum store_state to,
                  const char *why);
    /* A write error that only a restart resolves: the process must end. */
    void (*failed)(void *ctx, const char *why);
};

/*
 * Open or create options->path. KIST_BUSY: another process has it.
 * KIST_CORRUPT, KIST_DISK_FULL, KIST_INVALID (not a data directory of ours, or
 * another cluster's), KIST_IO; *out_fault says what to do. hooks are copied.
 */
KIST_CHECKED enum kist_status store_open(const struct store_options *options,
                                         const struct store_hooks *hooks,
                                         struct engine_fault *out_fault,
                                         struct store **out_store);

/*
 * Every cursor was closed before. Writes out what is in memory unless writes
 * are stopped or the engine is busy: the next open is quick. Takes NULL.
 */
void store_close(struct store *store);

/* Where values lie that are too large for the engine. */
struct large *store_large(struct store *store);

/*
 * Bring a large value into memory: item->record.value is its bytes then, and
 * no longer large; other items are left alone. KIST_TOO_LARGE: it has more
 * than limit bytes. KIST_NOT_FOUND: it was replaced meanwhile, get it again.
 * KIST_CORRUPT: it is damaged or lost. KIST_BUSY, KIST_IO, KIST_NO_MEMORY. The
 * item is as before then. Blocks.
 */
KIST_CHECKED enum kist_status store_load(struct store *store, struct view key,
                                         struct item *item, uint64_t limit);

/*
 * Which key uses this file: appended to *out_key. KIST_NOT_FOUND: none does.
 * Failures as store_get().
 */
KIST_CHECKED enum kist_status
store_large_key(struct store *store, const struct large_reference *reference,
                struct blob *out_key);

/*
 * A batch's operations for one key. store_batch_put() says where the encoded
 * record lies. An expiry is entered for the sweep with the record that has it;
 * when that record goes, store_batch_unexpire() takes it out.
 */
struct engine_place store_batch_put(struct engine_batch *batch, struct view key,
                                    struct view encoded, uint64_t expiry_ms);
void store_batch_erase(struct engine_batch *batch, struct view key);
void store_batch_unexpire(struct engine_batch *batch, struct view key,
                          uint64_t expiry_ms);
void store_batch_lease(struct engine_batch *batch, uint64_t lease_ms);

/* How often the engine was opened. What was read before may be untrue after. */
uint64_t store_opening(const struct store *store);

/*
 * Write the batch whole or not at all. KIST_DISK_FULL, KIST_READ_ONLY,
 * KIST_IO, KIST_NO_MEMORY: nothing was written. KIST_BUSY: nor then, because
 * the engine has been catching up for half a second. KIST_UNKNOWN: it may or
 * may not survive a restart. KIST_READ_ONLY is also the answer to a batch that
 * was made before this opening, which may have brought an unknown write to
 * light.
 */
KIST_CHECKED enum kist_status store_apply(struct store *store,
                                          const struct engine_batch *batch,
                                          uint64_t opening,
                                          enum engine_sync sync);

/* Once a second, on a thread that may block: disk level, reopening. */
void store_check(struct store *store);

enum store_state store_state(const struct store *store);

/* KIST_OK, or what a write would get now: KIST_DISK_FULL, KIST_READ_ONLY. */
KIST_CHECKED enum kist_status store_writable(const struct store *store);

struct hlc *store_clock(struct store *store);

/* The sums of a store of a cluster (storage/replica_list.h); NULL: alone. */
struct bucket_sums *store_sums(const struct store *store);

struct store_stats {
    struct histogram read_time;
    struct histogram write_time;
    struct counter read_errors;
    struct counter write_errors;
    struct counter corrupt_records;
    struct counter reopens;
};

struct store_stats *store_stats(struct store *store);

/* For storage/store_read.c and who counts; NULL: there is none. */
struct cache *store_cache(struct store *store);

/*
 * The engine for a while, or NULL while it is down; it is not replaced until
 * store_return_engine(), by the same thread. For storage/cursor.c.
 */
struct engine *store_borrow_engine(struct store *store);
/* For who may have it already: also NULL if a reopen is waiting for it. */
struct engine *store_try_borrow_engine(struct store *store);
void store_return_engine(struct store *store);

/*
 * One iterator may outlive a borrowing (storage/snapshot.h): it sees the store
 * as of store_pin() until store_unpin(), and is closed before the engine is.
 * Pinning does not wait. KIST_BUSY: there is one. KIST_READ_ONLY: the engine is
 * away. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status store_pin(struct store *store);
void store_unpin(struct store *store);
/* It, and the engine borrowed, or NULL: it was closed. */
struct engine_iterator *store_borrow_pinned(struct store *store);

/* For /metrics and /readyz. Bytes; disk figures as of the last check. */
struct store_gauges {
    uint64_t disk_free;
    uint64_t disk_reserve;
    uint64_t engine_memory;
    uint64_t records_size; /* On disk, roughly. */
    unsigned backlog;      /* Tables waiting at level 0. */
};

void store_gauges(struct store *store, struct store_gauges *out_gauges);

#endif
