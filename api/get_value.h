/*
 * get_value - the answer to a GET of the value itself: whole or a range, from
 * memory or from its file, with the digests that were asked for.
 *
 * Digests of more than a little are made on the pool, in slices, and only
 * where Want-Repr-Digest or Want-Content-Digest ask for them.
 *
 * Threads: all on the request's loop.
 */
#ifndef KIST_API_GET_VALUE_H
#define KIST_API_GET_VALUE_H

#include "api/request.h"
#include "storage/store.h"

/*
 * Takes *item and replies, now or later. code: 200, or 304. KIST_NOT_FOUND: its
 * file is not there, the item stays the caller's, and there was no reply. In a
 * cluster it may turn out later that its file is nowhere: then, and instead of
 * a reply, gone is called.
 */
KIST_CHECKED enum kist_status
get_value_reply(struct request *request, unsigned code, struct item *item,
                void (*gone)(struct request *request));

#endif
