/*
 * herald - brings rings to members, and asks members for theirs.
 *
 * A ring may be large, and a member that cannot follow it, because its disk is
 * full, shows that with every frame. So a member is told of one ring, or asked,
 * once in a while only: an errand that is over stays in mind for so long.
 */
#ifndef KIST_REPLICATION_HERALD_H
#define KIST_REPLICATION_HERALD_H

#include "replication/seat.h"

struct herald_errand;

struct herald {
    /* Set by the caller. */
    struct seat *seat; /* Kept. */
    uint64_t timeout_ms;
    uint64_t stay_ms;
    /* A member that was asked has this ring; the bytes are borrowed. */
    void (*heard)(struct herald *herald, struct view ring);

    /* Its own. */
    struct herald_errand *errands;
    bool is_stopped;
};

/*
 * To a member of ring, which has its address: the bytes of the ring of that
 * epoch, which are copied. Nothing, if it is this node itself, was told lately,
 * or memory is short: who is behind is noticed again.
 */
void herald_tell(struct herald *herald, const struct ring *ring, uint64_t to,
                 uint64_t epoch, struct view bytes);

/* A member of the seat's ring. The same holds. */
void herald_ask(struct herald *herald, uint64_t to);

/* Begins nothing more; what is under way ends by itself. */
void herald_stop(struct herald *herald);

/* Nothing is under way any more. Leaves it ready for use anew. */
void herald_clear(struct herald *herald);

#endif
