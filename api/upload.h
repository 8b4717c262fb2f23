/*
 * upload - the bytes of a request's body, within its limit and the memory.
 *
 * Memory follows what was sent, not what was announced: a client cannot hold
 * a MiB of --body-memory by promising one. A body that is refused on its way
 * is read on, so that its client gets the answer: to its announced end, or,
 * if that is not known, for a MiB; then it is cut.
 *
 * The value of a PUT that is larger than --inline-bytes goes to a file
 * (api/upload_file.h), and memory does not follow its size.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_UPLOAD_H
#define KIST_API_UPLOAD_H

#include "api/exchange.h"

/* Which setting limits the body of this request, and to what. */
void upload_limit(struct exchange *exchange);

/* Reply that the body is too large (KIST_TOO_LARGE), or no memory is left. */
void upload_refuse(struct exchange *exchange, enum kist_status status);

/* The body is announced as one that goes to a file. */
bool upload_is_large(const struct exchange *exchange);

/* *out_left: not taken, the connection is suspended. MHD_NO: cut it. */
enum MHD_Result upload_take(struct exchange *exchange, struct view bytes,
                            size_t *out_left);

/* Free what the handler did not take, and give the budget back. */
void upload_drop(struct exchange *exchange);

#endif
