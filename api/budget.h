/*
 * budget - a number of bytes that all loops share.
 *
 * Bodies being read count against one and large answers being sent against
 * another, so that memory is bounded by the configuration and not by what
 * clients send.
 *
 * Threads: every call from any thread.
 */
#ifndef KIST_API_BUDGET_H
#define KIST_API_BUDGET_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct budget {
    uint64_t most; /* Set once, then read-only. */
    _Atomic uint64_t used;
};

/* False: not enough is left, nothing was taken. */
KIST_CHECKED bool budget_take(struct budget *budget, uint64_t bytes);

/* Taken in any case: for the answer to a write that has already happened. */
void budget_overdraw(struct budget *budget, uint64_t bytes);

void budget_give_back(struct budget *budget, uint64_t bytes);

uint64_t budget_used(const struct budget *budget);

#endif
