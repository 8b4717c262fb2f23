/*
 * quorum_stats - what becomes of the reads and writes that a node coordinates.
 *
 * Threads: any, as all metrics.
 */
#ifndef KIST_REPLICATION_QUORUM_STATS_H
#define KIST_REPLICATION_QUORUM_STATS_H

#include "base/metric.h"

struct quorum_stats {
    struct counter writes_not_applied; /* Fewer than w owners; nowhere. */
    struct counter writes_unknown; /* Fewer than w said that they have it. */
    struct counter reads_failed;   /* Fewer than r answered to the point. */
    struct counter repairs;        /* Owners that reads brought up to date. */
    /* From a write's beginning until its last owner has it; if all got it. */
    struct histogram lag;
};

#endif
