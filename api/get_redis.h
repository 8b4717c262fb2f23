/*
 * get_redis - the record of a request's key from Redis, by way of the commit:
 * reads of a turn go there together, with its writes.
 *
 * Threads: the request's loop.
 */
#ifndef KIST_API_GET_REDIS_H
#define KIST_API_GET_REDIS_H

#include "api/get_quorum.h"

/* As get_quorum_start(): done() is called later, once, or it is replied. */
void get_redis_start(struct request *request, get_quorum_done *done);

#endif
