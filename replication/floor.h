/*
 * floor - below which time nothing new comes, so that deletions can go.
 *
 * A deletion is a record. If it were taken away while any copy of an older
 * record of its key is still about (at an owner that was down, in a message),
 * that would be alive again. So there is a floor, a version: what is dead and
 * below it may go, and what is below it and not here is never taken in again.
 * It is raised in steps, each of which every member has taken before the next
 * is begun, and so that nobody lacks what somebody has:
 *
 *   fence     No write of a client, nor a hint, is taken below this any more.
 *   mark      From now on, notice with whom you were compared.
 *   compared  With every other owner of what you own, from the beginning,
 *             since the mark? Then every owner has all there is below.
 *   floor     Take nothing in below this, from wherever it comes, unless it is
 *             here.
 *   purge     What is dead and below can go: nobody will ask you for it, nor
 *             bring you what it deleted.
 *
 * A member that is away holds all of this up until it is back, or is no member
 * any more. A change of the ring ends it; the next attempt begins anew. Time,
 * the grace, is only what makes the fence refuse nobody.
 *
 * The first member that may be expected drives. Two drivers are no harm.
 *
 * A member has taken a step when all of its seats have, and what they began
 * before is stored (replication/seat.h).
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_FLOOR_H
#define KIST_REPLICATION_FLOOR_H

#include "base/metric.h"
#include "replication/replica.h"

#define FLOOR_NAME "floor" /* Of what it keeps (struct env_keep). */

/* As versions' hlc. purge <= floor <= fence. */
struct floor_levels {
    uint64_t fence, floor, purge;
};

struct floor_stats {
    struct counter raised; /* Floors of this node. */
    struct counter purged; /* Records. */
    struct gauge floor_ms; /* Since 1970; 0: there is none yet. */
};

struct floor {
    /* Set by the caller. */
    struct seat *seat; /* Kept; gets its fence and floor here. */
    uint64_t tick_ms;  /* How often the driver looks. */
    uint64_t timeout_ms;
    uint64_t grace_ms;    /* The floor is at least so far back. */
    uint64_t interval_ms; /* It is raised by at least so much. */
    /* The seat has another fence or floor. NULL: nobody cares. */
    void (*raised)(struct floor *floor);

    struct floor_stats stats;

    /* Its own: what it said. */
    struct floor_levels levels; /* Durable. */
    struct floor_levels coming; /* On their way to the disk. */
    struct env_keep keep;
    struct blob kept;
    bool is_keeping; /* Until it is durable, and the seats are settled. */
    struct env_timer settle;       /* Looks whether they are. */
    struct replica_caller *caller; /* Waits for that; NULL: nobody. */
    struct frame asked;            /* What the caller asked; without body. */

    uint64_t mark; /* The level of the last mark; 0: none. */
    uint64_t mark_ms;
    uint64_t *compared; /* Since then, with these: compared_count of them. */
    unsigned compared_count, compared_room;

    struct env_drop drop;
    unsigned partition; /* The next one to purge. */
    unsigned to_purge;  /* From there on, round and round. */
    bool is_purging;

    /* Driving. */
    enum frame_floor_step step; /* That members are asked to take. */
    uint64_t level;             /* 0: nothing is driven. */
    unsigned turn;              /* The member at hand. */
    unsigned patience;          /* So many more looks. */
    bool is_asking;
    const struct ring *ring; /* A share, while asking: has the address. */
    struct env_call call;
    struct replica_caller self; /* Where our own answer goes. */
    struct blob message;
    struct env_timer tick;
    struct env_timer later; /* Goes on with a purge that failed. */
    bool is_stopped;
};

/*
 * Begin with what was kept under FLOOR_NAME; empty: nothing was. The seat has
 * its ring. KIST_CORRUPT: it cannot be read; this node must not begin then.
 */
KIST_CHECKED enum kist_status floor_start(struct floor *floor,
                                          struct view kept);

/* Begins nothing more; what is under way ends by itself. */
void floor_stop(struct floor *floor);

/* Nothing is under way any more. */
void floor_clear(struct floor *floor);

/* The seat is at another ring. */
void floor_follow(struct floor *floor);

/*
 * A comparison with this peer, of all that both own, that began then
 * (env's mono_ms) has ended well.
 */
void floor_compared(struct floor *floor, uint64_t peer, uint64_t began_ms);

/* The members have had this floor, and this node may have missed it. */
void floor_learn(struct floor *floor, uint64_t level);

/* A frame of FRAME_FLOOR, from a peer at the same ring. */
void floor_receive(struct floor *floor, const struct frame *frame,
                   struct replica_caller *caller);

#endif
