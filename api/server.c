/*
 * What starts in open ends in close in the reverse order: the acceptor first,
 * so that nothing new comes; then the loops, each of which waits for the
 * requests that are parked on it; then what they shared.
 */
#include "api/server.h"

#include "api/acceptor.h"
#include "api/http_loop.h"
#include "api/listener.h"
#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct server {
    struct http_shared shared;
    struct acceptor *acceptor; /* NULL once draining. */
    struct http_loop **loops;
    size_t nloops;   /* Open. */
    size_t nstarted; /* Of these. */
    /* For clients, then for peers, then for /admin. */
    int listeners[3 * SETTINGS_LISTENERS];
    uint16_t ports[3 * SETTINGS_LISTENERS];
    size_t nlisteners;
    size_t npeers; /* Of them. */
};

static enum kist_status open_listeners(struct server *server,
                                       const struct settings_listeners *listen,
                                       struct server_fault *out_fault)
{
    for (size_t i = 0; i < listen->count; i++) {
        struct blob why = BLOB_EMPTY;
        enum kist_status status = listener_open(
            &listen->addresses[i], &why, &server->listeners[server->nlisteners],
            &server->ports[server->nlisteners]);

        if (status != KIST_OK)
            snprintf(out_fault->text, sizeof(out_fault->text), "%.*s",
                     (int)why.size, why.failed ? "" : why.data);
        blob_free(&why);
        if (status != KIST_OK)
            return status;
        server->nlisteners++;
    }
    return KIST_OK;
}

static enum kist_status open_all_listeners(struct server *server,
                                           struct server_fault *out_fault)
{
    const struct settings *settings = server->shared.api->settings;
    enum kist_status status =
        open_listeners(server, &settings->listen, out_fault);
    size_t nclients = server->nlisteners;

    if (status == KIST_OK && settings_are_of_cluster(settings))
        status = open_listeners(server, &settings->peer_listen, out_fault);
    server->npeers = server->nlisteners - nclients;
    if (status == KIST_OK)
        status = open_listeners(server, &settings->admin_listen, out_fault);
    return status;
}

static void close_listeners(struct server *server)
{
    while (server->nlisteners > 0)
        close(server->listeners[--server->nlisteners]);
}

/* The engine's, each loop's, listeners, logs and whatever is open shortly. */
enum { OTHER_FILES = 512, LEAST_FILES = 16 };

static uint64_t count_files(const struct settings *settings)
{
    uint64_t others =
        settings->max_connections + settings->max_open_files + OTHER_FILES;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur < others + LEAST_FILES)
        return LEAST_FILES;
    return limit.rlim_cur - others;
}

static enum kist_status open_shared(struct server *server)
{
    const struct api *api = server->shared.api;
    enum kist_status status = http_stats_open(&server->shared.stats);

    server->shared.upload_memory.most = api->settings->body_memory_bytes;
    server->shared.answer_memory.most = api->settings->body_memory_bytes;
    server->shared.files.most = count_files(api->settings);
    if (status == KIST_OK)
        status = census_open((size_t)api->settings->max_connections_per_address,
                             &server->shared.census);
    if (status == KIST_OK && settings_are_of_cluster(api->settings))
        status = census_open(0, &server->shared.peer_census);
    if (status != KIST_OK || api->metrics == NULL)
        return status;
    http_stats_register(server->shared.stats, api->metrics);
    return metrics_seal(api->metrics); /* Before the first scrape. */
}

static enum kist_status open_loops(struct server *server)
{
    size_t n = server->shared.api->loops;
    enum kist_status status = KIST_OK;

    assert(n >= 1);
    server->loops = calloc(n, sizeof(struct http_loop *));
    if (server->loops == NULL)
        return KIST_NO_MEMORY;
    while (status == KIST_OK && server->nloops < n) {
        status = http_loop_open(&server->shared, server->nloops,
                                &server->loops[server->nloops]);
        if (status == KIST_OK)
            server->nloops++;
    }
    while (status == KIST_OK && server->nstarted < n) {
        status = http_loop_start(server->loops[server->nstarted]);
        if (status == KIST_OK)
            server->nstarted++;
    }
    return status;
}

static enum kist_status open_acceptor(struct server *server)
{
    struct acceptor_options options = {
        .shared = &server->shared,
        .loops = server->loops,
        .nloops = server->nloops,
        .descriptors = server->listeners,
        .ndescriptors = server->nlisteners,
        .nclients = server->shared.api->settings->listen.count,
        .npeers = server->npeers,
    };

    return acceptor_open(&options, &server->acceptor);
}

enum kist_status server_open(struct api *api, struct server_fault *out_fault,
                             struct server **out_server)
{
    struct server *server = calloc(1, sizeof(*server));

    out_fault->text[0] = '\0';
    if (server == NULL)
        return KIST_NO_MEMORY;
    server->shared.api = api;

    enum kist_status status = open_all_listeners(server, out_fault);

    if (status == KIST_OK)
        status = open_shared(server);
    if (status == KIST_OK)
        status = open_loops(server);
    if (status == KIST_OK)
        status = open_acceptor(server);
    if (status != KIST_OK) {
        if (out_fault->text[0] == '\0')
            snprintf(out_fault->text, sizeof(out_fault->text),
                     "cannot start serving HTTP: %s", kist_status_name(status));
        server_close(server);
        return status;
    }
    *out_server = server;
    return KIST_OK;
}

uint16_t server_port(const struct server *server, size_t i)
{
    assert(i < server->shared.api->settings->listen.count);
    return server->ports[i];
}

uint16_t server_peer_port(const struct server *server, size_t i)
{
    size_t at = server->shared.api->settings->listen.count + i;

    assert(at < server->nlisteners);
    return server->ports[at];
}

uint16_t server_admin_port(const struct server *server, size_t i)
{
    size_t at = server->shared.api->settings->listen.count + server->npeers + i;

    assert(at < server->nlisteners);
    return server->ports[at];
}

static void stop_accepting(struct server *server)
{
    acceptor_close(server->acceptor);
    server->acceptor = NULL;
    close_listeners(server);
}

void server_drain(struct server *server)
{
    /* A probe that comes now learns from /readyz why, not from a refusal. */
    atomic_store(&server->shared.api->stopping, true);
    for (size_t i = 0; i < server->nstarted; i++)
        http_loop_drain(server->loops[i]);
}

bool server_await_drained(struct server *server, uint64_t deadline_ns)
{
    return census_wait_empty(server->shared.census, deadline_ns);
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    stop_accepting(server);
    for (size_t i = 0; i < server->nstarted; i++)
        http_loop_stop(server->loops[i]);
    for (size_t i = 0; i < server->nloops; i++)
        http_loop_close(server->loops[i]);
    free(server->loops);
    census_close(server->shared.census);
    census_close(server->shared.peer_census);
    http_stats_close(server->shared.stats);
    free(server);
}
