#include "service/healthcheck.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* A server for one connection; what it says, and what it was asked. */
struct server {
    int listener;
    const char *reply; /* NULL: it accepts and keeps silent. */
    char asked[256];
    pthread_t thread;
    int stop[2];
};

static void *serve(void *ctx)
{
    struct server *server = ctx;
    struct pollfd ready = {.fd = server->stop[0], .events = POLLIN};
    int client = accept(server->listener, NULL, NULL);
    ssize_t got = recv(client, server->asked, sizeof(server->asked) - 1, 0);

    server->asked[got > 0 ? got : 0] = '\0';
    /* Byte by byte: an answer may come in any pieces. */
    for (const char *at = server->reply; at != NULL && *at != '\0'; at++)
        if (send(client, at, 1, MSG_NOSIGNAL) != 1)
            break;
    if (server->reply == NULL)
        poll(&ready, 1, -1);
    close(client);
    return NULL;
}

static struct address parse(const char *text)
{
    struct address address;
    const char *problem;

    cr_assert_eq(address_parse(view_of(text), &address, &problem), KIST_OK);
    return address;
}

/* Listens at a port the kernel chooses, and writes it into *address. */
static void start(struct server *server, const char *reply,
                  struct address *address)
{
    *server = (struct server){.reply = reply};
    server->listener = socket(address->where.any.sa_family, SOCK_STREAM, 0);
    cr_assert_eq(bind(server->listener, &address->where.any, address->size), 0);
    cr_assert_eq(listen(server->listener, 1), 0);
    cr_assert_eq(getsockname(server->listener, &address->where.any,
                             &(socklen_t){sizeof(address->where)}),
                 0);
    cr_assert_eq(pipe(server->stop), 0);
    cr_assert_eq(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
    close(server->stop[1]);
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->listener);
}

static enum kist_status check(const char *listen, const char *reply,
                              uint64_t timeout_ms, const char *expected_line)
{
    struct address address = parse(listen);
    struct server server;
    struct blob line = BLOB_EMPTY;

    start(&server, reply, &address);
    enum kist_status status = healthcheck_run(&address, timeout_ms, &line);
    stop(&server);
    cr_assert(view_starts_with(blob_view(&line), view_of(expected_line)));
    cr_assert(view_starts_with(view_of(server.asked),
                               VIEW_LITERAL("GET /readyz HTTP/1.1\r\nHost: ")));
    blob_free(&line);
    return status;
}

TestSuite(healthcheck, .timeout = 20);

Test(healthcheck, passes_when_the_node_is_ready)
{
    cr_assert_eq(check("127.0.0.1:0", "HTTP/1.1 200 OK\r\n\r\n", 10000,
                       "ready: 127.0.0.1:"),
                 KIST_OK);
}

Test(healthcheck, asks_the_loopback_when_all_addresses_are_listened_on)
{
    cr_assert_eq(check("0.0.0.0:0", "HTTP/1.1 200 OK\r\n\r\n", 10000,
                       "ready: 127.0.0.1:"),
                 KIST_OK);
    cr_assert_eq(
        check(":0", "HTTP/1.1 200 OK\r\n\r\n", 10000, "ready: 127.0.0.1:"),
        KIST_OK);
}

Test(healthcheck, fails_when_the_node_says_it_is_not_ready)
{
    cr_assert_eq(check("127.0.0.1:0",
                       "HTTP/1.1 503 Service Unavailable\r\n\r\n", 10000,
                       "not ready: status 503 from 127.0.0.1:"),
                 KIST_BUSY);
}

Test(healthcheck, fails_when_the_answer_is_not_http)
{
    cr_assert_eq(check("127.0.0.1:0", "SSH-2.0-OpenSSH_9.2\r\n", 10000,
                       "not ready: no answer from"),
                 KIST_IO);
    cr_assert_eq(
        check("127.0.0.1:0", "HTTP/1.1", 10000, "not ready: no answer from"),
        KIST_IO);
}

Test(healthcheck, gives_up_on_a_silent_node)
{
    cr_assert_eq(check("127.0.0.1:0", NULL, 100, "not ready: no answer from"),
                 KIST_IO);
}

Test(healthcheck, fails_when_nobody_listens)
{
    struct address address = parse("127.0.0.1:0");
    int unused = socket(AF_INET, SOCK_STREAM, 0);
    struct blob line = BLOB_EMPTY;

    cr_assert_eq(healthcheck_run(&address, 10000, &line), KIST_INVALID);

    /* Bound, so nobody else gets the port, but not listening. */
    cr_assert_eq(bind(unused, &address.where.any, address.size), 0);
    cr_assert_eq(getsockname(unused, &address.where.any,
                             &(socklen_t){sizeof(address.where)}),
                 0);
    cr_assert_eq(healthcheck_run(&address, 10000, &line), KIST_IO);
    close(unused);
    blob_free(&line);
}
