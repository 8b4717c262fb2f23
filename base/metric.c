#include "base/metric.h"

#include <stdatomic.h>

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

const uint64_t histogram_bounds_ns[HISTOGRAM_BUCKETS] = {
    50 * US,  100 * US, 250 * US,  500 * US, 1 * MS,   2500 * US,
    5 * MS,   10 * MS,  25 * MS,   50 * MS,  100 * MS, 250 * MS,
    500 * MS, 1 * S,    2500 * MS, 10 * S};

void counter_add(struct counter *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(&counter->value, amount, memory_order_relaxed);
}

uint64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

void gauge_add(struct gauge *gauge, int64_t amount)
{
    atomic_fetch_add_explicit(&gauge->value, amount, memory_order_relaxed);
}

void gauge_set(struct gauge *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

int64_t gauge_read(const struct gauge *gauge)
{
    return atomic_load_explicit(&gauge->value, memory_order_relaxed);
}

void histogram_observe(struct histogram *histogram, uint64_t duration_ns)
{
    size_t bucket = 0;

    while (bucket < HISTOGRAM_BUCKETS &&
           duration_ns > histogram_bounds_ns[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, duration_ns,
                              memory_order_relaxed);
}
