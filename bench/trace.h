/*
 * trace - sequences of keys that clients ask for, made up and repeatable.
 *
 * Keys are numbers below `keys`. What is asked first only warms the cache up:
 * hits count from `warm` on.
 */
#ifndef KIST_BENCH_TRACE_H
#define KIST_BENCH_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct trace {
    const char *name;
    uint32_t *asked; /* `size` numbers of keys. */
    size_t size;
    size_t warm;
    uint32_t keys;
};

enum { TRACE_KEYS = 1000000, TRACE_SIZE = 4000000 };

enum trace_kind {
    TRACE_ZIPF_07,
    TRACE_ZIPF_09,
    TRACE_ZIPF_11,
    TRACE_SCANS, /* Zipf, and now and then a long walk over cold keys. */
    TRACE_ONCE,  /* Zipf, and every other key is asked for only once. */
    TRACE_SHIFT, /* Zipf whose favourites change. */
    TRACE_LOOP,  /* Round and round over more than fits. */
    TRACE_KINDS,
};

/*
 * capacity: how many entries the cache has that the trace is for; loops and
 * scans are as long as is bad for that. Ends the process without memory.
 */
struct trace trace_make(enum trace_kind kind, size_t capacity);
void trace_free(struct trace *trace);

/* Zeroed, ended by free(). Ends the process where there is none. */
void *trace_memory(size_t count, size_t size);

#endif
