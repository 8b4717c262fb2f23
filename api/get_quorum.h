/*
 * get_quorum - the record of a request's key where it is not this node's own:
 * in a cluster, as r of its owners have it; or from Redis.
 *
 * Threads: the request's loop.
 */
#ifndef KIST_API_GET_QUORUM_H
#define KIST_API_GET_QUORUM_H

#include "api/copies.h"
#include "storage/store_read.h"

/*
 * With r=1 at an owner, and no Kist-After, its own store is the answer. (On one
 * node with a store always.)
 */
KIST_CHECKED bool get_quorum_is_here(struct request *request,
                                     const struct copies *copies);

/* answers: how many said what they have. */
typedef void get_quorum_done(struct request *request, enum kist_status status,
                             struct item *item, unsigned answers);

/*
 * Ask, and call done() later, once, with the record, which may be dead, or
 * KIST_NOT_FOUND, KIST_NO_MEMORY; *item is done()'s. If too few answer, that
 * is the reply. The request is kept: meanwhile nobody may abandon it.
 */
void get_quorum_start(struct request *request, const struct copies *copies,
                      get_quorum_done *done);

#endif
