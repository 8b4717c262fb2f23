/*
 * seat - this node's place in its cluster: its env, its clock, its ring.
 *
 * What coordinates and what answers peers share it, one for each loop.
 *
 * The ring of a seat is replaced by the next one while operations of the old
 * one are under way; those have shares in it (replication/ring.h). A node that
 * has gone on to the next ring answers nobody any more who has not, but what
 * it began to store before then may still be on its way to its disk. Who
 * copies from it must not begin before that is over: seat_is_drained(). The
 * same holds for who relies on a new floor. So each such step begins a phase,
 * and a node is through with what was before only when all its seats are
 * (replication/seats.h). The home loop's seat takes the steps; those of other
 * loops follow it.
 */
#ifndef KIST_REPLICATION_SEAT_H
#define KIST_REPLICATION_SEAT_H

#include "replication/env.h"
#include "replication/frame.h"
#include "replication/quorum_stats.h"
#include "replication/ring.h"
#include "replication/seats.h"
#include "replication/timekeeper.h"

struct replica_caller;

struct seat {
    struct env *env; /* Kept. */
    struct timekeeper clock;
    /* A share of it; seat_adopt() sets it. NULL: none yet, nothing is begun. */
    const struct ring *ring;
    uint64_t digest; /* Of the ring's bytes. */
    bool is_member;  /* Of the ring: who is not, coordinates nothing. */

    /*
     * Nothing of a client is taken in below the fence, nor anything that is
     * not here below the floor (replication/floor.h).
     */
    struct version fence, floor;

    /* The seats of the node, and the place of this one; NULL: it is alone. */
    struct seats *all; /* Kept. */
    unsigned number;

    /* Records that the store is not done with: begun in this phase, or in one
     * before it. */
    uint64_t phase;
    unsigned storing;
    unsigned storing_before;

    struct quorum_stats *stats; /* Kept; may be shared. NULL: nobody counts. */

    void *ctx;
    /*
     * Whether a member may be expected to answer, and whether it may be
     * expected to take a write. NULL: all may.
     */
    bool (*is_alive)(void *ctx, uint64_t incarnation);
    bool (*takes_writes)(void *ctx, uint64_t incarnation);
    /*
     * A write is over, and this owner has not said that it has it. The bytes
     * are borrowed. NULL: nobody wants to know.
     */
    void (*missed)(void *ctx, uint64_t incarnation, struct view key,
                   const struct record *record);
    /*
     * A frame shows that a peer has another ring, older or newer. NULL:
     * nobody wants to know.
     */
    void (*differs)(void *ctx, uint64_t incarnation, uint64_t epoch);
    /*
     * A frame about rings came (replication/change.h) or floors, to be answered
     * as replica_receive() would. NULL: it is refused.
     */
    void (*on_ring)(void *ctx, const struct frame *frame,
                    struct replica_caller *caller);
};

/* The first ring, or the next. Takes a share of it. A phase begins. */
void seat_adopt(struct seat *seat, const struct ring *ring, uint64_t digest);

/* From now on, these. A phase begins. */
void seat_hold(struct seat *seat, struct version fence, struct version floor);

/* What a seat has by its node's decisions, for the others to have, too. A ring
 * of epoch 0, which is nobody's but home's, they do not get. */
struct seat_orders {
    uint64_t phase;
    const struct ring *ring; /* A share; NULL: none yet. */
    uint64_t digest;
    struct version fence, floor;
};

struct seat_orders seat_orders_of(const struct seat *seat);

/* The same phase, and what belongs to it. Takes the share. */
void seat_follow(struct seat *seat, const struct seat_orders *orders);

bool seat_expects(const struct seat *seat, uint64_t incarnation);
bool seat_expects_write(const struct seat *seat, uint64_t incarnation);

/* What a frame says about its sender's ring is passed on, if it differs. */
void seat_notice(const struct seat *seat, const struct frame *frame);

/*
 * Around each record that is stored because an owner of this ring was asked to,
 * and that is counted as a vote: begin gives the phase that end wants back.
 */
uint64_t seat_begin_storing(struct seat *seat);
void seat_end_storing(struct seat *seat, uint64_t phase);

/*
 * Every seat of the node is in this phase, and nothing that any of them began
 * before it, under an older ring or floor, is on its way to the store.
 */
bool seat_is_drained(const struct seat *seat);

/* A frame's head from this seat: epoch, digest, both ends, wall clock. */
struct frame seat_head(const struct seat *seat, enum frame_kind kind,
                       uint64_t to);

#endif
