/*
 * The HTTP machinery with handlers of its own: what real handlers do on it
 * (answer at once, answer later, stream, wait for what never comes) without
 * a store below. The table of routes is this file's, so api/routes.c is not
 * linked.
 */
#include "api/api.h"
#include "api/reply.h"
#include "api/router.h"
#include "api/server.h"
#include "base/clock.h"
#include "tests/support/http.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB 1024

static struct scene {
    struct settings settings;
    struct api api;
    struct server *server;
    struct http http;
    struct http_answer answer;
    int null;
} scene;

/* Requests that later() parked, until answer_parked() lets them go. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request *first;
    size_t count;
    struct loop_task task;
    int abandoned;
} parked = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER};

static void hello(struct request *request)
{
    reply_static(request, 200, "text/plain", VIEW_LITERAL("hello"));
}

static void echo(struct request *request)
{
    struct blob body = request_take_body(request);

    reply_bytes(request, 200, "text/plain", &body, blob_view(&body));
}

static void key_of(struct request *request)
{
    struct blob text = BLOB_EMPTY;

    blob_append(&text, request->key);
    if (request_has(request, PARAMETER_PREFIX)) {
        blob_append_text(&text, "?");
        blob_append(&text, request->parameters[PARAMETER_PREFIX]);
    }
    reply_bytes(request, 200, "text/plain", &text, blob_view(&text));
}

static void later(struct request *request)
{
    pthread_mutex_lock(&parked.lock);
    request->work = parked.first;
    parked.first = request;
    parked.count++;
    pthread_cond_broadcast(&parked.changed);
    pthread_mutex_unlock(&parked.lock);
}

static void forget(struct request *request)
{
    pthread_mutex_lock(&parked.lock);
    cr_assert(parked.first == request);
    parked.first = request->work;
    parked.count--;
    parked.abandoned++;
    pthread_cond_broadcast(&parked.changed);
    pthread_mutex_unlock(&parked.lock);
    request->work = NULL;
}

static void wait_for_ever(struct request *request)
{
    request->abandon = forget;
    later(request);
}

static void later_if_there(struct request *request)
{
    request->detach = forget;
    later(request);
}

static void answer_all(struct loop_task *task)
{
    (void)task;
    pthread_mutex_lock(&parked.lock);
    struct request *request = parked.first;

    parked.first = NULL;
    parked.count = 0;
    pthread_mutex_unlock(&parked.lock);
    while (request != NULL) {
        struct request *next = request->work;

        request->work = NULL;
        reply_static(request, 200, "text/plain", VIEW_LITERAL("at last"));
        request = next;
    }
}

/* Once n of them wait; all are on the one loop. */
static void answer_parked(size_t n)
{
    pthread_mutex_lock(&parked.lock);
    while (parked.count < n)
        pthread_cond_wait(&parked.changed, &parked.lock);
    struct loop *loop = parked.first->loop;

    pthread_mutex_unlock(&parked.lock);
    parked.task.run = answer_all;
    loop_post(loop, &parked.task);
}

enum { PIECES = 200, PIECE_SIZE = 20 * KIB };

struct numbers {
    struct stream stream; /* First. */
    int next;
    int last;
    enum kist_status end;
};

static enum kist_status fill_numbers(struct stream *stream, struct blob *piece)
{
    struct numbers *numbers = (struct numbers *)stream;

    if (numbers->next == numbers->last)
        return numbers->end;
    while (piece->size < PIECE_SIZE)
        blob_printf(piece, "%d\n", numbers->next);
    numbers->next++;
    return KIST_OK;
}

static void free_numbers(struct stream *stream)
{
    free(stream);
}

static void reply_numbers(struct request *request, enum kist_status end)
{
    struct numbers *numbers = calloc(1, sizeof(*numbers));

    cr_assert(numbers != NULL);
    numbers->stream =
        (struct stream){.fill = fill_numbers, .free = free_numbers};
    numbers->last = PIECES;
    numbers->end = end;
    reply_stream(request, 200, "application/x-ndjson", &numbers->stream);
}

