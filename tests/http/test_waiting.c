/* Prefer: wait - a read that comes back when something changed. */
#include "tests/http/scene.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <stdio.h>

TestSuite(waiting, .init = scene_open, .fini = scene_close, .timeout = 60);

/* On the scene's connection; its answer is heard later. */
static void begin_wait(const char *tag, int seconds)
{
    begin_raw(text("GET /kv/a HTTP/1.1\r\nHost: a\r\nPrefer: wait=%d\r\n"
                   "%s%s%s\r\n",
                   seconds, tag != NULL ? "If-None-Match: " : "",
                   tag != NULL ? tag : "", tag != NULL ? "\r\n" : ""));
}

static void expect_silence(int ms)
{
    struct pollfd wait = {.fd = scene.http.descriptor, .events = POLLIN};

    cr_expect(eq(int, poll(&wait, 1, ms), 0), "an answer before the change");
}

static void change(const char *what, const char *body)
{
    struct http http;
    struct http_answer answer = {0};

    http_open(&http, scene.kistd.port);
    http_ask(&http, what, "",
             body != NULL ? view_of(body) : (struct view){NULL, 0}, &answer);
    cr_expect(lt(uint, answer.status, 300));
    http_answer_free(&answer);
    http_close(&http);
}

static const char *put(const char *value)
{
    ask("PUT /kv/a", "", value);
    return etag();
}

Test(waiting, a_change_ends_the_wait)
{
    const char *first = put("1");
    uint64_t start_ns = clock_mono_ns();

    begin_wait(first, 30);
    expect_silence(200);
    change("PUT /kv/a", "2");
    hear();
    expect_status(200);
    expect_body("2");
    cr_expect(lt(u64, clock_mono_ns() - start_ns, UINT64_C(10000000000)));
    expect_open();
}

Test(waiting, a_delete_ends_the_wait)
{
    const char *first = put("1");

    begin_wait(first, 30);
    expect_silence(100);
    change("DELETE /kv/a", NULL);
    hear();
    expect_problem(404, "not-found");
}

Test(waiting, a_batch_ends_the_wait)
{
    const char *first = put("1");

    begin_wait(first, 30);
    expect_silence(100);
    change("POST /batch", "{\"operations\":[{\"op\":\"put\",\"key\":\"a\","
                          "\"value\":2}]}");
    hear();
    expect_status(200);
    expect_body("2");
}

Test(waiting, another_key_does_not_end_the_wait)
{
    const char *first = put("1");

    begin_wait(first, 30);
    change("PUT /kv/b", "1");
    change("PUT /kv/aa", "1");
    expect_silence(200);
    change("PUT /kv/a", "2");
    hear();
    expect_body("2");
}

Test(waiting, a_wait_without_a_change_ends_in_time)
{
    const char *first = put("1");
    uint64_t start_ns = clock_mono_ns();

    begin_wait(first, 1);
    hear();
    expect_status(304);
    uint64_t waited_ms = (clock_mono_ns() - start_ns) / 1000000;
    cr_expect(ge(u64, waited_ms, 900));
    cr_expect(le(u64, waited_ms, 5000));
    expect_open();
}

Test(waiting, a_change_that_was_already_there_is_told_at_once)
{
    const char *first = put("1");

    put("2");
    begin_wait(first, 30);
    hear();
    expect_status(200);
    expect_body("2");
}

Test(waiting, an_expiry_ends_the_wait)
{
    ask_for(201, "PUT /kv/a?ttl=1", "", "1");
    const char *first = etag();
    uint64_t start_ns = clock_mono_ns();

    begin_wait(first, 20);
    hear();
    expect_problem(404, "not-found");
    cr_expect(lt(u64, clock_mono_ns() - start_ns, UINT64_C(10000000000)));
}

Test(waiting, a_client_that_goes_away_is_forgotten)
{
    const char *first = put("1");

    for (int i = 0; i < 50; i++)
        begin_wait(first, 60); /* Each drops the one before. */
    http_close(&scene.http);
    /* The scene's end sees that no socket stayed. */
    expect_well();
}

Test(waiting, a_stop_ends_every_wait)
{
    const char *first = put("1");
    uint64_t start_ns = clock_mono_ns();

    begin_wait(first, 60);
    expect_silence(100);
    cr_expect(eq(int, kistd_stop(&scene.kistd), 0));
    cr_expect(lt(u64, clock_mono_ns() - start_ns, UINT64_C(10000000000)));
}

Test(waiting, many_wait_for_one_key)
{
    enum { READERS = 200 };
    struct http readers[READERS];
    struct http_answer answer = {0};
    const char *first = put("1");

    for (int i = 0; i < READERS; i++) {
        http_open(&readers[i], scene.kistd.port);
        http_send_text(&readers[i],
                       text("GET /kv/a HTTP/1.1\r\nHost: a\r\n"
                            "Prefer: wait=30\r\nIf-None-Match: %s\r\n\r\n",
                            first));
    }
    change("PUT /kv/a", "2");
    for (int i = 0; i < READERS; i++) {
        cr_expect(http_read(&readers[i], HTTP_WITH_BODY, &answer) &&
                  answer.status == 200);
        http_close(&readers[i]);
    }
    http_answer_free(&answer);
}
