/*
 * decree - the members of a ring decide, once, which ring comes after it.
 *
 * Single-decree Paxos (Lamport, "Paxos Made Simple", 2001) among the members
 * of the ring that is now, without those who are about to join. Epoch e + 1 is
 * one decision, so of two changes that are proposed at once one is made and the
 * other is told so: there is never more than one change at a time, nor more
 * than one ring of an epoch.
 *
 * What a member promised and accepted is durable before it says so. The
 * question is always about the ring after its own: members at other rings are
 * refused like all that they send (replication/replica.h), and what was
 * promised about an earlier ring is of no meaning any more.
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_DECREE_H
#define KIST_REPLICATION_DECREE_H

#include "replication/replica.h"

#define DECREE_NAME "decree" /* Of what it keeps (struct env_keep). */

enum decree_phase {
    DECREE_IDLE,
    DECREE_PREPARING, /* Asks for promises. */
    DECREE_ACCEPTING, /* A majority has promised: asks to accept. */
    DECREE_OVER,      /* Decided or not; calls are under way yet. */
};

struct decree_poll;

/* What this node must not forget. */
struct decree_promise {
    uint64_t epoch; /* Of the ring whose successor it is about. */
    struct frame_ballot promised;
    struct frame_ballot accepted;
    struct blob ring; /* What was accepted. */
};

struct decree {
    /* Set by the caller. */
    struct seat *seat; /* Kept. */
    uint64_t timeout_ms;
    /*
     * Of what this node proposed, once: KIST_OK: this ring, which need not be
     * the proposed one, was decided on; its bytes are borrowed. KIST_CONFLICT:
     * somebody else proposes, too. KIST_UNKNOWN: it may have been decided.
     */
    void (*decided)(struct decree *decree, enum kist_status status,
                    struct view ring);

    /* Its own: what it promised. */
    struct decree_promise promise;
    struct env_keep keep;
    struct blob kept;
    struct replica_caller *caller; /* Waits for keep; NULL: nobody. */
    struct frame asked;            /* What the caller asked; without body. */

    /* What it proposes. */
    enum decree_phase phase;
    const struct ring *ring; /* A share: whose successor it is. */
    struct frame_ballot ballot;
    struct frame_ballot best; /* The highest that was accepted before. */
    struct blob value;        /* Ours, or what came with the best. */
    struct decree_poll *polls;
    unsigned poll_count;
    unsigned out; /* Polls under way. */
    uint64_t round;
    struct env_timer timer;
};

/*
 * Begin with what was kept under DECREE_NAME; empty: nothing was. KIST_CORRUPT:
 * it cannot be read; this node must not vote then.
 */
KIST_CHECKED enum kist_status decree_start(struct decree *decree,
                                           struct view kept);

/* Nothing is under way any more. */
void decree_clear(struct decree *decree);

/* A frame of FRAME_PREPARE or FRAME_ACCEPT, from a peer at the same ring. */
void decree_receive(struct decree *decree, const struct frame *frame,
                    struct replica_caller *caller);

/*
 * This node has accepted a ring after its own, and does not know what became
 * of it: who proposed it may be gone, and it may be decided on. *out_ring: its
 * bytes, borrowed.
 */
bool decree_is_open(const struct decree *decree, struct view *out_ring);

/*
 * Propose this ring, whose bytes are copied. KIST_BUSY: another proposal of
 * this node is not over. KIST_NO_MEMORY. Nothing was begun then.
 */
KIST_CHECKED enum kist_status decree_propose(struct decree *decree,
                                             struct view ring);

#endif