static void stream(struct request *request)
{
    reply_numbers(request, KIST_OK);
}

static void broken_stream(struct request *request)
{
    reply_numbers(request, KIST_IO);
}

static void large(struct request *request)
{
    struct blob body = BLOB_EMPTY;

    cr_assert(blob_reserve(&body, 8 * KIB * KIB) == KIST_OK);
    memset(body.data, 'x', 8 * KIB * KIB);
    body.size = 8 * KIB * KIB;
    reply_bytes(request, 200, "text/plain", &body, blob_view(&body));
}

const struct route routes[] = {
    {METHOD_GET, "/hello", "hello", BODY_NONE, 0, 0, hello, NULL},
    {METHOD_GET, "/alive", "alive", BODY_NONE, ROUTE_ALWAYS, 0, hello, NULL},
    {METHOD_GET, "/kv/{key}", "get_key", BODY_NONE, 0, TAKES(PARAMETER_PREFIX),
     key_of, NULL},
    {METHOD_PUT, "/kv/{key}", "put_key", BODY_PIECE, ROUTE_WRITES, 0, echo,
     NULL},
    {METHOD_PUT, "/later", "put_later", BODY_PIECE, ROUTE_WRITES, 0, later,
     NULL},
    {METHOD_PUT, "/held", "put_held", BODY_PIECE, ROUTE_WRITES, 0,
     later_if_there, NULL},
    {METHOD_GET, "/wait", "wait", BODY_NONE, 0, 0, wait_for_ever, NULL},
    {METHOD_GET, "/stream", "stream", BODY_NONE, 0, 0, stream, NULL},
    {METHOD_GET, "/broken", "broken", BODY_NONE, 0, 0, broken_stream, NULL},
    {METHOD_GET, "/large", "large", BODY_NONE, 0, 0, large, NULL},
};

const size_t routes_count = sizeof(routes) / sizeof(routes[0]);

static void connect_client(void)
{
    http_close(&scene.http);
    http_open(&scene.http, server_port(scene.server, 0));
}

static void start_server(void)
{
    struct server_fault fault;

    cr_assert(server_open(&scene.api, &fault, &scene.server) == KIST_OK, "%s",
              fault.text);
    scene.http.descriptor = -1;
    connect_client();
}

static void set_up(void)
{
    const char *why;

    scene.settings = (struct settings){
        .listen.count = 1,
        .max_connections = 100,
        .head_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .body_rate_bytes = 1000,
        .response_timeout_ms = 30000,
        .max_json_bytes = 100 * KIB,
        .max_value_bytes = 1024 * KIB,
        .max_batch_bytes = 1024 * KIB,
        .body_memory_bytes = 16 * 1024 * KIB,
    };
    cr_assert(address_parse(VIEW_LITERAL("127.0.0.1:0"),
                            &scene.settings.listen.addresses[0],
                            &why) == KIST_OK);
    scene.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cr_assert(log_open(scene.null, LOG_DEBUG, LOG_ACCESS_ON, &scene.api.log) ==
              KIST_OK);
    scene.api.settings = &scene.settings;
    scene.api.loops = 1;
}

static void tear_down(void)
{
    http_close(&scene.http);
    http_answer_free(&scene.answer);
    server_close(scene.server);
    log_close(scene.api.log);
    close(scene.null);
}

TestSuite(server, .init = set_up, .fini = tear_down, .timeout = 120);

static void hear(void)
{
    cr_assert(http_read(&scene.http, HTTP_WITH_BODY, &scene.answer));
}

static void ask(const char *request)
{
    cr_assert(http_send_text(&scene.http, request));
    hear();
}

static bool body_is(const char *text)
{
    return view_is(blob_view(&scene.answer.body), text);
}

