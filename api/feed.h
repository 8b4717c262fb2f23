/*
 * feed - carries the pieces of a stream from pool threads to a response.
 *
 * One piece is being sent, at most one more is made meanwhile: memory does
 * not grow with the answer. While a piece is late the connection is
 * suspended, and no deadline runs against its client.
 *
 * Threads: all on the loop; a stream's fill() alone runs on a pool thread.
 */
#ifndef KIST_API_FEED_H
#define KIST_API_FEED_H

#include "api/http_loop.h"
#include "api/reply.h"

#include <microhttpd.h>

enum feed_use {
    FEED_READ,
    FEED_UNREAD, /* HEAD: only the headers go out. */
};

/* Takes stream. NULL: no memory, and the stream was freed. */
struct MHD_Response *feed_response(struct http_loop *loop,
                                   struct MHD_Connection *mhd,
                                   struct connection *connection,
                                   struct stream *stream, enum feed_use use);

/* Cut every stream of the loop that waits for a piece (it is stopping). */
void feed_cut_all(struct http_loop *loop);

#endif
