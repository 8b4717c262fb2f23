/*
 * metric - counters, gauges and histograms that any thread may touch.
 *
 * Relaxed atomics: a reading is never torn, and a scrape sees each series at
 * some moment of the scrape. Names, labels and text live in service/metrics.
 */
#ifndef KIST_BASE_METRIC_H
#define KIST_BASE_METRIC_H

#include <stddef.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t value;
};

void counter_add(struct counter *counter, uint64_t amount);
uint64_t counter_read(const struct counter *counter);

struct gauge {
    _Atomic int64_t value;
};

void gauge_add(struct gauge *gauge, int64_t amount);
void gauge_set(struct gauge *gauge, int64_t value);
int64_t gauge_read(const struct gauge *gauge);

/* Upper bounds of the buckets in nanoseconds, ascending; +Inf is implied. */
#define HISTOGRAM_BUCKETS 16
extern const uint64_t histogram_bounds_ns[HISTOGRAM_BUCKETS];

struct histogram {
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS + 1]; /* Not cumulative. */
    _Atomic uint64_t sum_ns;
};

void histogram_observe(struct histogram *histogram, uint64_t duration_ns);

#endif
