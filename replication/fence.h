/*
 * fence - whether this node's wall clock is good enough to stamp versions.
 *
 * What a clock an hour ahead has stamped cannot be replaced or deleted for an
 * hour, and what one behind has stamped is lost to older writes. So a node
 * behind a closed fence begins no writes; it reads, and takes what others have
 * stamped, as ever.
 *
 * Its own monotonic clock shows a jump of the wall clock; the clocks of its
 * peers show whether it is right. A majority of the members, this node among
 * them, must agree within the limit before the fence opens, at the start and
 * after each jump; it closes when more than half of the clocks that are heard,
 * and they of a majority, are off to the same side. When too few are heard,
 * it stays as it is. Clocks are compared as they are, not as the versions of a
 * node show them, which follow those of others.
 *
 * Threads: fence_state(), fence_is_open() and the stats any, all others its
 * env's.
 */
#ifndef KIST_REPLICATION_FENCE_H
#define KIST_REPLICATION_FENCE_H

#include "base/metric.h"
#include "replication/env.h"
#include "storage/hlc.h"

#define FENCE_LIMIT_MS  250   /* How far good clocks are apart at most. */
#define FENCE_JUMP_MS   1000  /* Less than that is a clock being set right. */
#define FENCE_BEHIND_MS 60000 /* The wall clock may be behind the versions. */

enum fence_state {
    FENCE_OPEN,
    FENCE_UNCONFIRMED, /* No majority was heard since the start. */
    FENCE_JUMPED,      /* Nor since the wall clock jumped. */
    FENCE_APART,       /* The peers' clocks say otherwise. */
    FENCE_BEHIND,      /* Of the versions that this node has seen. */
};

const char *fence_state_name(enum fence_state state);

struct fence_stats {
    struct counter closed;  /* How often an open fence closed. */
    struct counter jumps;   /* Of the wall clock. */
    struct counter too_far; /* Versions seen from the far future. */
    struct gauge ahead_ms;  /* Of the majority's median; negative: behind. */
    struct gauge lead_ms;   /* Of the versions before the wall clock. */
};

struct fence {
    /* Set by the caller. */
    struct env *env;       /* Kept. */
    const struct hlc *hlc; /* Kept: the node's. */
    uint64_t limit_ms;     /* FENCE_LIMIT_MS. */
    void *ctx;             /* Of moved, which may be NULL. */
    /* The state is another one: the env's thread, from within other calls. */
    void (*moved)(void *ctx, enum fence_state from, enum fence_state to);

    struct fence_stats stats;

    /* Its own. */
    _Atomic unsigned state;
    _Atomic int64_t apart_ms; /* Of the two clocks, at the last tick. */
    enum fence_state verdict; /* Of jumps and peers. */
    struct env_timer tick;
    uint64_t jumped_at_ms; /* Monotonic; 0: never. */
};

void fence_start(struct fence *fence); /* Closed. */
void fence_stop(struct fence *fence);

enum fence_state fence_state(const struct fence *fence);

/*
 * Whether it is open, and the clocks, as they are now, do not show a jump that
 * nobody has looked for yet.
 */
bool fence_is_open(const struct fence *fence, uint64_t wall_ms,
                   uint64_t mono_ms);

/* A peer's clock read before then, on the monotonic clock, says nothing. */
uint64_t fence_valid_from_ms(const struct fence *fence);

/*
 * By how much the clocks of other members are ahead of ours; those that cannot
 * tell, because the message took too long, are 0. Sorts ahead_ms. members are
 * all there are, this node among them, heard or not.
 */
void fence_judge(struct fence *fence, int64_t *ahead_ms, unsigned count,
                 unsigned members);

#endif
