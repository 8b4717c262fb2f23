/*
 * scan_gather - a slice of a scan over all nodes of a cluster, told to the
 * visitor of a scan of one.
 *
 * Threads: all on the loop of the seat, the visitor too.
 */
#ifndef KIST_API_SCAN_GATHER_H
#define KIST_API_SCAN_GATHER_H

#include "api/copies.h"
#include "replication/cluster_scan.h"
#include "storage/scan.h"

struct scan_gather {
    /* Set by the caller, who keeps all of it until done. */
    struct scan *scan; /* Its range; it is moved on, as by scan_run(). */
    const struct scan_visitor *visitor;
    bool values;    /* Else records have none, but their sizes. */
    unsigned limit; /* No more keys than that are expected; 0: many. */
    /* Once. KIST_BUSY: too few owners of some keys answer. KIST_NO_MEMORY. */
    void (*done)(struct scan_gather *gather, enum kist_status status);

    /* Set by scan_gather_init(). */
    struct seat *seat;
    struct copies copies;
    uint64_t timeout_ms;
    uint32_t value_limit; /* Larger ones are told of without theirs. */

    struct cluster_scan cluster; /* Its own. */
};

/*
 * For a request in a cluster. With Kist-After, r is as large as it takes to see
 * what writes with the cluster's w have left. False: the request is wrong, and
 * got its reply.
 */
KIST_CHECKED bool scan_gather_init(struct scan_gather *gather,
                                   struct request *request);

/* Begin. Another status than KIST_OK is as done()'s, which does not follow. */
KIST_CHECKED enum kist_status scan_gather_start(struct scan_gather *gather);

#endif
