/*
 * policy - what other ways to choose what leaves a cache make of a trace.
 *
 * Each has room for `capacity` entries, all alike, and answers how many
 * requests after the trace's warm-up were hits. Ends the process without
 * memory.
 */
#ifndef KIST_BENCH_POLICY_H
#define KIST_BENCH_POLICY_H

#include "bench/trace.h"

/* Least recently used. */
uint64_t policy_lru(const struct trace *trace, size_t capacity);

/* SIEVE (Y. Zhang et al., NSDI 2024): a queue, a bit, and a moving hand. */
uint64_t policy_sieve(const struct trace *trace, size_t capacity);

/* Belady's optimum: what is asked for last leaves, which nobody can know. */
uint64_t policy_optimum(const struct trace *trace, size_t capacity);

#endif
