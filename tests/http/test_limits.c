/* Sizes and numbers of what a client sends, each with its own end. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

TestSuite(limits, .init = scene_open, .fini = scene_close, .timeout = 120);

Test(limits, a_target_of_40_kb_is_too_long)
{
    send_raw(
        text("GET /kv/%s HTTP/1.1\r\nHost: a\r\n\r\n", many(40 * 1024, 'a')));
    expect_status(414);
    expect_closed();
    send_raw(text("GET /kv?prefix=%s HTTP/1.1\r\nHost: a\r\n\r\n",
                  many(40 * 1024, 'a')));
    expect_status(414);
    expect_closed();
}

Test(limits, a_header_of_40_kb_is_too_large)
{
    send_raw(text("GET /livez HTTP/1.1\r\nHost: a\r\nX-Big: %s\r\n\r\n",
                  many(40 * 1024, 'a')));
    expect_status(431);
    expect_closed();
}

Test(limits, a_thousand_headers_are_too_many)
{
    struct blob all = BLOB_EMPTY;

    blob_append_text(&all, "GET /livez HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 1000; i++)
        blob_printf(&all, "X-Header-Number-%d: %s\r\n", i, "value value");
    blob_append_text(&all, "\r\n");
    send_raw_bytes(blob_view(&all));
    blob_free(&all);
    expect_status(431);
    expect_closed();
}

Test(limits, an_endless_head_is_cut_off)
{
    const char *piece = text("X-Filler: %s\r\n", many(8000, 'x'));
    int taken = 0;

    begin_raw("GET /livez HTTP/1.1\r\nHost: a\r\n");
    while (taken < 5000 && http_send_text(&scene.http, piece))
        taken++;
    cr_expect(lt(int, taken, 2000));
    expect_well();
}

Test(limits, an_opaque_value_above_the_limit_is_too_large)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
             "Content-Length: 1073741825\r\n\r\n");
    expect_problem(413, "body-too-large");
    expect_named("1073741824");
    expect_closed();
    expect_nothing_stored();
}

/* Else it looks as if no value could be larger than JSON. */
Test(limits, a_body_too_large_for_json_hears_how_to_send_other_bytes)
{
    struct view value = noise((1 << 20) + 1, 1);

    ask_bytes("PUT /kv/a", "", value);
    expect_problem(413, "body-too-large");
    cr_expect(strstr(json_string_value(json_object_get(document(), "detail")),
                     "Content-Type: application/octet-stream") != NULL);
    ask_bytes("PUT /kv/a", "Content-Type: application/json\r\n", value);
    expect_problem(413, "body-too-large");
    cr_expect(strstr(json_string_value(json_object_get(document(), "detail")),
                     "Content-Type") == NULL);
}

Test(limits, limits_are_those_of_the_settings)
{
    static const char *const flags[] = {"--max-json-bytes",
                                        "100",
                                        "--max-value-bytes",
                                        "200",
                                        "--batch-operations",
                                        "2",
                                        NULL};

    scene_open_with(flags);
    ask("PUT /kv/a", "", text("\"%s\"", many(98, 'a')));
    expect_status(201);
    ask("PUT /kv/b", "", text("\"%s\"", many(99, 'a')));
    expect_problem(413, "body-too-large");
    expect_named("100");
    ask("PUT /kv/b", "Content-Type: text/plain\r\n", many(200, 'a'));
    expect_status(201);
    ask("PUT /kv/c", "Content-Type: text/plain\r\n", many(201, 'a'));
    expect_problem(413, "body-too-large");
    expect_named("200");
    expect_absent("/kv/c");
}

