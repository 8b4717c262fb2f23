/*
 * scan - an ordered listing in slices.
 *
 * A scan remembers no more than where it is, as a key; every slice opens a
 * cursor of its own and seeks there. So a listing of any length holds nothing
 * in the engine between slices, can be continued by another request, and sees
 * each key that existed unchanged throughout exactly once.
 *
 * Threads: one at a time; scan_run() may block and belongs on the pool.
 */
#ifndef KIST_STORAGE_SCAN_H
#define KIST_STORAGE_SCAN_H

#include "storage/store.h"

/* Which keys: start <= key < end, with the prefix. Empty: no bound. */
struct scan_range {
    struct view prefix;
    struct view start;
    struct view end;
    /* Keys with it behind the prefix are told once, as a common prefix. */
    struct view delimiter;
    bool reverse;
};

struct scan;
struct scan_visitor;

/* Records that are not in a store: storage/redis_scan.h. */
struct scan_source {
    void *ctx;
    /* As scan_run(), for some number of steps. */
    enum kist_status (*run)(void *ctx, struct scan *scan,
                            const struct scan_visitor *visitor,
                            uint64_t now_ms);
};

struct scan {
    struct store *store;
    const struct scan_source *source; /* Instead of store; or NULL. */

    /* For the source, set by the caller. */
    size_t expected; /* The visitor will stop after about so many; 0: many. */
    bool values;     /* Else records come without, but with their size. */

    struct blob lower;  /* Next keys are >= lower ... */
    struct blob upper;  /* ... and < upper; empty: no bound. */
    size_t prefix_size; /* Of the range; common prefixes begin behind it. */
    struct blob delimiter;
    bool reverse;
    bool done; /* The range is exhausted. */
};

/* Copies the range. Ended by scan_clear(), also after a failure. */
KIST_CHECKED enum kist_status scan_init(struct scan *scan, struct store *store,
                                        const struct scan_range *range);
void scan_clear(struct scan *scan);

/* Where a later scan of the same range goes on; and doing that. */
struct view scan_position(const struct scan *scan);
KIST_CHECKED enum kist_status scan_resume(struct scan *scan,
                                          struct view position);

/* Each returns whether to go on; what it was told is done with either way. */
struct scan_visitor {
    void *ctx;
    bool (*key)(void *ctx, struct view key, const struct record *record);
    bool (*common_prefix)(void *ctx, struct view prefix);
};

/*
 * Visit living records in order until the visitor stops, `steps` records were
 * looked at, or the range is done. KIST_CORRUPT: a record failed its checksum
 * (its key stays ahead: the next slice fails again). KIST_READ_ONLY: the engine
 * is away, as in store_get(). KIST_IO; KIST_NO_MEMORY: the place is lost.
 */
KIST_CHECKED enum kist_status scan_run(struct scan *scan,
                                       const struct scan_visitor *visitor,
                                       uint64_t now_ms, size_t steps);

/*
 * For records that come from elsewhere, in the order of the scan: what
 * scan_run() does with each that it finds. *out_go_on is the visitor's.
 */
KIST_CHECKED enum kist_status scan_tell(struct scan *scan,
                                        const struct scan_visitor *visitor,
                                        struct view key,
                                        const struct record *record,
                                        uint64_t now_ms, bool *out_go_on);

#endif
