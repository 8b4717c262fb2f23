/*
 * bad_length - the answer to a Content-Length that is no number.
 *
 * libmicrohttpd 0.9.75 refuses such a head before any handler sees it, and
 * then sends its answer's head twice. It says so in its log first, and that
 * is where this steps in: the answer goes straight to the socket, which is
 * then shut down, so that nothing can follow.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_BAD_LENGTH_H
#define KIST_API_BAD_LENGTH_H

#include "api/http_loop.h"

#include <stdbool.h>

/* Does this message of the library announce such an answer? */
bool bad_length_is_announced(const char *message);

/* Answer in its place, on the connection whose head it is about. */
void bad_length_answer(struct http_loop *loop);

#endif
