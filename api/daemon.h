/*
 * daemon - how libmicrohttpd is set up for a loop, in one place.
 *
 * No thread, no listening socket, no time-outs and no percent-decoding of its
 * own: the loop, the acceptor, api/connection.h and api/target.h do these.
 */
#ifndef KIST_API_DAEMON_H
#define KIST_API_DAEMON_H

#include "api/http_loop.h"
#include "base/status.h"

#include <microhttpd.h>

/*
 * Sets loop->daemon, which ends in MHD_stop_daemon(). moved is told of each
 * connection's start and end, with the loop as its cls. KIST_IO: refused.
 */
KIST_CHECKED enum kist_status daemon_open(struct http_loop *loop,
                                          MHD_NotifyConnectionCallback moved);

#endif
