/*
 * siphash - a keyed hash for tables whose keys clients choose.
 *
 * With a key that nobody outside knows, nobody can prepare names that all fall
 * into one slot and make a table's cost quadratic. This is SipHash-1-3, the
 * variant that language runtimes use for their dictionaries. With the process'
 * own key, what it gives is never stored and never sent: another process
 * computes other numbers.
 */
#ifndef KIST_BASE_SIPHASH_H
#define KIST_BASE_SIPHASH_H

#include "base/bytes.h"

#include <stdint.h>

struct siphash_key {
    uint64_t low;
    uint64_t high;
};

/* The secret of this process: the same in every call, another at next start. */
struct siphash_key siphash_process_key(void);

uint64_t siphash(struct siphash_key key, struct view bytes);

#endif
