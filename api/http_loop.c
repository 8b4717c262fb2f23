#include "api/http_loop.h"

#include "api/daemon.h"
#include "api/exchange.h"
#include "api/feed.h"
#include "base/clock.h"
#include "base/owner.h"
#include "storage/commit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    EVICT_TRIES = 16,
    HELD_MS = 1,
};

/* For a request after draining began. */
#define LAST_WORD_NS UINT64_C(500000000)

/* A connection on its way from the acceptor; frees itself on arrival. */
struct arrival {
    struct loop_task task;
    struct http_loop *loop;
    struct connection *connection;
    struct sockaddr_storage address;
    socklen_t size;
};

struct eviction {
    struct loop_task task;
    struct http_loop *loop;
};

static struct connection_list *list_of(struct http_loop *loop,
                                       const struct connection *connection)
{
    bool idle = connection->phase == CONNECTION_IDLE ||
                connection->phase == CONNECTION_HEAD;

    return idle ? &loop->idle : &loop->busy;
}

/* Only this loop writes it, so a plain load and store are enough. */
static void count_idle(struct http_loop *loop, size_t change)
{
    size_t n = atomic_load_explicit(&loop->nidle, memory_order_relaxed);

    atomic_store_explicit(&loop->nidle, n + change, memory_order_relaxed);
}

static void add_to_list(struct http_loop *loop, struct connection *connection)
{
    struct connection_list *list = list_of(loop, connection);

    connection_list_add(list, connection);
    if (list == &loop->idle)
        count_idle(loop, 1);
}

static void remove_from_list(struct http_loop *loop,
                             struct connection *connection)
{
    struct connection_list *list = list_of(loop, connection);

    connection_list_remove(list, connection);
    if (list == &loop->idle)
        count_idle(loop, SIZE_MAX);
}

void http_loop_enter(struct http_loop *loop, struct connection *connection,
                     enum connection_phase phase, uint64_t now_ns)
{
    remove_from_list(loop, connection);
    connection_enter(connection, phase, now_ns);
    add_to_list(loop, connection);
}

struct census *http_shared_census(const struct http_shared *shared,
                                  enum http_guest guest)
{
    return guest == HTTP_PEER ? shared->peer_census : shared->census;
}

static void forget(struct http_loop *loop, struct connection *connection)
{
    census_leave(http_shared_census(loop->shared, connection->is_peer
                                                      ? HTTP_PEER
                                                      : HTTP_CLIENT),
                 connection->address);
    atomic_fetch_sub_explicit(&loop->nconnections, 1, memory_order_relaxed);
    gauge_add(&loop->shared->stats->connections, -1);
    free(connection);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_loop *loop = cls;

    (void)mhd;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        assert(loop->arriving != NULL);
        *context = loop->arriving;
        loop->arriving = NULL;
        add_to_list(loop, *context);
        return;
    }
    remove_from_list(loop, *context);
    forget(loop, *context);
}

static void on_arrival(struct loop_task *task)
{
    struct arrival *arrival = OWNER(task, struct arrival, task);
    struct http_loop *loop = arrival->loop;
    struct connection *connection = arrival->connection;

    connection->since_ns = clock_mono_ns();
    if (loop->state >= HTTP_LOOP_STOPPING) {
        close(connection->descriptor);
        forget(loop, connection);
    } else {
        loop->arriving = connection;
        /* The descriptor is libmicrohttpd's now, whatever it answers. */
        enum MHD_Result added = MHD_add_connection(
            loop->daemon, connection->descriptor,
            (const struct sockaddr *)&arrival->address, arrival->size);

        if (added == MHD_NO)
            counter_add(&loop->shared->stats->refused[HTTP_REFUSED_FAILED], 1);
        if (loop->arriving != NULL)
            forget(loop, connection);
        loop->arriving = NULL;
    }
    free(arrival);
}

bool http_loop_hand_over(struct http_loop *loop, int descriptor,
                         const struct sockaddr *address, socklen_t size,
                         enum http_guest guest, struct census_address counted)
{
    struct arrival *arrival = calloc(1, sizeof(*arrival));
    struct connection *connection = calloc(1, sizeof(*connection));

    if (arrival == NULL || connection == NULL) {
        free(arrival);
        free(connection);
        return false;
    }
    assert(size <= sizeof(arrival->address));
    connection->descriptor = descriptor;
    connection->address = counted;
    connection->is_peer = guest == HTTP_PEER;
    connection->is_admin = guest == HTTP_ADMIN;
    arrival->task.run = on_arrival;
    arrival->loop = loop;
    arrival->connection = connection;
    memcpy(&arrival->address, address, size);
    arrival->size = size;
    atomic_fetch_add_explicit(&loop->nconnections, 1, memory_order_relaxed);
    gauge_add(&loop->shared->stats->connections, 1);
    loop_post(loop->loop, &arrival->task);
    return true;
}

static void end(struct http_loop *loop, struct connection *connection,
                enum http_end why)
{
    if (connection->ended)
        return;
    counter_add(&loop->shared->stats->ended[why], 1);
    connection_end(connection);
}

