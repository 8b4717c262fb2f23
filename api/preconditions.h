/*
 * preconditions - what a request demands before it may happen: conditions,
 * a clock that has seen a version, copies that exist, a durability.
 *
 * Each call replies with the problem and returns false if the demand is
 * malformed or cannot be met; the handler then returns at once.
 */
#ifndef KIST_API_PRECONDITIONS_H
#define KIST_API_PRECONDITIONS_H

#include "api/request.h"
#include "storage/condition.h"
#include "storage/engine.h"

/*
 * Kist-After (versions made from now on are above it), n, r and w, and
 * Kist-Version, which only a plain write of a key in a cluster takes: it is
 * that write once more.
 */
KIST_CHECKED bool preconditions_hold(struct request *request);

/* A version in a header that passed preconditions_hold(), or none. */
struct version preconditions_version(const struct request *request,
                                     enum request_header header);

/* If-Match and If-None-Match as one condition. */
KIST_CHECKED bool preconditions_condition(struct request *request,
                                          struct condition *out_condition);

/* ?durability=, or the server's. */
KIST_CHECKED bool preconditions_sync(struct request *request,
                                     enum engine_sync *out_sync);

/* ?ttl= from now_ms on, or Kist-Expires; 0: neither was given. */
KIST_CHECKED bool preconditions_expiry(struct request *request, uint64_t now_ms,
                                       uint64_t *out_expiry_ms);

/* Query numbers and switches. Without the parameter, *out stays. */
KIST_CHECKED bool preconditions_number(struct request *request,
                                       enum parameter parameter, uint64_t min,
                                       uint64_t max, uint64_t *out_number);
KIST_CHECKED bool preconditions_switch(struct request *request,
                                       enum parameter parameter, bool *out_on);

#endif
