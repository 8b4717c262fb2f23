/*
 * http_loop - one loop's HTTP: its libmicrohttpd daemon, its connections and
 * the requests on them.
 *
 * The daemon has no thread and no listening socket. Its epoll descriptor is
 * watched by the loop, which calls MHD_run() when it is readable; connections
 * come from the acceptor through the loop's mailbox. What other parts of the
 * loop do to a request (a commit that finished) is collected and carried out
 * by one MHD_run() at the end of the turn.
 *
 * Threads: open, start and close by the server's thread; calls marked "any"
 * from any thread; all others on the loop.
 */
#ifndef KIST_API_HTTP_LOOP_H
#define KIST_API_HTTP_LOOP_H

#include "api/api.h"
#include "api/budget.h"
#include "api/census.h"
#include "api/connection.h"
#include "api/file_lane.h"
#include "api/http_stats.h"
#include "api/mould.h"
#include "api/request_id.h"
#include "base/loop.h"

#include <microhttpd.h>
#include <sys/socket.h>

struct exchange;
struct feed;

/* What the loops of one server share. */
struct http_shared {
    struct api *api;
    struct http_stats *stats;
    struct census *census;      /* Of clients. */
    struct census *peer_census; /* NULL: a node alone. */
    /* --body-memory each: neither slow readers nor slow writers stop both. */
    struct budget upload_memory;
    struct budget answer_memory;
    /*
     * Descriptors for files of large values: what connections and the engine
     * leave of the process's limit, so that neither ever lacks one.
     */
    struct budget files;
};

enum http_guest { HTTP_CLIENT, HTTP_PEER, HTTP_ADMIN };

/* Of each kind of guests; NULL: none of them are let in. */
struct census *http_shared_census(const struct http_shared *shared,
                                  enum http_guest guest);

/* Only forward. */
enum http_loop_state {
    HTTP_LOOP_SERVING,
    HTTP_LOOP_DRAINING, /* Answers carry close, idle connections went. */
    HTTP_LOOP_STOPPING, /* Connections are cut; parked requests are awaited. */
    HTTP_LOOP_STOPPED,  /* The daemon is gone, the loop ends. */
};

struct http_loop {
    /* Set by http_loop_open() and _start(), then read-only. */
    struct http_shared *shared;
    struct loop *loop;
    bool started;
    bool begun; /* api->loop_begin() was called and gave KIST_OK. */

    /* The loop only. */
    struct MHD_Daemon *daemon; /* These four are NULL once stopped. */
    struct loop_watch *watch;
    struct loop_timer *again; /* libmicrohttpd wants another run at once. */
    struct loop_timer *tick;
    struct api_loop api_loop;
    enum http_loop_state state;
    bool run_needed;
    bool progress; /* Of any request in this run of libmicrohttpd. */
    size_t held;   /* Requests that wait without being suspended. */
    struct connection_list idle; /* Phases idle and head. */
    struct connection_list busy;
    struct connection *arriving; /* Within MHD_add_connection(). */
    struct exchange *parked;
    struct feed *feeds;
    struct file_lane files;
    size_t suspended_uploads; /* They wait for files. */
    struct exchange *spare;
    size_t spares;
    struct moulds moulds;
    struct request_ids ids;

    /* Any thread reads; nconnections is written by the acceptor as well. */
    _Atomic size_t nconnections;
    _Atomic size_t nidle;

    struct loop_task drain_task;
    uint64_t drained_ns; /* When draining began. */
    struct loop_task stop_task;
};

KIST_CHECKED enum kist_status http_loop_open(struct http_shared *shared,
                                             size_t index,
                                             struct http_loop **out_loop);
KIST_CHECKED enum kist_status http_loop_start(struct http_loop *loop);

/*
 * Any. Takes the connection: descriptor and its place in the census of its
 * kind. False: no memory; then both stay the caller's.
 */
bool http_loop_hand_over(struct http_loop *loop, int descriptor,
                         const struct sockaddr *address, socklen_t size,
                         enum http_guest guest, struct census_address counted);

/* Any. End the connection that has been idle for longest. */
void http_loop_evict(struct http_loop *loop);

/* Any, once each. */
void http_loop_drain(struct http_loop *loop);
void http_loop_stop(struct http_loop *loop); /* Started ones only. */

/* Waits for a started loop's stop. Takes NULL and half-open ones. */
void http_loop_close(struct http_loop *loop);

/* A connection was resumed: run libmicrohttpd before the turn ends. */
void http_loop_wake(struct http_loop *loop);

void http_loop_enter(struct http_loop *loop, struct connection *connection,
                     enum connection_phase phase, uint64_t now_ns);

#endif
