/*
 * change - a node's part in changes of the ring: it follows, and it drives.
 *
 * A change is two decrees (replication/decree.h): the pending ring, by which
 * writes reach current and next owners and reads ask both; and, when every
 * partition that moves is there, the ring after it. Or the one before, if the
 * change is given up. Whoever proposed the first need not see the second:
 * while a change is pending every member that stays asks the others how far
 * they are, the first of them often and the later ones seldom, and proposes
 * the end when it is due.
 *
 * A node follows a ring that was decided on, whoever it hears it from. It is
 * at the new ring when that is durable here, not before, because from then on
 * it refuses everybody who is at an older one and must not forget that. What
 * it has of partitions that are about to move to it is from another time, when
 * it owned them before, and is dropped first: a deletion may have come and
 * gone since (replication/transfer.h brings what is there now).
 *
 * Nobody waits for all: a partition moves when enough of its own owners are at
 * the pending ring. A member that is away holds up what it is needed for.
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_CHANGE_H
#define KIST_REPLICATION_CHANGE_H

#include "replication/decree.h"
#include "replication/herald.h"
#include "replication/progress.h"
#include "replication/ring_plan.h"
#include "replication/transfer.h"

#define CHANGE_NAME "ring" /* Of what it keeps (struct env_keep). */

struct change {
    /* Set by the caller. */
    struct seat *seat; /* Kept. */
    uint64_t tick_ms;  /* How often the first driver looks. */
    uint64_t timeout_ms;
    uint64_t bytes_per_s; /* Of what moves here; 0: any number. */
    /* A driver's floor is higher than ours (replication/floor.h). */
    void (*floor_heard)(struct change *change, uint64_t level);
    /* This node went on to another ring: the seat's. NULL: nobody cares. */
    void (*adopted)(struct change *change);
    /*
     * What was asked for by change_plan() or change_abort() was decided on
     * (KIST_OK), or something else was (KIST_CONFLICT), or nothing that this
     * node knows of (KIST_UNKNOWN). NULL: nobody cares.
     */
    void (*settled)(struct change *change, enum kist_status status);

    /* Its own. */
    struct decree decree;
    struct transfer transfer;
    struct herald herald;
    struct progress progress;
    struct env_timer tick;
    bool is_stopped;
    bool is_asked;     /* The proposal under way is a person's. */
    uint64_t proposed; /* Its digest. */

    struct blob bytes; /* Of the seat's ring. */

    /* The next ring, until it is durable; NULL: there is none. */
    const struct ring *coming;
    struct blob coming_bytes;
    unsigned partition; /* The next one to drop. */
    struct env_drop drop;
    struct env_keep keep;
};

/*
 * Begin with what was kept under CHANGE_NAME and DECREE_NAME. Nothing: first,
 * whose share is taken, is the ring; NULL: this node belongs to no cluster
 * until it is told of a ring that it is in. KIST_CORRUPT: what was kept cannot
 * be read. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status change_start(struct change *change,
                                           struct view kept_ring,
                                           struct view kept_decree,
                                           const struct ring *first);

/* bytes_per_s, from now on. */
void change_set_rate(struct change *change, uint64_t bytes_per_s);

/* Begins nothing more; what is under way ends by itself. */
void change_stop(struct change *change);

/* Nothing is under way any more. Leaves the seat its ring. */
void change_clear(struct change *change);

/*
 * Propose a change of members, or to give up the pending one; then settled is
 * called, once. KIST_CONFLICT: a change is pending already, or none is.
 * KIST_INVALID: as ring_plan_change() says. KIST_BUSY: another proposal of
 * this node is not over. KIST_NO_MEMORY. Nothing was begun then.
 */
KIST_CHECKED enum kist_status change_plan(struct change *change,
                                          const struct ring_change *what);
KIST_CHECKED enum kist_status change_abort(struct change *change);

/* A ring that was decided on, from whoever; nothing, if it is not to follow. */
void change_learn(struct change *change, struct view ring);

/* As struct seat's hooks of these names. */
void change_notice(struct change *change, uint64_t incarnation, uint64_t epoch);
void change_receive(struct change *change, const struct frame *frame,
                    struct replica_caller *caller);

#endif
