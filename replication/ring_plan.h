/*
 * ring_plan - the ring after this one: members come, go, take a place over.
 *
 * A plan moves no more partitions than it must: who joins takes its fair share
 * from those who have most, who leaves gives each partition to who has least,
 * a replacement takes over exactly what was there. Of any partition at most
 * one owner changes. The same ring and the same change give the same plan on
 * every machine.
 *
 * A planned ring is pending: ring_plan_finish() makes it the current one when
 * the data has moved, ring_plan_abort() goes back. Each step is an epoch.
 *
 * Every *out_ring is the caller's, who ends it with ring_free().
 */
#ifndef KIST_REPLICATION_RING_PLAN_H
#define KIST_REPLICATION_RING_PLAN_H

#include "replication/ring.h"

/*
 * The first ring, epoch 1, of shape's cluster, bits, copies and members, in
 * any order. KIST_INVALID as ring_new() says. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status ring_plan_create(const struct ring *shape,
                                               struct ring **out_ring);

/*
 * A change of members: joining, leaving, or both: then the one replaces the
 * other, which may have the same address but not the same name. KIST_CONFLICT:
 * another change is pending. KIST_INVALID: who joins is a member already or
 * has no valid name, who leaves is none, or fewer members than copies would be
 * left.
 */
struct ring_change {
    const struct ring_member *joining; /* NULL: nobody. */
    struct view leaving;               /* Its name; empty: nobody. */
};

KIST_CHECKED enum kist_status ring_plan_change(const struct ring *ring,
                                               const struct ring_change *change,
                                               struct ring **out_ring);

/* Of a pending ring only: what was planned holds, or what was before. */
KIST_CHECKED enum kist_status ring_plan_finish(const struct ring *ring,
                                               struct ring **out_ring);
KIST_CHECKED enum kist_status ring_plan_abort(const struct ring *ring,
                                              struct ring **out_ring);

/*
 * The moves of a pending ring, one after the other: *partition starts at 0 and
 * is behind the found one afterwards. False: no more.
 */
struct ring_move {
    unsigned partition;
    uint16_t from; /* Loses it; may be gone: any other owner has the data. */
    uint16_t to;
};

KIST_CHECKED bool ring_plan_next_move(const struct ring *ring,
                                      unsigned *partition,
                                      struct ring_move *out_move);

#endif
