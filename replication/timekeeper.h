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

#include "replication/fence.h"

struct timekeeper {
    struct env *env;     /* Kept. */
    struct hlc *hlc;     /* Kept. */
    struct fence *fence; /* Kept; NULL: none, all is believed. */
    struct env_timer tick;
    struct env_lease lease;
    bool renewing;
};

/*
 * hlc is the node's, and started above the lease that was found on its disk.
 * Asks for leases as time goes on, and while the fence is open: what a wrong
 * clock asks for would be ahead of time when it is right again.
 */
void timekeeper_start(struct timekeeper *keeper, struct env *env,
                      struct hlc *hlc, struct fence *fence);

/* The fence has opened: a lease is asked for now, and not a tick later. */
void timekeeper_wake(struct timekeeper *keeper);

/* No more of that. A lease that is asked for may still be told. */
void timekeeper_stop(struct timekeeper *keeper);

/* Whether the clock is not to be trusted now, and nothing is stamped. */
bool timekeeper_is_fenced(const struct timekeeper *keeper);

/*
 * A version above every one given or observed before. KIST_BUSY: the fence is
 * closed (fence_state() says why), or the lease is used up, which a slow disk
 * can bring about: nothing may be stamped until it is renewed.
 */
KIST_CHECKED enum kist_status timekeeper_stamp(struct timekeeper *keeper,
                                               struct version *out_version);

/*
 * For a write that brings the version which an earlier try of it was given.
 * KIST_BUSY: as above, as nothing is known of now. KIST_INVALID: it is too far
 * ahead to have been given.
 */
KIST_CHECKED enum kist_status timekeeper_admit(struct timekeeper *keeper,
                                               struct version given);

/*
 * As hlc_observe(): false if the version is too far ahead to be believed, which
 * the fence counts.
 */
KIST_CHECKED bool timekeeper_observe(struct timekeeper *keeper,
                                     struct version seen);

#endif
