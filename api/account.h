/*
 * account - what remains of an answered request: counts and a log line.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_ACCOUNT_H
#define KIST_API_ACCOUNT_H

#include "api/exchange.h"

enum account_end {
    ACCOUNT_WHOLE, /* The answer was handed over to its last byte. */
    ACCOUNT_LOST,  /* The connection ended before. */
};

/* The exchange has had its first call and is about to be closed. */
void account_close(struct exchange *exchange, enum account_end how,
                   uint64_t now_ns);

#endif
