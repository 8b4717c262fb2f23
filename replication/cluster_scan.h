/*
 * cluster_scan - a page of all keys of the cluster, in order, each key once.
 *
 * Enough members are asked for a page of their own records
 * (replication/scan_page.h) that every partition has r of its first n owners
 * among them. The pages are merged, key by key, as far as all of them go: the
 * newest record of a key is what a read with that r would have found, and a
 * deletion hides what is older elsewhere. A member that does not answer is
 * replaced by others, as long as there are r for each partition.
 *
 * While a change of the ring is pending r of the next owners are asked as well,
 * as for any read (replication/quorum_read.h). A page during which this node
 * goes on to another ring fails.
 *
 * Nothing is remembered between pages but the key where the next one begins.
 * So a listing of any length costs nobody anything while it is not read, and
 * sees each key that is unchanged throughout exactly once. It is no snapshot.
 *
 * Threads: those of its seat's env.
 */
#ifndef KIST_REPLICATION_CLUSTER_SCAN_H
#define KIST_REPLICATION_CLUSTER_SCAN_H

#include "replication/scan_page.h"
#include "replication/seat.h"

struct cluster_scan;
struct cluster_scan_part;

struct cluster_scan {
    /* Set by the caller, who keeps all of it until answered. */
    struct env_scan_range range;
    unsigned n, r;
    uint64_t timeout_ms; /* For each member. */
    /* Once. */
    void (*answered)(struct cluster_scan *scan);

    /*
     * Results. KIST_BUSY: some partition has fewer than r owners that answer.
     * KIST_NO_MEMORY.
     */
    enum kist_status status;
    bool is_done;      /* There is nothing behind this page. */
    struct view place; /* Else: where the next one begins. */
    unsigned asked;    /* Members. */

    /* Its own. */
    struct seat *seat;
    const struct ring *ring;         /* A share, once it has begun. */
    struct cluster_scan_part *parts; /* One a member. */
    unsigned out;
    struct env_timer first;
};

/*
 * Begin. Another status than KIST_OK: no callback follows. KIST_BUSY: fewer
 * than r owners of some partition are alive, or this node is no member of its
 * ring. KIST_INVALID: n or r is 0 or
 * beyond the ring's. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status cluster_scan_start(struct cluster_scan *scan,
                                                 struct seat *seat);

/*
 * After KIST_OK: the next record, dead ones too, in order. Its bytes are kept
 * until cluster_scan_clear(). False: that was the page.
 */
KIST_CHECKED bool cluster_scan_next(struct cluster_scan *scan,
                                    struct scan_page_record *out_record);

/* Once it was answered. Takes one that never began, too. */
void cluster_scan_clear(struct cluster_scan *scan);

#endif
