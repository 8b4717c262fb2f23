/*
 * quorum_write - one write, from its version to w durable copies and beyond.
 *
 * The record goes to all owners at once. Each has one vote, which counts when
 * it says that the record, or a newer one, is durable there; w votes of
 * different owners make the write, and while a change of the ring is pending
 * w of the current and w of the next owners. The others have until the
 * timeout; who has not voted by then has missed it (struct seat).
 *
 * An owner that is at another ring takes nothing. It is asked again, by the
 * ring that this node has by then, with the same version. If that is another
 * one than before all are asked again, which changes nothing where the record
 * is: a vote counts by the ring that it was given under only, because a member
 * that becomes an owner again begins with nothing (replication/change.h).
 *
 * The file of a large value is fetched by the owners that lack it, when they
 * are asked to take the record (replication/bring.h). They say so, and are
 * asked again until they have it; as long as something comes, the timeout
 * begins anew. It is the time in which nothing happens.
 *
 * Nothing is ever taken back: a write that failed may still be found later, and
 * is said to be unknown, unless no copy of it ever left for anywhere.
 */
#ifndef KIST_REPLICATION_QUORUM_WRITE_H
#define KIST_REPLICATION_QUORUM_WRITE_H

#include "replication/seat.h"

enum quorum_write_outcome {
    QUORUM_WRITE_DONE,
    QUORUM_WRITE_NOT_APPLIED, /* Nowhere, and it will not be. */
    QUORUM_WRITE_UNKNOWN,
};

struct quorum_write;

enum quorum_write_state {
    VOTE_UNASKED,
    VOTE_AWAITED,
    VOTE_DURABLE,
    VOTE_REFUSED, /* The voter is at another ring: it is asked again. */
    VOTE_COMING,  /* Its file is on its way: it is asked again. */
    VOTE_FAILED,
};

struct quorum_write_vote {
    uint64_t voter; /* Incarnation. */
    enum quorum_write_state state;
    unsigned rows;     /* Where the write's ring has it: enum ring_row. */
    bool has_left;     /* Something may be there, now or later. */
    uint64_t progress; /* Of its file. */
    struct quorum_write *write;
    const struct ring *ring; /* A share, while awaited: has the address. */
    struct env_call call;
    struct blob message;
};

struct quorum_write {
    /* Set by the caller, who keeps all of it until ended. */
    struct view key;
    /*
     * Version and creation time are set here, where they are none; or the
     * version is given, of a write that is sent once more, or that was stamped
     * before.
     */
    struct record record;
    enum engine_sync sync;
    unsigned n; /* The first n of the owners take part, at most all. */
    unsigned w;
    uint64_t timeout_ms;
    /* Once, with the results set; then ended, once: it may be freed there. */
    void (*answered)(struct quorum_write *write);
    void (*ended)(struct quorum_write *write);

    /* Results. */
    enum quorum_write_outcome outcome;
    unsigned acked;            /* Different current owners that have it. */
    struct version superseded; /* A newer one that an owner had; or none. */
    bool replaced;             /* An owner had a live value before. */

    /* Its own. */
    struct seat *seat;
    const struct ring *ring; /* A share; votes are counted by this one. */
    struct quorum_write_vote votes[2 * RING_COPIES_MAX];
    unsigned vote_count;
    unsigned out; /* Votes awaited, also beyond the answer. */
    struct env_apply apply;
    uint64_t apply_epoch; /* Of the ring that it was begun under. */
    uint64_t apply_phase; /* seat_begin_storing()'s. */
    uint64_t deadline_ms;
    struct env_timer timer;
    struct env_timer again; /* Asks those who are at another ring, or whose */
    uint64_t pause_ms;      /* file is coming: after so long, then longer. */
    bool is_answered;
};

/*
 * Begin. Another status than KIST_OK: nothing was sent, no callback follows.
 * KIST_BUSY: fewer than w owners are alive, the clock's lease is used up, or
 * this node is no member of its ring.
 * KIST_INVALID: n or w is 0 or beyond what the ring has.
 */
KIST_CHECKED enum kist_status quorum_write_start(struct quorum_write *write,
                                                 struct seat *seat);

#endif
