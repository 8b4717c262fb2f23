/*
 * connection - one client's socket on its loop, and what it may take its
 * time for.
 *
 * libmicrohttpd only knows inactivity, so a client that sends a byte now and
 * then could stay for ever. Here each phase has a total deadline, looked at
 * once a second:
 *
 *     phase   begins with                      ends the connection when
 *     idle    open, or the last answer sent    idle-timeout is over
 *     head    the first byte, seen by the      the head is not whole within
 *             kernel's count (TCP_INFO)        head-timeout
 *     body    the whole head                   10 s brought less than 10 s
 *                                              of body-rate-bytes
 *     work    the whole body                   never: it waits for us
 *     answer  the answer queued                response-timeout brought less
 *                                              than a MiB to the client
 *
 * A client that closed before its request was whole is ended as well.
 *
 * Ending means shutdown(): libmicrohttpd then sees the end of the stream and
 * tears everything down in its own order.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_CONNECTION_H
#define KIST_API_CONNECTION_H

#include "api/census.h"
#include "api/http_stats.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct settings;

enum connection_phase {
    CONNECTION_IDLE,
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_WORK,
    CONNECTION_ANSWER,
};

struct connection {
    struct connection *previous;
    struct connection *next;
    int descriptor; /* libmicrohttpd's. */
    struct census_address address;
    bool is_peer;  /* Came in by --peer-listen: it sees only what is there. */
    bool is_admin; /* Came in by --admin-listen: it sees /admin, too. */
    struct exchange *reading; /* Whose head is not whole yet, or NULL. */

    enum connection_phase phase;
    uint64_t since_ns; /* The phase began; in body and answer, the window. */
    uint64_t received; /* Of the body, in this window. */

    /* Bytes that were parts of requests; unknown after one in chunks. */
    uint64_t consumed;
    bool consumed_unknown;

    /* Of the answer, when its window began; taken at the next look. */
    uint64_t acked;
    bool acked_known;

    bool begun; /* A request had begun when the drain did: it is served. */
    bool ended; /* By us: only libmicrohttpd's own end is still to come. */
};

/* Ordered by the time of the last change of phase, the longest ago first. */
struct connection_list {
    struct connection *first;
    struct connection *last;
};

void connection_list_add(struct connection_list *list,
                         struct connection *connection);
void connection_list_remove(struct connection_list *list,
                            struct connection *connection);

void connection_enter(struct connection *connection,
                      enum connection_phase phase, uint64_t now_ns);

/* An idle one whose client has begun a request enters the phase head. */
void connection_look(struct connection *connection, uint64_t now_ns);

/*
 * The deadlines. True: it is overdue, *out_end says for what, and the caller
 * ends it.
 */
bool connection_overdue(struct connection *connection,
                        const struct settings *settings, uint64_t now_ns,
                        enum http_end *out_end);

/* Shut the socket down, once. */
void connection_end(struct connection *connection);

/* Nothing is left to read: an idle one can go without losing a request. */
bool connection_is_quiet(const struct connection *connection);

/* The client has closed its side, or the connection broke. */
bool connection_is_gone(const struct connection *connection);

#endif
