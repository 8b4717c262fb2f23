/*
 * hints - writes that an owner missed, kept for when it is back.
 *
 * An owner that was away catches up within seconds this way, and without being
 * compared. Hints are kept in memory, within a limit, for a while: what does
 * not fit, what is too old and what a crash takes along is found by comparing
 * (replication/anti_entropy.h), which nothing here can take the place of.
 *
 * A hint is for whoever owns its key. If that is not the one that missed it
 * any more when it is due, it goes to the owners of then. Of one key only the
 * newest record is kept for each. A hint ends when its target says that the
 * record, or a newer one, is durable there.
 */
#ifndef KIST_REPLICATION_HINTS_H
#define KIST_REPLICATION_HINTS_H

#include "base/metric.h"
#include "replication/seat.h"

struct hints_stats {
    struct counter added;
    struct counter delivered;
    struct counter dropped; /* For want of room. */
    struct counter expired; /* Too old. */
    struct counter moved;   /* To other owners. */
    struct gauge pending;
    struct gauge bytes;
    struct gauge oldest_ms; /* When the oldest came (mono_ms); 0: none. */
};

struct hints {
    /* Set by the caller. */
    struct seat *seat;  /* Kept. */
    size_t limit_bytes; /* Of all. */
    uint64_t age_ms;
    uint64_t timeout_ms; /* Of a delivery. */
    uint64_t retry_ms;   /* After a delivery that failed; doubles to 32 x. */

    struct hints_stats stats;

    /* Its own. */
    struct hints_target *targets;
    size_t bytes;
    bool is_stopped;
};

/*
 * This owner has missed that record. Copies it; drops it if there is no room.
 */
void hints_add(struct hints *hints, uint64_t target, struct view key,
               const struct record *record);

/* The target is heard of again: deliver now, and not when the wait is over. */
void hints_wake(struct hints *hints, uint64_t target);

/* No more deliveries. One that is under way ends by itself. */
void hints_stop(struct hints *hints);

/* Nothing is under way any more. Leaves it empty, for use anew. */
void hints_clear(struct hints *hints);

#endif
