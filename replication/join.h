/*
 * join - a node that is to be taken in asks members whether it was.
 *
 * Who is taken in is told so by who drives the change (replication/change.h);
 * this finds out when that message was lost, and shows whether the members can
 * be reached at all.
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_JOIN_H
#define KIST_REPLICATION_JOIN_H

#include "replication/seat.h"

struct join {
    /* Set by the caller. */
    struct seat *seat; /* Kept. At a ring of its own, while it asks. */
    const struct view *addresses; /* Kept: host:port of members. */
    unsigned count;
    uint64_t period_ms;
    uint64_t timeout_ms;
    /* A member has this ring; the bytes are borrowed. */
    void (*heard)(struct join *join, struct view ring);
    /* The first answer, or none where there was one. */
    void (*moved)(struct join *join, struct view address, bool is_reached);

    /* Its own. */
    unsigned turn;
    bool is_asking;
    bool is_reached;
    bool is_told; /* Whether that is known. */
    bool is_stopped;
    struct env_timer timer;
    struct env_call call;
    struct blob message;
};

/* Ask, until the seat has a ring of others. */
void join_start(struct join *join);

/* Asks nothing more; a question that is under way ends by itself. */
void join_stop(struct join *join);

/* Nothing is under way any more. */
void join_clear(struct join *join);

#endif
