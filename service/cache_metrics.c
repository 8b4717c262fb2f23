#include "service/cache_metrics.h"

#include <assert.h>
#include <stddef.h>

#define TOTAL(member) offsetof(struct cache_totals, member)

enum kind { COUNTER, GAUGE };

static const struct {
    const char *name;
    const char *help;
    enum kind kind;
    size_t offset;
} rows[] = {
    {"kist_cache_hits_total", "Reads answered with a record in the cache.",
     COUNTER, TOTAL(hits)},
    {"kist_cache_absent_hits_total",
     "Reads answered because the cache knew that the key has no value.",
     COUNTER, TOTAL(absent_hits)},
    {"kist_cache_misses_total", "Reads that had to ask the engine.", COUNTER,
     TOTAL(misses)},
    {"kist_cache_bypasses_total",
     "Reads that wanted the engine (Cache-Control: no-cache).", COUNTER,
     TOTAL(bypasses)},
    {"kist_cache_stored_total", "Entries made, by reads and writes.", COUNTER,
     TOTAL(stored)},
    {"kist_cache_refused_total",
     "Records not taken in: too large, or written meanwhile.", COUNTER,
     TOTAL(refused)},
    {"kist_cache_evictions_total", "Entries that made room for others.",
     COUNTER, TOTAL(evictions)},
    {"kist_cache_entries", "Entries in the cache.", GAUGE, TOTAL(entries)},
    {"kist_cache_absent_entries",
     "Entries that say that a key has no value; part of all entries.", GAUGE,
     TOTAL(absent_entries)},
    {"kist_cache_bytes", "Memory of the cache, with its tables.", GAUGE,
     TOTAL(bytes)},
    {"kist_cache_limit_bytes", "Where the cache is full.", GAUGE, TOTAL(limit)},
};

static_assert(sizeof(rows) / sizeof(rows[0]) == CACHE_METRICS_SERIES,
              "each row has a place in struct cache_metrics");

static double read_total(void *ctx)
{
    const struct cache_metrics_series *series = ctx;
    struct cache_totals totals = {0};

    if (series->cache != NULL)
        cache_totals(series->cache, &totals);
    return (double)*(const uint64_t *)(const void *)((const char *)&totals +
                                                     series->offset);
}

void cache_metrics_init(struct cache_metrics *self, struct metrics *metrics,
                        struct cache *cache)
{
    for (size_t i = 0; i < CACHE_METRICS_SERIES; i++) {
        struct metric_source source = {read_total, &self->series[i]};

        self->series[i] = (struct cache_metrics_series){cache, rows[i].offset};
        if (rows[i].kind == COUNTER)
            metrics_read_counter(metrics, rows[i].name, rows[i].help, NULL,
                                 source);
        else
            metrics_read_gauge(metrics, rows[i].name, rows[i].help, NULL,
                               source);
    }
}
