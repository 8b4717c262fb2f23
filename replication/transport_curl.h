/*
 * transport_curl - messages to peers over HTTP: POST /peer/1 with libcurl.
 *
 * Each loop has a transport of its own, with its own connections to each peer,
 * which stay open. What is sent in one turn of the loop, or while other
 * messages to the same peer are under way, goes together
 * (replication/parcel.h). A peer's name is looked up by libcurl when it
 * connects, and again a minute later.
 *
 * libcurl sends a message again if a connection that was open before breaks
 * without an answer. So a peer may get it twice, as every frame may come
 * twice; and what failed counts as unsent only if not a byte of it left on any
 * connection.
 *
 * Threads: a transport belongs to its loop. Statistics may be shared.
 */
#ifndef KIST_REPLICATION_TRANSPORT_CURL_H
#define KIST_REPLICATION_TRANSPORT_CURL_H

#include "base/loop.h"
#include "base/metric.h"
#include "replication/env.h"

/* The most bytes of a message, and of an answer that is taken. */
#define TRANSPORT_MESSAGE_MAX (8u << 20)
#define TRANSPORT_ANSWER_MAX  (64u << 20)

struct transport;

struct transport_stats {
    struct counter answered; /* Messages, by what came of them. */
    struct counter not_sent;
    struct counter lost;
    struct counter refused;      /* Of those not sent: the queue was full. */
    struct counter unauthorized; /* Requests: the peer has another secret. */
    struct counter bodies;       /* Requests; a message or more in each. */
    struct histogram time;       /* Of a request that was answered. */
};

struct transport_options {
    struct loop *loop;             /* Kept. */
    const char *secret;            /* "": none. Copied. */
    size_t queue_bytes;            /* For each peer. */
    struct transport_stats *stats; /* Kept. */
};

/* Once in a process, before it has a second thread. False: it cannot run. */
KIST_CHECKED bool transport_begin_process(void);
void transport_end_process(void);

/* KIST_IO: libcurl does not start. Ends in transport_close(). */
KIST_CHECKED enum kist_status
transport_open(const struct transport_options *options,
               struct transport **out_transport);

/* As env_ops.send. */
void transport_send(struct transport *transport, struct env_call *call);

/* At the end of each turn: what waits goes out, what was refused is told. */
void transport_flush(struct transport *transport);

/* Every call is over now, and later ones are not sent. */
void transport_stop(struct transport *transport);

/* No call is under way, waits, or has to be told. */
bool transport_is_idle(const struct transport *transport);

/* Idle, and its loop runs no more. Takes NULL. */
void transport_close(struct transport *transport);

#endif
