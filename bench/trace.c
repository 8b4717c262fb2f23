#include "bench/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* xorshift64*: the same numbers everywhere. */
static uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

static double draw_share(uint64_t *state)
{
    return (double)(draw(state) >> 11) / (double)(UINT64_C(1) << 53);
}

void *trace_memory(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL) {
        fputs("cache_traces: no memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* The share of all requests that goes to the first i + 1 keys. */
static double *zipf_shares(double skew)
{
    double *shares = trace_memory(TRACE_KEYS, sizeof(*shares)), sum = 0;

    for (size_t i = 0; i < TRACE_KEYS; i++) {
        sum += 1 / pow((double)(i + 1), skew);
        shares[i] = sum;
    }
    for (size_t i = 0; i < TRACE_KEYS; i++)
        shares[i] /= sum;
    return shares;
}

static uint32_t draw_rank(const double *shares, uint64_t *state)
{
    double share = draw_share(state);
    uint32_t low = 0, high = TRACE_KEYS - 1;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (shares[middle] < share)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void make_zipf(struct trace *trace, double skew)
{
    double *shares = zipf_shares(skew);
    uint64_t state = 1;

    for (size_t i = 0; i < trace->size; i++)
        trace->asked[i] = draw_rank(shares, &state);
    free(shares);
}

/* A third of all requests are walks, each twice as long as the cache. */
static void make_scans(struct trace *trace, size_t capacity)
{
    size_t walk = 2 * capacity, period = 3 * walk;
    uint32_t cold = TRACE_KEYS;

    make_zipf(trace, 0.9);
    trace->keys = 2 * TRACE_KEYS;
    for (size_t i = 0; i < trace->size; i++) {
        if (i % period < period - walk)
            continue;
        trace->asked[i] = cold++;
        if (cold == trace->keys)
            cold = TRACE_KEYS;
    }
}

static void make_once(struct trace *trace)
{
    uint32_t next = TRACE_KEYS;

    make_zipf(trace, 0.9);
    trace->keys = TRACE_KEYS + TRACE_SIZE / 2;
    for (size_t i = 0; i < trace->size; i += 2)
        trace->asked[i] = next++;
}

/* Ten times in the trace, the ranks move on by a tenth of the cache. */
static void make_shift(struct trace *trace, size_t capacity)
{
    make_zipf(trace, 0.9);
    for (size_t i = 0; i < trace->size; i++) {
        size_t moved = i / (trace->size / 10) * (capacity / 10);

        trace->asked[i] = (uint32_t)((trace->asked[i] + moved) % TRACE_KEYS);
    }
}

static void make_loop(struct trace *trace, size_t capacity)
{
    size_t length = capacity + capacity / 2;

    for (size_t i = 0; i < trace->size; i++)
        trace->asked[i] = (uint32_t)(i % length);
}

struct trace trace_make(enum trace_kind kind, size_t capacity)
{
    static const char *const names[] = {
        [TRACE_ZIPF_07] = "Zipf 0.7",
        [TRACE_ZIPF_09] = "Zipf 0.9",
        [TRACE_ZIPF_11] = "Zipf 1.1",
        [TRACE_SCANS] = "Zipf 0.9, a third scans",
        [TRACE_ONCE] = "Zipf 0.9, half asked once",
        [TRACE_SHIFT] = "Zipf 0.9, favourites change",
        [TRACE_LOOP] = "loop of 1.5 caches",
    };
    struct trace trace = {
        .name = names[kind],
        .asked = trace_memory(TRACE_SIZE, sizeof(uint32_t)),
        .size = TRACE_SIZE,
        .warm = TRACE_SIZE / 4,
        .keys = TRACE_KEYS,
    };

    switch (kind) {
    case TRACE_ZIPF_07:
        make_zipf(&trace, 0.7);
        break;
    case TRACE_ZIPF_09:
        make_zipf(&trace, 0.9);
        break;
    case TRACE_ZIPF_11:
        make_zipf(&trace, 1.1);
        break;
    case TRACE_SCANS:
        make_scans(&trace, capacity);
        break;
    case TRACE_ONCE:
        make_once(&trace);
        break;
    case TRACE_SHIFT:
        make_shift(&trace, capacity);
        break;
    case TRACE_LOOP:
        make_loop(&trace, capacity);
        break;
    case TRACE_KINDS:
        break;
    }
    return trace;
}

void trace_free(struct trace *trace)
{
    free(trace->asked);
    trace->asked = NULL;
}