/* One whose request is on its way already is not idle: leave it. */
static void on_eviction(struct loop_task *task)
{
    struct eviction *eviction = OWNER(task, struct eviction, task);
    struct http_loop *loop = eviction->loop;
    struct connection *connection = loop->idle.first;
    size_t tries = 0;

    free(eviction);
    while (connection != NULL && tries < EVICT_TRIES) {
        if (!connection->ended && !connection->is_peer) {
            tries++;
            if (connection_is_quiet(connection)) {
                end(loop, connection, HTTP_END_EVICTED);
                return;
            }
        }
        connection = connection->next;
    }
}

void http_loop_evict(struct http_loop *loop)
{
    struct eviction *eviction = calloc(1, sizeof(*eviction));

    if (eviction == NULL)
        return; /* The cap is a little softer then, for one connection. */
    eviction->task.run = on_eviction;
    eviction->loop = loop;
    loop_post(loop->loop, &eviction->task);
}

static void check_deadlines(struct http_loop *loop,
                            struct connection_list *list, uint64_t now_ns)
{
    const struct settings *settings = loop->shared->api->settings;
    enum http_end why;

    for (struct connection *connection = list->first; connection != NULL;
         connection = connection->next) {
        if (!connection->ended &&
            connection_overdue(connection, settings, now_ns, &why))
            end(loop, connection, why);
    }
}

/* Nobody reads the answer of a wait whose client is gone. */
static void cut_deserted(struct http_loop *loop)
{
    struct exchange *next;

    for (struct exchange *exchange = loop->parked; exchange != NULL;
         exchange = next) {
        next = exchange->next_parked;
        if (exchange->request.abandon != NULL &&
            connection_is_gone(exchange->connection))
            exchange_cut(exchange);
    }
}

static void on_tick(void *ctx)
{
    struct http_loop *loop = ctx;
    uint64_t now_ns = clock_mono_ns();

    check_deadlines(loop, &loop->idle, now_ns);
    check_deadlines(loop, &loop->busy, now_ns);
    cut_deserted(loop);
    loop_timer_set(loop->tick, TICK_MS);
}

static void abandon_parked(struct http_loop *loop)
{
    struct exchange *next;

    for (struct exchange *exchange = loop->parked; exchange != NULL;
         exchange = next) {
        next = exchange->next_parked;
        if (exchange->request.abandon != NULL)
            exchange_abandon(exchange);
    }
}

/*
 * Draining: who came since is given a moment to ask, and learns from the
 * answer that the node stops; a probe's refused connection would not say so.
 */
static bool may_go(const struct http_loop *loop,
                   const struct connection *connection)
{
    return connection->since_ns <= loop->drained_ns ||
           clock_mono_ns() - connection->since_ns > LAST_WORD_NS;
}

/*
 * Draining: what waits for nothing can go. Peers are served to the end: what
 * is in flight here and there may need them.
 */
static void end_finished(struct http_loop *loop)
{
    for (struct connection *connection = loop->idle.first; connection != NULL;
         connection = connection->next) {
        if (connection->is_peer)
            continue;
        if (connection->phase == CONNECTION_HEAD) {
            if (connection_is_gone(connection))
                end(loop, connection, HTTP_END_GONE);
        } else if (connection_is_quiet(connection) &&
                   may_go(loop, connection)) {
            end(loop, connection, HTTP_END_STOPPING);
        }
    }
    for (struct connection *connection = loop->busy.first; connection != NULL;
         connection = connection->next) {
        if (connection->phase == CONNECTION_BODY &&
            connection_is_gone(connection))
            end(loop, connection, HTTP_END_GONE);
    }
}

/* What a client sent before the drain is in flight, read or not. */
static void find_begun(struct http_loop *loop)
{
    uint64_t now_ns = clock_mono_ns();

    for (struct connection *connection = loop->idle.first; connection != NULL;
         connection = connection->next) {
        connection_look(connection, now_ns);
        connection->begun = connection->phase == CONNECTION_HEAD;
    }
}

static void on_drain(struct loop_task *task)
{
    struct http_loop *loop = OWNER(task, struct http_loop, drain_task);

    assert(loop->state == HTTP_LOOP_SERVING);
    loop->state = HTTP_LOOP_DRAINING;
    loop->drained_ns = clock_mono_ns();
    find_begun(loop);
    abandon_parked(loop);
}

void http_loop_drain(struct http_loop *loop)
{
    loop_post(loop->loop, &loop->drain_task);
}

static void on_stop(struct loop_task *task)
{
    struct http_loop *loop = OWNER(task, struct http_loop, stop_task);

    assert(loop->state < HTTP_LOOP_STOPPING);
    loop->state = HTTP_LOOP_STOPPING;
    abandon_parked(loop);
    feed_cut_all(loop);
}

void http_loop_stop(struct http_loop *loop)
{
    loop_post(loop->loop, &loop->stop_task);
}

