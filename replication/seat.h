/*
 * seat - this node's place in its cluster: its env, its clock, its ring.
 *
 * What coordinates and what answers peers share it, one for each loop.
 */
#ifndef KIST_REPLICATION_SEAT_H
#define KIST_REPLICATION_SEAT_H

#include "replication/env.h"
#include "replication/frame.h"
#include "replication/ring.h"
#include "replication/timekeeper.h"

struct seat {
    struct env *env; /* Kept. */
    struct timekeeper clock;
    const struct ring *ring; /* Kept. */
    uint64_t digest;         /* Of the ring's bytes. */

    void *ctx;
    /* Whether a member may be expected to answer. NULL: all may. */
    bool (*is_alive)(void *ctx, uint64_t incarnation);
    /*
     * A write is over, and this owner has not said that it has it. The bytes
     * are borrowed. NULL: nobody wants to know.
     */
    void (*missed)(void *ctx, uint64_t incarnation, struct view key,
                   const struct record *record);
};

bool seat_expects(const struct seat *seat, uint64_t incarnation);

/* A frame's head from this seat: epoch, digest, both ends, wall clock. */
struct frame seat_head(const struct seat *seat, enum frame_kind kind,
                       uint64_t to);

#endif
