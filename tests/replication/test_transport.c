#include "replication/transport_curl.h"

#include "base/clock.h"
#include "replication/frame.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a peer does with the n-th request that it is sent. */
enum manner { ANSWERS, REFUSES, BREAKS_OFF, IS_SILENT };

static struct {
    int listener;
    char address[32];
    const enum manner *manners;
    unsigned count;
    _Atomic unsigned requests;
    char head[4096]; /* Of the last request. */
    pthread_t thread;
} peer;

static struct {
    struct loop *loop;
    struct transport *transport;
    struct transport_stats stats;
    struct env_call call;
    struct blob message;
    unsigned wanted;
    unsigned outcomes;
    enum env_outcome outcome; /* The last one. */
    struct blob answer;
    struct loop_task task;
} here;

/* The peer: one connection after the other. */

static void answer(int connection, const char *status, struct view body)
{
    struct blob text = BLOB_EMPTY;

    blob_printf(&text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status,
                body.size);
    blob_append(&text, body);
    cr_assert(send(connection, text.data, text.size, MSG_NOSIGNAL) ==
              (ssize_t)text.size);
    blob_free(&text);
}

/* Reads one request; false: the connection is closed. */
static bool read_request(int connection)
{
    char text[8192];
    size_t size = 0;

    for (;;) {
        ssize_t got = recv(connection, text + size, sizeof(text) - 1 - size, 0);

        if (got <= 0)
            return false;
        size += (size_t)got;
        text[size] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");

        if (end == NULL || length == NULL)
            continue;
        if (size >= (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10)) {
            memcpy(peer.head, text, (size_t)(end - text));
            return true;
        }
    }
}

/* True: the connection goes on. */
static bool serve(int connection)
{
    unsigned nth = atomic_fetch_add(&peer.requests, 1);

    switch (peer.manners[nth < peer.count ? nth : peer.count - 1]) {
    case ANSWERS:
        answer(connection, "200 OK", VIEW_LITERAL("well"));
        return true;
    case REFUSES:
        answer(connection, "401 Unauthorized", VIEW_LITERAL(""));
        return true;
    case IS_SILENT:
        return read_request(connection); /* Until the other side closes. */
    case BREAKS_OFF:
        break;
    }
    /* Nobody answers any more: a message that is sent anew finds no one. */
    close(peer.listener);
    return false;
}

static void *run_peer(void *ctx)
{
    int connection;

    (void)ctx;
    while ((connection = accept(peer.listener, NULL, NULL)) >= 0) {
        while (read_request(connection) && serve(connection))
            ;
        close(connection);
    }
    return NULL;
}

static void listen_somewhere(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(where);

    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(peer.listener >= 0);
    cr_assert(bind(peer.listener, (struct sockaddr *)&where, size) == 0);
    cr_assert(listen(peer.listener, 8) == 0);
    cr_assert(getsockname(peer.listener, (struct sockaddr *)&where, &size) ==
              0);
    snprintf(peer.address, sizeof(peer.address), "127.0.0.1:%u",
             ntohs(where.sin_port));
}

static void start_peer(const enum manner *manners, unsigned count)
{
    listen_somewhere();
    peer.manners = manners;
    peer.count = count;
    cr_assert(pthread_create(&peer.thread, NULL, run_peer, NULL) == 0);
}

/* Our side. */

static void on_turn_end(void *ctx)
{
    (void)ctx;
    transport_flush(here.transport);
}

static void on_done(struct env_call *call, enum env_outcome outcome,
                    struct view bytes)
{
    here.outcomes++;
    here.outcome = outcome;
    blob_clear(&here.answer);
    blob_append(&here.answer, bytes);
    if (here.outcomes < here.wanted)
        transport_send(here.transport, call);
    else
        loop_stop(here.loop);
}

static void open_transport(const char *secret)
{
    struct transport_options options = {
        .secret = secret, .queue_bytes = 1u << 20, .stats = &here.stats};

    cr_assert(transport_begin_process());
    cr_assert(loop_open("test", &here.loop) == KIST_OK);
    options.loop = here.loop;
    cr_assert(transport_open(&options, &here.transport) == KIST_OK);
    loop_on_turn_end(here.loop, on_turn_end, NULL);
}

static void send_it(struct loop_task *task)
{
    (void)task;
    transport_send(here.transport, &here.call);
}

static void close_transport(void)
{
    transport_stop(here.transport);
    transport_close(here.transport);
    loop_close(here.loop);
    transport_end_process();
}

