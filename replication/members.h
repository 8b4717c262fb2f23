/*
 * members - each member asks each other one twice a second how it is.
 *
 * A beat and its answer say the same of either side: whose data it is, which
 * ring it has, whether its store takes writes, what its clock says. A member
 * is alive while it answers; beats that merely arrive prove nothing of the way
 * back, and have only the effect that this node asks at once. What is heard is
 * written into the roll, where every loop finds it (replication/roll.h), and
 * into the fence, as far as clocks go (replication/fence.h).
 *
 * Before there is a ring the beats carry what nodes need to found one
 * (replication/founding.h), and who has none asks for the one in force.
 *
 * A peer of a known name with another incarnation than the ring has was wiped,
 * or is somebody else: it is a stranger and not counted on.
 *
 * Threads: its env's, which is the home loop's. Beats that arrive on another
 * loop are for this one (members_takes()).
 */
#ifndef KIST_REPLICATION_MEMBERS_H
#define KIST_REPLICATION_MEMBERS_H

#include "replication/fence.h"
#include "replication/founding.h"
#include "replication/replica.h"
#include "replication/roll.h"

#define MEMBERS_BEAT_MS    500
#define MEMBERS_SILENCE_MS 1500 /* Without an answer: not alive. */

struct members {
    /* Set by the caller. */
    struct seat *seat;        /* Kept: the home loop's; gets its ring here. */
    struct fence *fence;      /* Kept, started. */
    struct roll *roll;        /* Kept. */
    struct view name;         /* Kept: this node's. */
    const struct ring *first; /* As founding_start() wants it. */
    uint64_t beat_ms;         /* An answer has most of it to come. */
    uint64_t silence_ms;

    void *ctx; /* Of what follows: the env's thread, from within calls. */
    /*
     * The seat has its ring now; at most once, maybe within members_start().
     * The seats of other loops get theirs from it. It lives as long as this.
     */
    void (*joined)(void *ctx);
    /* Alive, and was not: what it has missed can go to it. */
    void (*returned)(void *ctx, uint64_t incarnation);
    /* For who watches; name is a number in the roll. Both may be NULL. */
    void (*moved)(void *ctx, unsigned number, enum roll_standing from,
                  enum roll_standing to);
    void (*founded)(void *ctx, enum founding_state from,
                    enum founding_state to);

    /* Its own. */
    struct founding founding; /* Its state may be read. */
    struct members_peer *peers;
    struct env_timer tick;
    uint64_t tick_at_ms; /* When it is set for. */
    uint64_t turn_at_ms; /* When all are asked again. */
    int self;            /* This node's number in the roll. */
    enum kist_status status;
    bool is_given; /* The seat had its ring before. */
    bool is_stopped;
};

/*
 * Begin to ask. A seat that has its ring already is taken as it is; else one
 * is found on the disk or founded. Fails as founding_start() does; KIST_INVALID
 * also when there are more members than the roll holds. members_clear() in any
 * case.
 */
KIST_CHECKED enum kist_status members_start(struct members *members);

/*
 * The seat has another ring now (replication/change.h): its members are asked.
 * KIST_INVALID, KIST_NO_MEMORY: some of them are not, nor counted on.
 */
KIST_CHECKED enum kist_status members_follow(struct members *members);

/* Asks nobody any more. Questions that are under way end by themselves. */
void members_stop(struct members *members);

/* Nothing is under way any more. The seat loses the ring that it got here. */
void members_clear(struct members *members);

/* Whether a message is one for members_receive(), not for replica_receive(). */
bool members_takes(struct view message);

/* As replica_receive(). Whoever asks is answered, member or not. */
void members_receive(struct members *members, struct view message,
                     struct replica_caller *caller);

/* A call to this member has failed: ask it now and not at the next turn. */
void members_doubt(struct members *members, uint64_t incarnation);

#endif
