/*
 * cache_metrics - the names under which the object cache is watched.
 *
 * The cache counts in its shards; here they are added up at each scrape. A
 * node without a cache shows zeros.
 *
 * Threads: as of service/metrics: registered at start, read from any.
 */
#ifndef KIST_SERVICE_CACHE_METRICS_H
#define KIST_SERVICE_CACHE_METRICS_H

#include "service/metrics.h"
#include "storage/cache.h"

enum { CACHE_METRICS_SERIES = 11 };

struct cache_metrics {
    struct cache_metrics_series {
        struct cache *cache;
        size_t offset; /* In struct cache_totals. */
    } series[CACHE_METRICS_SERIES];
};

/* Register everything. Both are kept; cache: NULL if there is none. */
void cache_metrics_init(struct cache_metrics *self, struct metrics *metrics,
                        struct cache *cache);

#endif