/* So many fetches to the peer, one after the other; what came of the last. */
static enum env_outcome ask(unsigned times, uint64_t timeout_ms)
{
    struct frame frame = {.kind = FRAME_FETCH, .from = 1, .to = 2};

    blob_clear(&here.message);
    frame_begin(&frame, &here.message);
    frame_add_fetch(VIEW_LITERAL("key"), &here.message);
    frame_seal(1, &here.message);
    here.call = (struct env_call){
        .to = 2,
        .address = view_of(peer.address),
        .message = blob_view(&here.message),
        .timeout_ms = timeout_ms,
        .done = on_done,
    };
    here.wanted = times;
    here.task.run = send_it;
    loop_post(here.loop, &here.task);
    loop_run(here.loop);
    cr_assert(eq(uint, here.outcomes, times));
    return here.outcome;
}

Test(transport, a_message_is_answered, .timeout = 20)
{
    static const enum manner manners[] = {ANSWERS};

    start_peer(manners, 1);
    open_transport("a secret of peers");
    cr_assert(ask(1, 5000) == ENV_ANSWERED);
    cr_assert(view_is(blob_view(&here.answer), "well"));
    cr_assert(strncmp(peer.head, "POST /peer/1 HTTP/1.1\r\n", 23) == 0);
    cr_assert(strstr(peer.head, "Authorization: Bearer a secret of peers") !=
              NULL);
    cr_assert(strstr(peer.head, "Expect") == NULL);
    close_transport();
}

Test(transport, what_finds_nobody_was_not_sent, .timeout = 20)
{
    listen_somewhere();
    close(peer.listener);
    open_transport("");
    cr_assert(ask(1, 5000) == ENV_NOT_SENT);
    close_transport();
}

Test(transport, a_refusal_may_have_been_taken_for_all_we_know, .timeout = 20)
{
    static const enum manner manners[] = {REFUSES};

    start_peer(manners, 1);
    open_transport("");
    cr_assert(ask(1, 5000) == ENV_LOST);
    close_transport();
}

Test(transport, silence_ends_with_the_time_of_the_call, .timeout = 20)
{
    static const enum manner manners[] = {IS_SILENT};
    uint64_t start_ns = clock_mono_ns();

    start_peer(manners, 1);
    open_transport("");
    cr_assert(ask(1, 200) == ENV_LOST);
    cr_assert(clock_mono_ns() - start_ns >= UINT64_C(190000000));
    close_transport();
}

/*
 * libcurl sends a message again over a new connection when the one it was sent
 * over, which had been used before, breaks without an answer. Here the new one
 * is refused: that must not make it one that was never sent.
 */
Test(transport, a_message_that_an_old_connection_took_is_not_called_unsent,
     .timeout = 20)
{
    static const enum manner manners[] = {ANSWERS, BREAKS_OFF};

    start_peer(manners, 2);
    open_transport("");
    cr_assert(ask(2, 5000) == ENV_LOST);
    close_transport();
    cr_assert(eq(uint, atomic_load(&peer.requests), 2));
}

static void ignore(struct env_call *call, enum env_outcome outcome,
                   struct view bytes)
{
    (void)call;
    (void)outcome;
    (void)bytes;
}

static struct loop_task later;
static struct env_call late;

static void send_late(struct loop_task *task)
{
    (void)task;
    transport_send(here.transport, &late);
}

static void send_in_two_turns(struct loop_task *task)
{
    send_it(task);
    later.run = send_late;
    loop_post(here.loop, &later);
}

/* Else the peer would sync twice for what it could have had at once. */
Test(transport, a_push_waits_for_the_one_before_it, .timeout = 20)
{
    static const enum manner manners[] = {IS_SILENT};
    struct frame frame = {.kind = FRAME_PUSH, .from = 1, .to = 2};
    struct frame_push push = {.key = VIEW_LITERAL("key")};

    start_peer(manners, 1);
    open_transport("");
    frame_begin(&frame, &here.message);
    frame_add_push(&push, &here.message);
    frame_seal(1, &here.message);
    here.call = (struct env_call){
        .to = 2,
        .address = view_of(peer.address),
        .message = blob_view(&here.message),
        .timeout_ms = 10000,
        .done = ignore,
    };
    late = here.call;
    late.timeout_ms = 200;
    late.done = on_done;
    here.wanted = 1;
    here.task.run = send_in_two_turns;
    loop_post(here.loop, &here.task);
    loop_run(here.loop);
    cr_expect(here.outcome == ENV_NOT_SENT);
    cr_expect(eq(u64, counter_read(&here.stats.bodies), 1));
    close_transport();
}
