/*
 * timekeeper - stamps the versions of this node's writes, within a lease.
 *
 * On a node alone a version below the lease on disk is safe to acknowledge. In
 * a cluster it is out in the world as soon as it is sent, before anything of
 * it is on this node's disk: after a crash with the wall clock set back the
 * same version could be given again, to other bytes. So the lease goes first:
 * nothing is stamped beyond what is durable, and it is renewed by the clock,
 * long before it ends.
 *
 * A node has one clock and may have several keepers, one an env: what one of
 * them stamps, no other will.
 *
 * Threads: its env's.
 */
#ifndef KIST_REPLICATION_TIMEKEEPER_H
#define KIST_REPLICATION_TIMEKEEPER_H

#include "replication/env.h"
#include "storage/hlc.h"

struct timekeeper {
    struct env *env; /* Kept. */
    struct hlc *hlc; /* Kept. */
    struct env_timer tick;
    struct env_lease lease;
    bool renewing;
};

/*
 * hlc is the node's, and started above the lease that was found on its disk.
 * Asks for the first lease at once and for more as time goes on.
 */
void timekeeper_start(struct timekeeper *keeper, struct env *env,
                      struct hlc *hlc);

/* No more of that. A lease that is asked for may still be told. */
void timekeeper_stop(struct timekeeper *keeper);

/*
 * A version above every one given or observed before. KIST_BUSY: the lease is
 * used up, which a slow disk or a wall clock that jumped ahead can bring
 * about; nothing may be stamped until it is renewed.
 */
KIST_CHECKED enum kist_status timekeeper_stamp(struct timekeeper *keeper,
                                               struct version *out_version);

/* As hlc_observe(): false if the version is too far ahead to be believed. */
KIST_CHECKED bool timekeeper_observe(struct timekeeper *keeper,
                                     struct version seen);

#endif