Test(limits, connections_of_one_address_are_limited)
{
    enum { ALLOWED = 20, TRIED = 60 };
    static const char *const flags[] = {"--max-connections-per-address", "20",
                                        NULL};
    struct http all[TRIED];
    int closed = 0;

    scene_open_with(flags);
    for (int i = 0; i < TRIED; i++)
        http_open(&all[i], scene.kistd.port);
    for (int i = ALLOWED; i < TRIED; i++) {
        struct http_answer answer = {0};

        cr_expect(http_read(&all[i], HTTP_WITH_BODY, &answer) &&
                  answer.status == 503 && answer.closes);
        closed += http_closes(&all[i], 3000);
        http_answer_free(&answer);
    }
    cr_expect(eq(int, closed, TRIED - ALLOWED));
    for (int i = 0; i < ALLOWED; i++) {
        struct http_answer answer = {0};

        cr_expect(http_ask(&all[i], "GET /livez", "", (struct view){NULL, 0},
                           &answer) &&
                  answer.status == 200);
        http_answer_free(&answer);
    }
    for (int i = 0; i < TRIED; i++)
        http_close(&all[i]);
}

Test(limits, two_thousand_idle_connections_stop_nobody)
{
    enum { IDLE = 2000 };
    static struct http idle[IDLE];
    struct rlimit files;

    /* 16 KiB each, freed at the end, but malloc's for a while. */
    scene.slack_kib += IDLE * 32;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < IDLE + 100)
        cr_skip_test("too few descriptors allowed");
    for (int i = 0; i < IDLE; i++) {
        http_open(&idle[i], scene.kistd.port);
        if (i % 2 == 0)
            http_send_text(&idle[i], "GET /kv/");
    }
    for (int i = 0; i < 100; i++) {
        ask("PUT /kv/a", "", "1");
        cr_expect(lt(uint, scene.answer.status, 300));
    }
    expect_well();
    for (int i = 0; i < IDLE; i++)
        http_close(&idle[i]);
}

/* Readers of 6 MiB in memory that read nothing: they hold it. */
enum { HELD = 6 << 20 };

static void put_large(const char *target)
{
    ask(text("PUT %s", target), "Content-Type: text/plain\r\n",
        many(HELD, 'a'));
    cr_assert(lt(uint, scene.answer.status, 300));
}

/* The connection; its answer has begun, so its memory is taken. */
static struct http hold_answer(const char *target)
{
    struct http http;
    char byte;

    http_open_narrow(&http, scene.kistd.port, 4096);
    http_send_text(&http, text("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target));
    cr_assert(eq(sz, http_read_raw(&http, &byte, 1), 1));
    return http;
}

static const char *const tight[] = {"--body-memory",
                                    "9MiB",
                                    "--max-value-bytes",
                                    "6MiB",
                                    "--max-batch-bytes",
                                    "6MiB",
                                    "--inline-bytes",
                                    "6MiB",
                                    NULL};

Test(limits, answers_without_a_body_take_no_memory)
{
    struct http slow, headers;
    struct http_answer answer = {0};

    scene_open_with(tight);
    put_large("/kv/a");
    slow = hold_answer("/kv/a");
    ASK("GET /kv/a");
    expect_problem(503, "busy");
    ask("GET /kv/a", "If-None-Match: *\r\n", NULL);
    expect_status(304);
    http_open(&headers, scene.kistd.port);
    http_send_text(&headers, "HEAD /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_expect(http_read(&headers, HTTP_HEAD_ONLY, &answer));
    cr_expect(eq(uint, answer.status, 200));
    cr_expect(
        view_is(http_header(&answer, "Content-Length"), text("%d", HELD)));
    http_answer_free(&answer);
    http_close(&headers);
    http_close(&slow);
}

Test(limits, a_batch_that_wrote_nothing_takes_no_memory_beyond)
{
    const char *reads = "{\"operations\":[{\"op\":\"get\",\"key\":\"a\"}]}";
    struct http slow;

    scene_open_with(tight);
    put_large("/kv/a");
    slow = hold_answer("/kv/a");
    ask("POST /batch", "Content-Type: application/json\r\n", reads);
    expect_problem(503, "busy");
    http_close(&slow);
}

Test(limits, slow_readers_leave_writers_their_memory)
{
    struct http slow;

    scene_open_with(tight);
    put_large("/kv/a");
    slow = hold_answer("/kv/a");
    /* The body is read, and not stored: its memory is seen to go. */
    ask("PUT /kv/b", "Content-Type: text/plain\r\nIf-Match: *\r\n",
        many(HELD, 'b'));
    expect_problem(412, "condition-failed");
    http_close(&slow);
}
