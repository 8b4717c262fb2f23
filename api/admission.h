/*
 * admission - may this request have a handler? Asked once its head is there.
 *
 * In order: the head is safe to read, the method is known, the path is
 * served, key and parameters are allowed, the node is not stopping, the body
 * announced is one the route takes and fits. The first "no" has replied.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_ADMISSION_H
#define KIST_API_ADMISSION_H

#include "api/exchange.h"
#include "api/head.h"

enum admission {
    ADMISSION_GRANTED,
    ADMISSION_REFUSED, /* Replied to, as OPTIONS is. */
    ADMISSION_UNSAFE,  /* Refused, and what follows cannot be trusted. */
};

/* Fills exchange->request and *out_head. */
enum admission admission_check(struct exchange *exchange, const char *method,
                               const char *version, struct head *out_head);

#endif
