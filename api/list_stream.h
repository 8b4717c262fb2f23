/*
 * list_stream - GET /kv as NDJSON: an item a line, without bound, in constant
 * memory.
 */
#ifndef KIST_API_LIST_STREAM_H
#define KIST_API_LIST_STREAM_H

#include "api/request.h"

#define NDJSON_MEDIA_TYPE "application/x-ndjson"

/* Replies, if only with the problem. */
void list_stream_reply(struct request *request);

#endif
