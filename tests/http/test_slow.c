/* Slow and silent clients: total deadlines, and nobody else waits. */
#include "tests/http/scene.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void open_impatient(void)
{
    static const char *const flags[] = {"--head-timeout",
                                        "1s",
                                        "--idle-timeout",
                                        "2s",
                                        "--response-timeout",
                                        "1s",
                                        NULL};

    scene_open_with(flags);
}

TestSuite(slow, .init = open_impatient, .fini = scene_close, .timeout = 60);

static uint64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

/* A byte each 50 ms until the server had enough; how long it bore it. */
static uint64_t trickle(const char *bytes)
{
    uint64_t start_ms = now_ms();
    size_t size = strlen(bytes);

    for (size_t i = 0; i < size && now_ms() - start_ms < 20000; i++) {
        struct pollfd wait = {.fd = scene.http.descriptor, .events = POLLIN};

        if (!http_send(&scene.http, (struct view){bytes + i, 1}) ||
            poll(&wait, 1, 50) != 0)
            break;
    }
    return now_ms() - start_ms;
}

/* 408, or an end without words. */
static void expect_cut_off(void)
{
    hear();
    cr_expect(scene.answer.status == 408 || scene.answer.status == 0, "%u",
              scene.answer.status);
    expect_closed();
    expect_well();
}

Test(slow, a_head_in_single_bytes_ends_at_its_total_deadline)
{
    reconnect();
    uint64_t took_ms =
        trickle(text("GET /livez HTTP/1.1\r\nX: %s\r\n\r\n", many(2000, 'x')));
    cr_expect(ge(u64, took_ms, 700));
    cr_expect(le(u64, took_ms, 4000));
    expect_cut_off();
}

Test(slow, a_second_head_on_a_connection_has_the_same_deadline)
{
    ASK("GET /livez");
    expect_status(200);
    uint64_t took_ms =
        trickle(text("GET /livez HTTP/1.1\r\nX: %s\r\n\r\n", many(2000, 'x')));
    cr_expect(le(u64, took_ms, 4000));
    expect_cut_off();
}

Test(slow, a_silent_connection_ends)
{
    uint64_t start_ms = now_ms();

    reconnect();
    cr_expect(http_closes(&scene.http, 10000));
    cr_expect(ge(u64, now_ms() - start_ms, 700));
    expect_well();
}

Test(slow, an_idle_connection_ends)
{
    uint64_t start_ms = now_ms();

    ASK("GET /livez");
    cr_expect(http_closes(&scene.http, 10000));
    cr_expect(ge(u64, now_ms() - start_ms, 1500));
}

Test(slow, tls_on_the_plain_port_ends)
{
    static const char hello[] = "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"
                                "\x00\x01\x02\x03\x04\x05\x06\x07\x08";

    reconnect();
    http_send(&scene.http, (struct view){hello, sizeof hello - 1});
    hear();
    cr_expect(scene.answer.status == 400 || scene.answer.status == 408 ||
              scene.answer.status == 0);
    expect_closed();
}

Test(slow, a_reader_that_does_not_read_is_cut_off)
{
    struct http reader;
    char piece[65536];
    size_t size = 12 << 20, all = 0;

    ask_for(201, "PUT /kv/a", "Content-Type: text/plain\r\n", many(size, 'x'));
    http_close(&scene.http);
    http_open_narrow(&reader, scene.kistd.port, 4096);
    http_send_text(&reader, "GET /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    all = http_read_raw(&reader, piece, 1);
    /* 12 MiB: 12 s at one second each; the socket count tells the end. */
    for (int i = 0; i < 300; i++) {
        expect_well();
        if (kistd_sockets(&scene.kistd) <= scene.kistd.sockets)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    for (size_t n; (n = http_read_raw(&reader, piece, sizeof piece)) > 0;)
        all += n;
    cr_expect(lt(sz, all, size), "the answer was cut short");
    http_close(&reader);
}

Test(slow, a_body_below_the_rate_is_cut_off)
{
    static const char *const flags[] = {"--body-rate-bytes", "1000",
                                        "--idle-timeout", "60s", NULL};

    static const size_t sizes[] = {60000, 100000}; /* In memory, to a file. */

    scene_open_with(flags);
    for (size_t i = 0; i < 2; i++) {
        begin_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       sizes[i]));
        uint64_t took_ms = trickle(many(sizes[i], '1'));
        cr_expect(ge(u64, took_ms, 9000));
        cr_expect(le(u64, took_ms, 16000));
        expect_cut_off();
    }
    expect_nothing_stored();
}

Test(slow, slow_clients_do_not_slow_a_good_one)
{
    enum { SLOW = 200 };
    static struct http all[SLOW];
    uint64_t worst_ms = 0;

    for (int i = 0; i < SLOW; i++) {
        http_open(&all[i], scene.kistd.port);
        http_send_text(&all[i], i % 2 == 0 ? "PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                                             "Content-Length: 10\r\n\r\n1"
                                           : "GET /livez HT");
    }
    for (int i = 0; i < 200; i++) {
        uint64_t start_ms = now_ms();

        ask("PUT /kv/b", "", "1");
        cr_assert(lt(uint, scene.answer.status, 300));
        uint64_t took_ms = now_ms() - start_ms;
        worst_ms = took_ms > worst_ms ? took_ms : worst_ms;
    }
    cr_expect(lt(u64, worst_ms, 2000));
    for (int i = 0; i < SLOW; i++)
        http_close(&all[i]);
}
