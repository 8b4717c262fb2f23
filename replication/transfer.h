/*
 * transfer - a new owner fetches what it will own, before it does.
 *
 * While a change of the ring is pending, live writes reach the new owner of a
 * partition already, and what was written before is fetched: by comparing, as
 * between two owners, in one direction and within a rate. What an earlier
 * attempt brought over is not brought again, and a record may come twice.
 *
 * One source is not enough. A write that was acknowledged by a majority may be
 * missing on any single owner; so a partition is done when as many current
 * owners were fetched from as have at least one in common with every majority.
 * Then the new owner has everything that a majority of the owners had when the
 * change began, and takes part in all majorities since. The owner that loses
 * the partition is always asked, too, unless it does not answer: a write that
 * was acknowledged by fewer may be there alone.
 *
 * A source answers only when what it voted for under older rings is stored
 * (replication/seat.h): that is the barrier between the rings.
 */
#ifndef KIST_REPLICATION_TRANSFER_H
#define KIST_REPLICATION_TRANSFER_H

#include "base/metric.h"
#include "replication/exchange.h"

struct transfer_stats {
    struct counter fetched;  /* Records. */
    struct counter bytes;    /* Of these. */
    struct counter looks;    /* Of a partition, at a source, to the end. */
    struct counter failures; /* Of exchanges with a source. */
    struct gauge total;      /* Partitions that move here now. */
    struct gauge done;       /* Of those. */
};

struct transfer_part;

struct transfer {
    /* Set by the caller. */
    struct seat *seat; /* Kept. */
    uint64_t timeout_ms;
    uint64_t retry_ms;    /* After all sources were tried. */
    uint64_t bytes_per_s; /* 0: any number. */

    struct transfer_stats stats;

    /* Its own. */
    unsigned total, done;    /* Partitions that move here. */
    unsigned looks;          /* Sources of partitions that we have all of. */
    uint64_t began_ms;       /* env's mono_ms. */
    uint64_t fetched, bytes; /* Since then. */
    uint64_t noted, noted_bytes; /* Of these, of the exchange at hand. */
    const struct ring *ring; /* A share: the pending one; NULL: not begun. */
    struct transfer_part *parts; /* One for each partition. */
    bool *deaf;                  /* One for each member: did not answer. */
    unsigned source;             /* The member at hand. */
    struct exchange exchange;
    bool is_busy;
    bool is_stopped;
    struct env_timer timer;
};

/*
 * The seat is at another ring: fetch what moves here by that one, or nothing
 * any more.
 */
void transfer_follow(struct transfer *transfer);

/* Begins nothing more; what is under way ends by itself. */
void transfer_stop(struct transfer *transfer);

/* Nothing is under way any more. */
void transfer_clear(struct transfer *transfer);

/* How many partitions of this ring move to the member. */
unsigned transfer_count(const struct ring *ring, uint64_t incarnation);

/* How far it is. */
struct frame_moved transfer_moved(const struct transfer *transfer);

#endif
