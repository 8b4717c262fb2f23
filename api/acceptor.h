/*
 * acceptor - the thread that lets connections in.
 *
 * It alone accepts, so caps are enforced before a connection costs anything,
 * and connections spread evenly: each goes to the loop with the fewest. At
 * the total cap the connection that has been idle for longest makes room for
 * the new one; where none is idle, and at the cap of one address, the client
 * gets a prepared 503 and is closed.
 *
 * Threads: open and close by one thread.
 */
#ifndef KIST_API_ACCEPTOR_H
#define KIST_API_ACCEPTOR_H

#include "api/http_loop.h"
#include "base/status.h"

#include <stddef.h>

struct acceptor;

struct acceptor_options {
    struct http_shared *shared;
    struct http_loop *const *loops; /* Kept, started. */
    size_t nloops;
    const int *descriptors; /* Listening and non-blocking; kept. */
    size_t ndescriptors;
    /* So many of them for clients, the next for peers, the others for /admin.
     */
    size_t nclients, npeers;
};

KIST_CHECKED enum kist_status
acceptor_open(const struct acceptor_options *options,
              struct acceptor **out_acceptor);

/* No connection is let in any more. The descriptors are the caller's. */
void acceptor_close(struct acceptor *acceptor); /* Takes NULL. */

#endif