/* libmicrohttpd aborts if it is stopped with a suspended connection. */
static void stop_if_possible(struct http_loop *loop)
{
    feed_cut_all(loop);
    const struct api *api = loop->shared->api;
    bool rests = api->loop_rests == NULL || api->loop_rests(&loop->api_loop);

    if (!rests || loop->parked != NULL || loop->suspended_uploads > 0 ||
        loop->run_needed ||
        (loop->api_loop.lane != NULL && !commit_lane_idle(loop->api_loop.lane)))
        return;
    loop->state = HTTP_LOOP_STOPPED;
    loop_watch_close(loop->watch);
    loop_timer_close(loop->again);
    loop_timer_close(loop->tick);
    loop->watch = NULL;
    loop->again = NULL;
    loop->tick = NULL;
    MHD_stop_daemon(loop->daemon);
    loop->daemon = NULL;
}

static void run(struct http_loop *loop)
{
    loop->run_needed = false;
    loop->progress = false;
    MHD_run(loop->daemon);
}

static void on_ready(void *ctx, unsigned readiness)
{
    (void)readiness;
    run(ctx);
}

static void on_again(void *ctx)
{
    run(ctx);
}

void http_loop_wake(struct http_loop *loop)
{
    loop->run_needed = true;
}

/*
 * Does libmicrohttpd have work that no descriptor will tell about? It says so
 * whenever requests are held; if it got nowhere with the others, neither, a
 * moment later is early enough.
 */
static void schedule(struct http_loop *loop)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    bool waits = loop->held > 0 && !loop->progress;

    if (loop->run_needed)
        loop_timer_set(loop->again, 0);
    else if (MHD_get_timeout(loop->daemon, &timeout) == MHD_YES)
        /* It keeps no other deadlines here. */
        loop_timer_set(loop->again, waits ? HELD_MS : 0);
}

static void on_turn_end(void *ctx)
{
    struct http_loop *loop = ctx;
    const struct api *api = loop->shared->api;

    if (loop->daemon != NULL && loop->run_needed)
        run(loop);
    if (api->turn_end != NULL)
        api->turn_end(&loop->api_loop);
    if (loop->state == HTTP_LOOP_DRAINING)
        end_finished(loop);
    if (loop->state == HTTP_LOOP_STOPPING)
        stop_if_possible(loop);
    if (loop->daemon != NULL)
        schedule(loop);
    else if (file_lane_is_idle(&loop->files))
        loop_stop(loop->loop);
}

static enum kist_status watch_daemon(struct http_loop *loop)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    assert(info != NULL);
    return loop_watch_open(loop->loop, info->epoll_fd, LOOP_READABLE, on_ready,
                           loop, &loop->watch);
}

static enum kist_status open_parts(struct http_loop *loop)
{
    const struct api *api = loop->shared->api;
    char name[16];
    int size = snprintf(name, sizeof(name), "http-%zu", loop->api_loop.index);

    assert(size > 0 && (size_t)size < sizeof(name));

    enum kist_status status = loop_open(name, &loop->loop);

    if (status == KIST_OK)
        status = request_ids_seed(&loop->ids);
    if (status == KIST_OK)
        status = loop_timer_open(loop->loop, on_again, loop, &loop->again);
    if (status == KIST_OK)
        status = loop_timer_open(loop->loop, on_tick, loop, &loop->tick);
    if (status == KIST_OK)
        status = daemon_open(loop, on_connection);
    if (status == KIST_OK)
        status = watch_daemon(loop);
    loop->api_loop.loop = loop->loop;
    loop->files.loop = loop->loop;
    if (status == KIST_OK && api->loop_begin != NULL)
        status = api->loop_begin(&loop->api_loop);
    loop->begun = status == KIST_OK;
    return status;
}

enum kist_status http_loop_open(struct http_shared *shared, size_t index,
                                struct http_loop **out_loop)
{
    struct http_loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        return KIST_NO_MEMORY;
    loop->shared = shared;
    loop->api_loop.api = shared->api;
    loop->api_loop.index = index;
    loop->drain_task.run = on_drain;
    loop->stop_task.run = on_stop;

    enum kist_status status = open_parts(loop);

    if (status != KIST_OK) {
        http_loop_close(loop);
        return status;
    }
    loop_on_turn_end(loop->loop, on_turn_end, loop);
    loop_timer_set(loop->tick, TICK_MS);
    *out_loop = loop;
    return KIST_OK;
}

enum kist_status http_loop_start(struct http_loop *loop)
{
    enum kist_status status = loop_start(loop->loop);

    loop->started = status == KIST_OK;
    return status;
}

void http_loop_close(struct http_loop *loop)
{
    if (loop == NULL)
        return;
    if (!loop->started) {
        /* Else the loop does this itself, before it ends. */
        loop_watch_close(loop->watch);
        loop_timer_close(loop->again);
        loop_timer_close(loop->tick);
        MHD_stop_daemon(loop->daemon);
    }
    /* What others may still post to it ends while it is there. */
    loop_join(loop->loop);
    if (loop->begun && loop->shared->api->loop_end != NULL)
        loop->shared->api->loop_end(&loop->api_loop);
    loop_close(loop->loop);
    while (loop->spare != NULL) {
        struct exchange *spare = loop->spare;

        loop->spare = spare->next_parked;
        exchange_free(spare);
    }
    moulds_clear(&loop->moulds);
    free(loop);
}
