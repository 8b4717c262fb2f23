/*
 * quorum_read - one read: r owners asked, the newest record of theirs.
 *
 * Owners answer with records, dead ones too; an owner that has none has no say
 * against one that has. The newest is the winner, and only the caller makes
 * "not found" of a dead one.
 *
 * With r a majority or more, the winner is durable on a majority before it is
 * answered (it is pushed to those who answered something older, if it must
 * be): so no later read of that kind returns an older one. This is the second
 * phase of the ABD algorithm (Attiya, Bar-Noy, Dolev, 1995).
 *
 * While a change of the ring is pending, r of the current and r of the next
 * owners are asked, and the winner goes to a majority of both: so whoever is
 * at the ring before, or after, has an owner in common with this read, who
 * refuses one of the two. An owner that has nothing yet changes nothing by
 * saying so. When this node, or an owner, goes on to another ring in the
 * middle, everybody is asked anew: an answer from when its owner was not one
 * yet says nothing.
 *
 * A session that passes the version of its last write (`after`) gets that
 * write or a newer one. An owner that has it says so by the version; or else
 * every write that w owners acknowledged is among the answers of n - w + 1.
 */
#ifndef KIST_REPLICATION_QUORUM_READ_H
#define KIST_REPLICATION_QUORUM_READ_H

#include "replication/seat.h"

enum quorum_read_outcome {
    QUORUM_READ_DONE,
    QUORUM_READ_TOO_FEW, /* Not enough owners answered in time. */
};

struct quorum_read;

enum quorum_read_state {
    READ_UNASKED,
    READ_AWAITED,
    READ_ANSWERED, /* Has `version`, or none. */
    READ_REFUSED,  /* The owner is at another ring, or has the file of the
                      winner on its way: it is asked again. */
    READ_FAILED,
    READ_REPAIRING, /* Answered, and the winner is on its way there. */
};

struct quorum_read_vote {
    uint64_t voter; /* Incarnation. */
    enum quorum_read_state state;
    unsigned rows; /* Where the read's ring has it: enum ring_row. */
    struct version version;
    struct quorum_read *read;
    const struct ring *ring; /* A share, while awaited: has the address. */
    struct env_call call;
    struct env_apply apply; /* For the node's own store. */
    uint64_t apply_epoch;   /* Of the ring that it was begun under. */
    uint64_t apply_phase;   /* seat_begin_storing()'s. */
    struct blob message;
};

struct quorum_read {
    /* Set by the caller, who keeps all of it until ended. */
    struct view key;
    unsigned n, r;
    unsigned w;           /* What writes are acknowledged with, for after. */
    struct version after; /* Or none. */
    uint64_t timeout_ms;
    uint64_t hedge_ms; /* So long without an answer: one more is asked. */
    /* Once, with the results set; then ended, once: it may be freed there. */
    void (*answered)(struct quorum_read *read);
    void (*ended)(struct quorum_read *read);

    /* Results. */
    enum quorum_read_outcome outcome;
    bool found;           /* There is a record; it may be dead. */
    struct record record; /* Valid until ended returns. */
    unsigned answers;     /* Different owners that said what they have. */
    unsigned repaired;    /* When ended: those that got the winner of us. */

    /* Its own. */
    struct seat *seat;
    const struct ring *ring; /* A share; answers are counted by this one. */
    struct blob winner;      /* What record borrows: encoded. */
    struct quorum_read_vote votes[2 * RING_COPIES_MAX];
    unsigned vote_count;
    uint64_t deadline_ms;
    unsigned out;   /* Calls that are not done. */
    bool is_chosen; /* The winner is not looked for any more. */
    bool is_answered;
    struct env_timer deadline;
    struct env_timer hedge;
};

/*
 * Begin. Another status than KIST_OK: no callback follows. KIST_BUSY: fewer
 * than r owners are alive, or this node is no member of its ring. KIST_INVALID:
 * n, r or w is 0 or beyond the ring's.
 */
KIST_CHECKED enum kist_status quorum_read_start(struct quorum_read *read,
                                                struct seat *seat);

#endif
