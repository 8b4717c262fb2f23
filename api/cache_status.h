/*
 * cache_status - a value read as the request's Cache-Control wants it, and the
 * answer's Cache-Status (RFC 9211), which says where it came from.
 *
 *     kist; hit                    it was in the object cache
 *     kist; fwd=uri-miss; stored   read from the engine, and kept
 *     kist; fwd=uri-miss           not kept: large, or it was being written
 *     kist; fwd=request; stored    the request says no-cache
 *     kist; fwd=bypass             there is no cache
 *
 * No ttl: an entry is good until its key is written or expires.
 */
#ifndef KIST_API_CACHE_STATUS_H
#define KIST_API_CACHE_STATUS_H

#include "api/request.h"
#include "storage/store_read.h"

/*
 * As store_get() of the request's key. The answer tells of the last call. That
 * a key has no value can be a hit, too.
 */
KIST_CHECKED enum kist_status cache_status_read(struct request *request,
                                                struct item *out_item);

#endif
