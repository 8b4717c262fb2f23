/*
 * hlc - the hybrid logical clock that stamps versions.
 *
 * It never gives the same time twice and never goes back, also over a restart
 * with the wall clock set back: an upper bound (the lease) is on disk before a
 * version below it is acknowledged, and a start begins above the lease.
 *
 * Threads: any.
 */
#ifndef KIST_STORAGE_HLC_H
#define KIST_STORAGE_HLC_H

#include "storage/version.h"

#include <stdatomic.h>

#define HLC_LEASE_MS  3000
#define HLC_FUTURE_MS 10000 /* Farther ahead than this is refused. */

struct hlc {
    uint64_t incarnation;      /* Set by hlc_init(), then read-only. */
    _Atomic uint64_t last;     /* Newest time given or observed. */
    _Atomic uint64_t lease_ms; /* Durable bound of last; only grows. */
};

void hlc_init(struct hlc *hlc, uint64_t incarnation, uint64_t lease_ms);

/* A version above every one given or observed before. */
struct version hlc_next(struct hlc *hlc, uint64_t wall_ms);

/*
 * Somebody saw this version: later ones are above it. False, and nothing is
 * learnt, if it is more than HLC_FUTURE_MS ahead of the wall clock: a wrong
 * clock elsewhere must not become ours.
 */
KIST_CHECKED bool hlc_observe(struct hlc *hlc, struct version seen,
                              uint64_t wall_ms);

/* No version above it may be relied on yet. */
uint64_t hlc_lease_ms(const struct hlc *hlc);

/* The lease to write with this version's batch, or 0 if the old one holds. */
uint64_t hlc_lease_due(const struct hlc *hlc, struct version stamped);

/* It is durable. One that was overtaken by a later one changes nothing. */
void hlc_lease_written(struct hlc *hlc, uint64_t lease_ms);

/* How far the clock runs ahead of the wall clock, in ms: it was set back. */
uint64_t hlc_ahead_ms(const struct hlc *hlc, uint64_t wall_ms);

#endif
