/*
 * server - HTTP on N loops (libmicrohttpd inside, one daemon a loop).
 *
 * One acceptor thread takes connections, enforces the caps in total and per
 * address, and hands each to the loop with the fewest. A connection then lives
 * on that loop. A timer on each loop ends connections that are too slow:
 * head, body and answer have total deadlines (--head-timeout, --body-rate-
 * bytes, --response-timeout), an idle one --idle-timeout.
 *
 * Threads: open, stop and close by one thread, not a loop's.
 */
#ifndef KIST_API_SERVER_H
#define KIST_API_SERVER_H

#include "api/api.h"

struct server;

/* Why an open failed, for people. */
struct server_fault {
    char text[256];
};

/*
 * Listen on settings->listen and serve until server_close(). api is kept.
 * KIST_IO: an address cannot be bound; *out_fault says which and why.
 */
KIST_CHECKED enum kist_status server_open(struct api *api,
                                          struct server_fault *out_fault,
                                          struct server **out_server);

/* The bound port of listen address i, host order (0 asked, n given). */
uint16_t server_port(const struct server *server, size_t i);

/* The same of --peer-listen, on a node of a cluster. */
uint16_t server_peer_port(const struct server *server, size_t i);

/* The same of --admin-listen. */
uint16_t server_admin_port(const struct server *server, size_t i);

/*
 * From now on: answer what is in flight with Connection: close, close idle
 * connections, refuse new requests with 503.
 */
void server_drain(struct server *server);

/*
 * Wait until all clients are answered. False: not so at deadline_ns
 * (monotonic). Peers are served until the close.
 */
bool server_await_drained(struct server *server, uint64_t deadline_ns);

/* Ends every connection and loop, parked requests too. NULL is ok. */
void server_close(struct server *server);

#endif
