/*
 * Whatever comes over a socket: all that is answered is HTTP/1.1, a handler
 * sees only bodies within the limit, a client that sends no more is not kept,
 * and the next one is served.
 *
 * The server runs in this process, with two routes of its own.
 */
#include "api/api.h"
#include "api/reply.h"
#include "api/router.h"
#include "api/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/http_answers.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 1000, PATIENCE_MS = 2, DEADLINE_MS = 10000 };

static struct settings settings = {
    .listen.count = 1,
    .max_connections = 100,
    .head_timeout_ms = 1000,
    .idle_timeout_ms = 1000,
    .body_rate_bytes = 1000,
    .response_timeout_ms = 1000,
    .max_json_bytes = BODY_MAX,
    .max_value_bytes = BODY_MAX,
    .max_batch_bytes = BODY_MAX,
    .body_memory_bytes = 1 << 20,
};

static struct api api = {.settings = &settings, .loops = 1};
static struct server *server;

static void get(struct request *request)
{
    assert(request->body.size == 0);
    reply_static(request, 200, "text/plain", VIEW_LITERAL("value"));
}

static void put(struct request *request)
{
    struct blob body = request_take_body(request);

    assert(request->key.size >= 1 && view_is_utf8(request->key));
    assert(body.size <= BODY_MAX);
    reply_bytes(request, 200, "text/plain", &body, blob_view(&body));
}

const struct route routes[] = {
    {METHOD_GET, "/kv/{key}", "get_key", BODY_NONE, 0, TAKES(PARAMETER_PTR),
     get, NULL},
    {METHOD_PUT, "/kv/{key}", "put_key", BODY_PIECE, ROUTE_WRITES,
     TAKES(PARAMETER_TTL), put, NULL},
};

const size_t routes_count = sizeof(routes) / sizeof(routes[0]);

static void start_server(void)
{
    struct server_fault fault;
    const char *why;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    enum kist_status status =
        log_open(null, LOG_DEBUG, LOG_ACCESS_ON, &api.log);

    assert(null >= 0 && status == KIST_OK);
    status = address_parse(VIEW_LITERAL("127.0.0.1:0"),
                           &settings.listen.addresses[0], &why);
    assert(status == KIST_OK);
    status = server_open(&api, &fault, &server);
    assert(status == KIST_OK);
}

static int connect_client(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(server_port(server, 0)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc =
        connect(client, (const struct sockaddr *)&address, sizeof(address));

    assert(client >= 0 && rc == 0);
    return client;
}

/* Append what comes within ms; false: the server sends no more. */
static bool hear(int client, int ms, struct blob *answers)
{
    struct pollfd poll_for = {.fd = client, .events = POLLIN};

    if (poll(&poll_for, 1, ms) <= 0)
        return true;
    enum kist_status status = blob_reserve(answers, 4096);

    assert(status == KIST_OK);
    ssize_t size =
        recv(client, answers->data + answers->size, 4096, MSG_DONTWAIT);

    if (size <= 0)
        return false;
    answers->size += (size_t)size;
    return true;
}

/* A connection that is served, and kept for the next time. */
static void expect_served(void)
{
    static const char get_good[] = "GET /kv/good HTTP/1.1\r\nHost: a\r\n\r\n";
    static int kept = -1;
    struct blob answers = BLOB_EMPTY;
    struct view end = VIEW_LITERAL("\r\n\r\nvalue");
    bool fresh = kept < 0;

    if (fresh)
        kept = connect_client();
    bool open = send(kept, get_good, strlen(get_good), MSG_NOSIGNAL) > 0;

    while (open && (answers.size < end.size ||
                    memcmp(answers.data + answers.size - end.size, end.data,
                           end.size) != 0)) {
        size_t before = answers.size;

        open = hear(kept, DEADLINE_MS, &answers);
        assert(!open || answers.size > before);
    }
    assert(open || !fresh);
    assert(!open || (http_answers_are_right(blob_view(&answers)) &&
                     view_starts_with(blob_view(&answers),
                                      VIEW_LITERAL("HTTP/1.1 200 "))));
    blob_free(&answers);
    if (open)
        return;
    close(kept); /* It was idle for too long: once more. */
    kept = -1;
    expect_served();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct linger reset = {.l_onoff = 1};
    struct blob answers = BLOB_EMPTY;

    if (server == NULL)
        start_server();
    int client = connect_client();
    bool open = send(client, data, size, MSG_NOSIGNAL) >= 0;

    /* Some answers come at once; the rest once nothing more can follow. */
    if (open)
        open = hear(client, PATIENCE_MS, &answers);
    shutdown(client, SHUT_WR);
    while (open) {
        size_t before = answers.size;

        open = hear(client, DEADLINE_MS, &answers);
        assert(!open || answers.size > before);
    }
    assert(http_answers_are_right(blob_view(&answers)));
    blob_free(&answers);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(client);
    expect_served();
    return 0;
}
