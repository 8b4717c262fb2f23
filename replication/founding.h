/*
 * founding - how nodes that were told of each other come to have one ring.
 *
 * Each of them is started with the same names, addresses and numbers, which is
 * a ring but for one thing: whose data it is. So each listens until it has
 * heard everybody's incarnation, puts them in, and votes for the ring that
 * comes of it. It votes once, and its vote is on the disk before anybody hears
 * of it. When all have voted for the same ring it is in force.
 *
 * Unanimity is what makes that safe: two rings would need two votes of each
 * node, and only a node that lost its data votes again, as somebody else. As
 * long as one of them keeps its data there are no two rings. If a node loses
 * its data between its vote and the end, the others wait for ever, which they
 * say; nothing was stored by then, and they are started again without data.
 *
 * A ring in force is kept on the disk; a restart needs no peer and no list. A
 * node without one that finds a ring in force at a peer takes it over if it is
 * a member: of its name and its incarnation. With another incarnation it is a
 * stranger: it was wiped, and must not vote as if it had what it has lost,
 * until somebody makes it a member (replication/ring_plan.h).
 *
 * Kept under "founding" (struct env_keep): one byte, 'v' for a vote or 'r' for
 * the ring in force, and the ring's bytes. Rings that come after it are kept
 * elsewhere (replication/change.h, whose `first` it is).
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_FOUNDING_H
#define KIST_REPLICATION_FOUNDING_H

#include "replication/env.h"
#include "replication/frame.h"
#include "replication/ring.h"

enum founding_state {
    FOUNDING_LISTENING, /* Not all have been heard, or not all agree. */
    FOUNDING_VOTED,     /* Waits for the votes of the others. */
    FOUNDING_MEMBER,    /* Has the ring that is in force. */
    FOUNDING_STRANGER,  /* The ring has its name, with another incarnation. */
    FOUNDING_OUTSIDER,  /* The ring has not got its name. */
    FOUNDING_CANDIDATE, /* Founds nothing: waits to be taken in. */
};

const char *founding_state_name(enum founding_state state);

struct founding {
    /* Set by the caller. */
    struct env *env;  /* Kept. */
    struct view name; /* Kept: of this node. */
    void *ctx;
    /* The state is another one; also within founding_start(). */
    void (*moved)(void *ctx, enum founding_state from, enum founding_state to);

    /* To be read. */
    enum founding_state state;
    struct ring *ring; /* In force, until founding_clear(); or NULL. */
    uint64_t digest;   /* Its. */
    uint64_t plan;     /* What this node would found a ring of; 0: nothing. */
    uint64_t vote;     /* Digest of the ring that it has voted for; or 0. */
    struct ring *list; /* With the incarnations that were heard; or NULL. */

    /* Its own. */
    struct founding_peer *peers; /* By number in the list. */
    uint64_t refused; /* Digest of the last ring that it is not in. */
    struct env_keep keep;
    struct blob kept; /* What is on the disk, or on its way there. */
    bool is_keeping;
};

/*
 * Take up what is on the disk. first says what the first ring is made of: bits,
 * copies, and the members' names and addresses in any order; NULL if there is
 * no such list. KIST_INVALID: this node is not on the list, or the list cannot
 * be a ring, or is not the one that this node has voted on, or there is neither
 * a list nor a ring. KIST_CORRUPT: what was kept is damaged. KIST_IO,
 * KIST_NO_MEMORY. founding_clear() in any case.
 */
KIST_CHECKED enum kist_status founding_start(struct founding *founding,
                                             const struct ring *first);

/* Nothing is under way any more. Takes one that failed to start. */
void founding_clear(struct founding *founding);

/* A node of that name has answered, just now. Borrows both. */
void founding_heard(struct founding *founding, const struct frame *frame,
                    const struct frame_beat *beat);

/*
 * Whether this node needs a ring, and whoever sent the frame has one; if so,
 * founding_learn() gets the bytes (FRAME_RING).
 */
bool founding_wants(const struct founding *founding, const struct frame *frame);
void founding_learn(struct founding *founding, struct view bytes);

#endif
