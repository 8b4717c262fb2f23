/*
 * export_stream - GET /admin/export: the records of this node as NDJSON
 * (api/export_line.h), in constant memory.
 *
 * Like a listing it is no snapshot: it holds nothing in the engine between two
 * pieces, and has each key that is unchanged throughout exactly once. In a
 * cluster it is what this node holds, which may be less or older than what
 * others do.
 */
#ifndef KIST_API_EXPORT_STREAM_H
#define KIST_API_EXPORT_STREAM_H

#include "api/request.h"

/* Replies, if only with the problem. */
void export_stream_reply(struct request *request);

#endif
