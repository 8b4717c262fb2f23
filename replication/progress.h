/*
 * progress - is everything there that a pending change of the ring moves?
 *
 * Those to whom something moves are asked one after the other. Each counts its
 * own partitions (replication/transfer.h), and says nothing before it has the
 * floor of who asks: without the floor that all members have had it would
 * bring back what was purged (replication/floor.h).
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_PROGRESS_H
#define KIST_REPLICATION_PROGRESS_H

#include "replication/replica.h"
#include "replication/transfer.h"

struct progress {
    /* Set by the caller. */
    struct seat *seat;               /* Kept. */
    const struct transfer *transfer; /* Kept: of what moves here. */
    uint64_t timeout_ms;
    void (*complete)(struct progress *progress); /* All of it is there. */
    /* This member of the pending ring does not seem to be at it. */
    void (*behind)(struct progress *progress, uint64_t incarnation);
    /* Who asks has a higher floor than this node. */
    void (*floor_heard)(struct progress *progress, uint64_t level);

    /* Its own. */
    unsigned turn; /* The member at hand. */
    bool is_asking;
    const struct ring *ring; /* A share, while asking: has the address. */
    struct env_call call;
    struct blob message;
};

/*
 * Ask all that are to be asked, unless that is under way. Of a pending ring.
 * One that is not there yet ends it, until the next look; complete may be
 * called before this returns.
 */
void progress_look(struct progress *progress);

/* Nothing is under way any more. */
void progress_clear(struct progress *progress);

/* A frame of FRAME_MOVES, from a peer at the same ring. */
void progress_receive(struct progress *progress, const struct frame *frame,
                      struct replica_caller *caller);

#endif
