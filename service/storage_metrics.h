/*
 * storage_metrics - the names under which storage/ is watched.
 *
 * storage/ counts and knows no names; here they are given, next to what is
 * looked up at each scrape: the engine's state, the disk, the clock.
 *
 * Threads: as of service/metrics: registered at start, read from any.
 */
#ifndef KIST_SERVICE_STORAGE_METRICS_H
#define KIST_SERVICE_STORAGE_METRICS_H

#include "service/cache_metrics.h"
#include "service/metrics.h"
#include "storage/commit.h"
#include "storage/store.h"
#include "storage/sweep.h"
#include "storage/verify.h"

struct storage_metrics {
    struct store *store;
    double queue_limit;
    struct cache_metrics cache;

    /* One series a state; 1 for the present one. */
    struct storage_state_series {
        struct store *store;
        enum store_state state;
    } states[STORE_DOWN + 1];
};

/*
 * Register everything. All of these are kept. store: NULL if the records are
 * not in one. queue_limit_bytes is what
 * commit was opened with.
 */
void storage_metrics_init(struct storage_metrics *self, struct metrics *metrics,
                          struct store *store, struct commit *commit,
                          uint64_t queue_limit_bytes);

/* The sweep's own; it comes to be after the loops. Kept. */
void storage_metrics_add_sweep(struct metrics *metrics, struct sweep *sweep);

/* The same of what verifies a cluster's data; NULL: nothing does. */
void storage_metrics_add_verify(struct metrics *metrics, struct verify *verify);

#endif