static bool body_has(const char *part)
{
    return memmem(scene.answer.body.data, scene.answer.body.size, part,
                  strlen(part)) != NULL;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

Test(server, a_connection_serves_one_request_after_the_other)
{
    start_server();
    for (int i = 0; i < 50; i++) {
        ask(GET("/hello"));
        cr_assert(eq(uint, scene.answer.status, 200));
        cr_assert(not(scene.answer.closes));
        cr_assert(body_is("hello"));
    }
}

Test(server, a_hundred_requests_at_once_are_answered_in_order)
{
    struct blob requests = BLOB_EMPTY;

    start_server();
    for (int i = 0; i < 100; i++)
        blob_printf(&requests, GET("/kv/number-%d"), i);
    cr_assert(http_send(&scene.http, blob_view(&requests)));
    blob_free(&requests);
    for (int i = 0; i < 100; i++) {
        char text[32];

        snprintf(text, sizeof(text), "number-%d", i);
        hear();
        cr_assert(body_is(text), "%d", i);
    }
}

Test(server, keys_and_parameters_are_decoded_once)
{
    start_server();
    ask(GET("/kv/a%2Fb%252e+c"));
    cr_assert(body_is("a/b%2e+c"));
    ask(GET("/kv/a?prefix=x%2Bz+y%26"));
    cr_assert(body_is("a?x+z y&"));
    ask(GET("/kv/a?prefix"));
    cr_assert(body_is("a?"));
    ask(GET("/kv/a?prefix=1&nonsense=2"));
    cr_assert(eq(uint, scene.answer.status, 400));
    cr_assert(body_has("invalid-parameter"));
    cr_assert(body_has("nonsense"));
    cr_assert(not(scene.answer.closes));
    ask(GET("/kv/a?prefix=1&prefix=1"));
    cr_assert(eq(uint, scene.answer.status, 400));
}

/* Once n requests are parked or held. */
static void wait_for_parked(size_t n)
{
    pthread_mutex_lock(&parked.lock);
    while (parked.count < n)
        pthread_cond_wait(&parked.changed, &parked.lock);
    pthread_mutex_unlock(&parked.lock);
}

/* 20 requests to path, turns of the loop meanwhile, then the answers. */
static void expect_late_answers(const char *path, int turns)
{
    struct http others[20];
    char text[128];

    start_server();
    snprintf(text, sizeof(text),
             "PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1" GET(
                 "/hello"),
             path);
    for (int i = 0; i < 20; i++) {
        http_open(&others[i], server_port(scene.server, 0));
        http_send_text(&others[i], text);
    }
    wait_for_parked(20);
    for (int i = 0; i < turns; i++) {
        ask(GET("/hello"));
        cr_assert(body_is("hello"));
    }
    answer_parked(20);
    for (int i = 0; i < 20; i++) {
        cr_assert(http_read(&others[i], HTTP_WITH_BODY, &scene.answer));
        cr_assert(body_is("at last"));
        cr_assert(http_read(&others[i], HTTP_WITH_BODY, &scene.answer));
        cr_assert(body_is("hello"));
        http_close(&others[i]);
    }
}

Test(server, a_reply_may_come_after_the_handler_returned)
{
    expect_late_answers("/later", 0);
}

Test(server, a_reply_may_come_to_a_request_that_was_held)
{
    expect_late_answers("/held", 0);
}

Test(server, a_request_that_was_held_for_long_gets_its_reply)
{
    expect_late_answers("/held", 100);
}

Test(server, a_client_that_breaks_off_leaves_its_work_behind)
{
    struct linger reset = {.l_onoff = 1};
    struct http waiting;

    start_server();
    http_open(&waiting, server_port(scene.server, 0));
    http_send_text(&waiting, "PUT /held HTTP/1.1\r\nHost: a\r\n"
                             "Content-Length: 1\r\n\r\n1");
    wait_for_parked(1);
    cr_assert(setsockopt(waiting.descriptor, SOL_SOCKET, SO_LINGER, &reset,
                         sizeof(reset)) == 0);
    http_close(&waiting);
    pthread_mutex_lock(&parked.lock);
    while (parked.abandoned < 1)
        pthread_cond_wait(&parked.changed, &parked.lock);
    pthread_mutex_unlock(&parked.lock);
    ask(GET("/hello"));
    cr_assert(body_is("hello"));
}

Test(server, bodies_arrive_whole_with_a_length_and_in_chunks)
{
    struct blob request = BLOB_EMPTY;

    start_server();
    ask("PUT /kv/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    cr_assert(body_is("abcde"));

    blob_printf(&request,
                "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
                "Content-Length: %d\r\n\r\n",
                1024 * KIB);
    for (int i = 0; i < 1024 * KIB; i++)
        blob_append_byte(&request, (char)('a' + i % 26));
    cr_assert(http_send(&scene.http, blob_view(&request)));
    hear();
    cr_assert(eq(uint, scene.answer.status, 200));
    cr_assert(
        view_equal(blob_view(&scene.answer.body),
                   view_from(blob_view(&request), request.size - 1024 * KIB)));
    blob_free(&request);
}

Test(server, a_body_announced_too_large_is_refused_before_it_comes)
{
    start_server();
    ask("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 102401\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 413));
    cr_assert(body_has("\"limit\":102400"));
    cr_assert(body_has("max-json-bytes"));
    cr_assert(body_has("not_applied"));
    cr_assert(http_closes(&scene.http, 5000));

    connect_client();
    ask("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 102401\r\n"
        "Content-Type: text/plain\r\nExpect: 100-continue\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 100));

    connect_client();
    ask("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615"
        "\r\nExpect: 100-continue\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 413));
}

Test(server, chunks_beyond_the_limit_are_refused_when_they_end)
{
    struct blob request = BLOB_EMPTY;

    start_server();
    blob_append_text(&request, "PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1000; i++)
        blob_printf(&request, "200\r\n%0512d\r\n", i);
    blob_append_text(&request, "0\r\n\r\n" GET("/hello"));
    cr_assert(http_send(&scene.http, blob_view(&request)));
    blob_free(&request);
    hear();
    cr_assert(eq(uint, scene.answer.status, 413));
    hear();
    cr_assert(body_is("hello"));
}

Test(server, a_short_refused_body_costs_no_connection)
{
    start_server();
    ask("PUT /kv/%zz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345");
    cr_assert(eq(uint, scene.answer.status, 400));
    cr_assert(not(scene.answer.closes));
    ask(GET("/hello"));
    cr_assert(body_is("hello"));
}

Test(server, options_and_wrong_methods_name_what_is_allowed)
{
    start_server();
    ask("OPTIONS /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 204));
    cr_assert(view_is(http_header(&scene.answer, "Allow"),
                      "GET, HEAD, PUT, OPTIONS"));
    ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 204));
    ask("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 405));
    cr_assert(
        view_is(http_header(&scene.answer, "Allow"), "GET, HEAD, OPTIONS"));
    ask("PROPFIND /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 405));
    ask("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 405));
    connect_client();
    ask("get /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(eq(uint, scene.answer.status, 501));
    ask(GET("/nowhere"));
    cr_assert(eq(uint, scene.answer.status, 404));
    cr_assert(body_has("no-such-path"));
}

Test(server, head_has_the_headers_of_get_and_no_body)
{
    start_server();
    http_send_text(&scene.http, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(http_read(&scene.http, HTTP_HEAD_ONLY, &scene.answer));
    cr_assert(view_is(http_header(&scene.answer, "Content-Length"), "5"));
    http_send_text(&scene.http, "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(http_read(&scene.http, HTTP_HEAD_ONLY, &scene.answer));
    cr_assert(http_closes(&scene.http, 5000));
}

Test(server, a_request_id_is_echoed_or_drawn)
{
    start_server();
    ask("GET /hello HTTP/1.1\r\nHost: a\r\nRequest-Id: my.id-1\r\n\r\n");
    cr_assert(view_is(http_header(&scene.answer, "Request-Id"), "my.id-1"));
    ask("GET /hello HTTP/1.1\r\nHost: a\r\nRequest-Id: no good\r\n\r\n");
    cr_assert(eq(sz, http_header(&scene.answer, "Request-Id").size, 16));
}

Test(server, a_stream_arrives_whole_and_in_order)
{
    const char *at;
    int expected = 0;

    start_server();
    ask(GET("/stream"));
    cr_assert(eq(uint, scene.answer.status, 200));
    cr_assert(scene.answer.whole);
    blob_append_byte(&scene.answer.body, '\0');
    at = scene.answer.body.data;
    while (*at != '\0') {
        int number = atoi(at);

        cr_assert(number == expected || number == expected + 1);
        expected = number;
        at = strchr(at, '\n') + 1;
    }
    cr_assert(eq(int, expected, PIECES - 1));
    ask(GET("/hello"));
    cr_assert(body_is("hello"));
}

Test(server, a_stream_that_fails_is_cut_so_that_the_client_sees_it)
{
    start_server();
    http_send_text(&scene.http, GET("/broken"));
    cr_assert(not(http_read(&scene.http, HTTP_WITH_BODY, &scene.answer)));
    cr_assert(not(scene.answer.whole));
}

Test(server, streams_whose_clients_leave_are_freed)
{
    start_server();
    for (int i = 0; i < 20; i++) {
        http_send_text(&scene.http, GET("/stream"));
        hear();
        http_send_text(&scene.http, GET("/stream"));
        connect_client();
    }
    ask(GET("/hello"));
    cr_assert(body_is("hello"));
}

Test(server, a_head_that_proxies_could_read_otherwise_closes)
{
    static const char *const heads[] = {
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hel lo HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hello#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hello HTTP/1.1\nHost: a\n\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nIf-Match: \"\xc3\xa4\"\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost: a\r\nRange: a\r\nRange: b\r\n\r\n",
        "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
        "Content-Length: 39\r\n\r\n",
        "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
        "Transfer-Encoding: chunked\r\n\r\n",
        "PUT /kv/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    start_server();
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        ask(heads[i]);
        cr_assert(eq(uint, scene.answer.status, 400), "%zu", i);
        cr_assert(http_closes(&scene.http, 5000), "%zu", i);
        connect_client();
    }
    http_send(&scene.http, VIEW_LITERAL("GET /kv/a\0b HTTP/1.1\r\n"
                                        "Host: a\r\n\r\n"));
    hear();
    cr_assert(eq(uint, scene.answer.status, 400));
    connect_client();
    http_send(&scene.http, VIEW_LITERAL("GET /hello HTTP/1.1\r\nHost: a\r\n"
                                        "X: a\0b\r\nY: 1\r\n\r\n"));
    hear();
    cr_assert(eq(uint, scene.answer.status, 400));
}

Test(server, a_long_good_head_is_read)
{
    struct blob request = BLOB_EMPTY;

    start_server();
    blob_append_text(&request, "GET /hello HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 10; i++)
        blob_printf(&request, "X-Filler-%d: %01000d\r\n", i, i);
    blob_append_text(&request, "\r\n");
    cr_assert(http_send(&scene.http, blob_view(&request)));
    blob_free(&request);
    hear();
    cr_assert(eq(uint, scene.answer.status, 200));
}

Test(server, the_cap_evicts_the_longest_idle_for_a_new_client)
{
    struct http idle[10];

    scene.settings.max_connections = 10;
    start_server();
    http_close(&scene.http);
    for (int i = 0; i < 10; i++) {
        http_open(&idle[i], server_port(scene.server, 0));
        http_send_text(&idle[i], GET("/hello"));
        cr_assert(http_read(&idle[i], HTTP_WITH_BODY, &scene.answer));
    }
    connect_client();
    ask(GET("/hello"));
    cr_assert(eq(uint, scene.answer.status, 200));
    cr_assert(http_closes(&idle[0], 5000));
    for (int i = 0; i < 10; i++)
        http_close(&idle[i]);
}

Test(server, an_address_has_its_own_cap)
{
    struct http first;

    scene.settings.max_connections_per_address = 2;
    start_server();
    ask(GET("/hello"));
    http_open(&first, server_port(scene.server, 0));
    http_send_text(&first, GET("/hello"));
    cr_assert(http_read(&first, HTTP_WITH_BODY, &scene.answer));
    http_close(&scene.http);
    /* The freed place is seen once its loop has closed it. */
    for (int i = 0; i < 2; i++) {
        struct http more;

        http_open(&more, server_port(scene.server, 0));
        http_send_text(&more, GET("/hello"));
        cr_assert(http_read(&more, HTTP_WITH_BODY, &scene.answer));
        cr_assert(scene.answer.status == 200 || scene.answer.status == 503);
        http_close(&more);
    }
    http_close(&first);
}

Test(server, slow_heads_and_bodies_are_cut)
{
    scene.settings.head_timeout_ms = 100;
    start_server();
    http_send_text(&scene.http, "GET /hello HT");
    cr_assert(http_closes(&scene.http, 10000));
    connect_client();
    ask(GET("/hello"));
    http_send_text(&scene.http, "GET /hello");
    cr_assert(http_closes(&scene.http, 10000));
}

Test(server, an_idle_connection_is_closed)
{
    scene.settings.idle_timeout_ms = 100;
    start_server();
    ask(GET("/hello"));
    cr_assert(http_closes(&scene.http, 10000));
}

Test(server, a_client_that_does_not_read_is_cut)
{
    struct http slow;

    scene.settings.response_timeout_ms = 100;
    start_server();
    http_open_narrow(&slow, server_port(scene.server, 0), 4096);
    http_send_text(&slow, GET("/large"));
    /* The loop has long ended it when the last piece is read. */
    for (int i = 0; i < 60; i++) {
        ask(GET("/hello"));
        usleep(50000);
    }
    cr_assert(not(http_read(&slow, HTTP_WITH_BODY, &scene.answer)));
    http_close(&slow);
}

Test(server, large_answers_count_against_the_memory_for_bodies)
{
    scene.settings.body_memory_bytes = 4 * 1024 * KIB;
    start_server();
    ask(GET("/large"));
    cr_assert(eq(uint, scene.answer.status, 503));
    cr_assert(http_header(&scene.answer, "Retry-After").data != NULL);
    ask(GET("/hello"));
    cr_assert(body_is("hello"));
}

static bool drains_within(uint64_t ms)
{
    server_drain(scene.server);
    return server_await_drained(scene.server,
                                clock_mono_ns() + ms * UINT64_C(1000000));
}

Test(server, a_drain_finishes_what_is_in_flight_and_refuses_what_comes)
{
    struct http second;

    start_server();
    http_send_text(&scene.http, "PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                                "Content-Length: 2\r\n\r\n1");
    http_open(&second, server_port(scene.server, 0));
    http_send_text(&second, GET("/hello"));
    cr_assert(http_read(&second, HTTP_WITH_BODY, &scene.answer));

    cr_assert(not(drains_within(50)));
    cr_assert(http_closes(&second, 5000));
    http_send_text(&scene.http, "2");
    hear();
    cr_assert(body_is("12"));
    cr_assert(scene.answer.closes);
    cr_assert(http_closes(&scene.http, 5000));
    http_close(&second);
}

Test(server, a_request_sent_before_the_drain_is_served)
{
    struct http clients[20];

    start_server();
    for (int i = 0; i < 20; i++) {
        http_open(&clients[i], server_port(scene.server, 0));
        http_send_text(&clients[i], GET("/hello"));
        cr_assert(http_read(&clients[i], HTTP_WITH_BODY, &scene.answer));
    }
    for (int i = 0; i < 20; i++)
        http_send_text(&clients[i], "GET /hello HTTP/1.1\r\n");
    cr_assert(not(drains_within(50)));
    for (int i = 0; i < 20; i++) {
        http_send_text(&clients[i], "Host: a\r\n\r\n");
        cr_assert(http_read(&clients[i], HTTP_WITH_BODY, &scene.answer));
        cr_assert(body_is("hello"));
        cr_assert(scene.answer.closes);
        http_close(&clients[i]);
    }
}

/*
 * The last bytes and the end of the stream come in one segment. Only a loop
 * that sleeps sees them as one event, so it gets a moment to fall asleep; a
 * test on a busy machine may miss what it looks for, but never fails by it.
 */
static void send_and_leave(const char *text)
{
    int cork = 1;

    ask(GET("/hello"));
    usleep(5000);
    cr_assert(setsockopt(scene.http.descriptor, IPPROTO_TCP, TCP_CORK, &cork,
                         sizeof(cork)) == 0);
    http_send_text(&scene.http, text);
    connect_client();
}

Test(server, half_a_request_whose_client_left_delays_no_drain)
{
    start_server();
    for (int i = 0; i < 20; i++)
        send_and_leave("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                       "Content-Length: 2\r\n\r\n1");
    send_and_leave("GET /he");
    cr_assert(drains_within(5000));
}

Test(server, a_close_answers_who_waits_and_waits_for_who_writes)
{
    struct http waiting;

    start_server();
    http_open(&waiting, server_port(scene.server, 0));
    http_send_text(&waiting, GET("/wait"));
    wait_for_parked(1);

    server_close(scene.server);
    scene.server = NULL;
    cr_assert(http_read(&waiting, HTTP_WITH_BODY, &scene.answer));
    cr_assert(eq(uint, scene.answer.status, 503));
    cr_assert(view_is(http_header(&scene.answer, "Connection"), "close"));
    cr_assert(eq(int, parked.abandoned, 1));
    http_close(&waiting);
}

static void *close_server(void *ctx)
{
    (void)ctx;
    server_close(scene.server);
    scene.server = NULL;
    return NULL;
}

Test(server, a_close_waits_for_a_write_that_is_under_way)
{
    pthread_t closer;

    start_server();
    http_send_text(&scene.http, "PUT /later HTTP/1.1\r\nHost: a\r\n"
                                "Content-Length: 1\r\n\r\n1");
    wait_for_parked(1);
    cr_assert(pthread_create(&closer, NULL, close_server, NULL) == 0);
    answer_parked(1);
    pthread_join(closer, NULL);
    hear();
    cr_assert(body_is("at last"));
}

Test(server, a_wait_ends_when_its_client_leaves)
{
    start_server();
    http_send_text(&scene.http, GET("/wait"));
    wait_for_parked(1);
    http_close(&scene.http);
    pthread_mutex_lock(&parked.lock);
    while (parked.abandoned < 1)
        pthread_cond_wait(&parked.changed, &parked.lock);
    pthread_mutex_unlock(&parked.lock);
}

Test(server, an_address_in_use_is_told)
{
    struct server_fault fault;
    struct server *second;
    char text[32];
    const char *why;

    start_server();
    snprintf(text, sizeof(text), "127.0.0.1:%u",
             (unsigned)server_port(scene.server, 0));
    cr_assert(address_parse(view_of(text), &scene.settings.listen.addresses[0],
                            &why) == KIST_OK);
    cr_assert(server_open(&scene.api, &fault, &second) == KIST_IO);
    cr_assert(strstr(fault.text, text) != NULL, "%s", fault.text);
}

static void never_run(struct loop_task *task)
{
    (void)task;
    cr_fatal("the loop has ended");
}

/* As a commit does that wakes those who wait for a key, on any loop. */
static void post_at_the_end(struct api_loop *api_loop)
{
    static struct loop_task task = {.run = never_run};

    loop_post(api_loop->loop, &task);
}

Test(server, a_loop_can_be_posted_to_until_its_end_was_told)
{
    scene.api.loop_end = post_at_the_end;
    start_server();
    server_close(scene.server);
    scene.server = NULL;
}
