/* POST /kv/K?op=...: counters, append, touch, persist, take. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

TestSuite(operations, .init = scene_open, .fini = scene_close, .timeout = 60);

static void put(const char *value)
{
    ask("PUT /kv/a", "", value);
    cr_assert(scene.answer.status == 201 || scene.answer.status == 204);
}

Test(operations, a_counter_counts)
{
    ASK("POST /kv/a?op=incr");
    expect_status(200);
    expect_body("1");
    expect_header("Kist-Durable", "sync");
    etag();
    ASK("POST /kv/a?op=incr&by=41");
    expect_body("42");
    ASK("POST /kv/a?op=incr&by=-50");
    expect_body("-8");
    ASK("POST /kv/a?op=incr&by=0");
    expect_body("-8");
    ASK("GET /kv/a");
    expect_body("-8");
    expect_header("Kist-Type", "number");
    expect_header("Content-Type", "application/json");
}

Test(operations, only_whole_numbers_count)
{
    static const char *const values[] = {"\"1\"", "{}", "[1]", "null", "true"};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        put(values[i]);
        ASK("POST /kv/a?op=incr");
        expect_problem(409, "wrong-type");
        expect_value("/kv/a", values[i]);
    }
    ask("PUT /kv/a", "Content-Type: text/plain\r\n", "1");
    ASK("POST /kv/a?op=incr");
    expect_problem(409, "wrong-type");
    expect_value("/kv/a", "1");
    expect_open();
}

Test(operations, a_counter_does_not_overflow)
{
    static const struct {
        const char *value, *by;
    } sums[] = {
        {"9223372036854775807", "1"},
        {"-9223372036854775808", "-1"},
        {"9223372036854775000", "9223372036854775807"},
    };

    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        put(sums[i].value);
        ASK(text("POST /kv/a?op=incr&by=%s", sums[i].by));
        cr_expect(scene.answer.status == 409 || scene.answer.status == 422,
                  "%u", scene.answer.status);
        expect_value("/kv/a", sums[i].value);
    }
    put("9223372036854775806");
    ASK("POST /kv/a?op=incr&by=1");
    expect_body("9223372036854775807");
    put("9223372036854775807");
    ASK("POST /kv/a?op=incr&by=-9223372036854775808");
    expect_body("-1");
}

Test(operations, numbers_that_are_not_whole_do_not_count)
{
    static const char *const values[] = {"1.5", "1e2", "1.0",
                                         "9223372036854775808"};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        put(values[i]);
        ASK("POST /kv/a?op=incr");
        cr_expect(scene.answer.status == 409 || scene.answer.status == 422,
                  "%s: %u", values[i], scene.answer.status);
        expect_value("/kv/a", values[i]);
    }
}

Test(operations, a_step_that_is_no_whole_number_is_refused)
{
    static const char *const steps[] = {
        "x", "", "1.5", "1e3", "0x1", "--1", "9223372036854775808", "1%00"};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        ASK(text("POST /kv/a?op=incr&by=%s", steps[i]));
        expect_problem(400, "invalid-parameter");
    }
    expect_nothing_stored();
}

enum { COUNTERS = 8, COUNTS = 50 };

static void *count_up(void *unused)
{
    struct http http;
    struct http_answer answer = {0};

    http_open(&http, scene.kistd.port);
    for (int i = 0; i < COUNTS; i++)
        http_ask(&http, "POST /kv/n?op=incr&durability=async", "",
                 (struct view){NULL, 0}, &answer);
    http_answer_free(&answer);
    http_close(&http);
    return unused;
}

Test(operations, no_count_is_lost_among_many_clients)
{
    pthread_t clients[COUNTERS];

    for (int i = 0; i < COUNTERS; i++)
        cr_assert(
            eq(int, pthread_create(&clients[i], NULL, count_up, NULL), 0));
    for (int i = 0; i < COUNTERS; i++)
        pthread_join(clients[i], NULL);
    expect_value("/kv/n", text("%d", COUNTERS * COUNTS));
}

Test(operations, an_element_is_appended_to_an_array)
{
    put("[1]");
    ask("POST /kv/a?op=append", "", "{\"b\": 2.50}");
    expect_status(204);
    ASK("GET /kv/a?ptr=/1");
    expect_body("{\"b\": 2.50}");
    put("[]");
    ask("POST /kv/a?op=append", "", "1");
    ASK("GET /kv/a?ptr=/0");
    expect_body("1");
}

Test(operations, bytes_are_appended_to_an_opaque_value)
{
    ask_for(201, "PUT /kv/a", "Content-Type: text/plain\r\n", "one, ");
    ask_for(204, "POST /kv/a?op=append", "Content-Type: text/plain\r\n", "two");
    ASK("GET /kv/a");
    expect_body("one, two");
    expect_header("Content-Type", "text/plain");
}

Test(operations, what_cannot_be_appended_to_stays)
{
    put("{}");
    ask("POST /kv/a?op=append", "", "1");
    expect_problem(409, "wrong-type");
    expect_value("/kv/a", "{}");
    put("[]");
    ask("POST /kv/a?op=append", "Content-Type: application/json\r\n", "[");
    expect_problem(400, "invalid-json");
    expect_value("/kv/a", "[]");
}

Test(operations, an_append_past_the_limit_is_refused)
{
    const char *half = text("[\"%s\"]", many(600 * 1024, 'a'));

    put(half);
    ask("POST /kv/a?op=append", "", half);
    expect_status(413);
    expect_value("/kv/a", half);
}

Test(operations, touch_sets_the_expiry_and_keeps_the_value)
{
    put("[1]");
    ASK("POST /kv/a?op=touch&ttl=100");
    expect_status(204);
    const char *touched = etag();
    ASK("GET /kv/a");
    expect_body("[1]");
    expect_some_header("Kist-Expires");
    expect_header("ETag", touched);
    ASK("POST /kv/a?op=persist");
    expect_status(204);
    ASK("GET /kv/a");
    expect_body("[1]");
    expect_no_header("Kist-Expires");
}

Test(operations, touch_needs_a_time_and_a_key)
{
    put("1");
    ASK("POST /kv/a?op=touch");
    expect_status(400);
    ASK("POST /kv/a?op=touch&ttl=0");
    expect_problem(400, "invalid-parameter");
    ASK("POST /kv/b?op=touch&ttl=5");
    expect_problem(404, "not-found");
    ASK("POST /kv/b?op=persist");
    expect_problem(404, "not-found");
    expect_absent("/kv/b");
}

Test(operations, take_gives_the_value_once)
{
    ask_for(201, "PUT /kv/a", "Content-Type: text/plain\r\n", "once");
    ASK("POST /kv/a?op=take");
    expect_status(200);
    expect_body("once");
    expect_header("Content-Type", "text/plain");
    ASK("POST /kv/a?op=take");
    expect_problem(404, "not-found");
    expect_absent("/kv/a");
}

Test(operations, an_operation_that_is_none_is_refused)
{
    put("1");
    ASK("POST /kv/a?op=frobnicate");
    expect_problem(400, "invalid-parameter");
    ASK("POST /kv/a");
    expect_status(400);
    ASK("POST /kv/a?op=");
    expect_problem(400, "invalid-parameter");
    ASK("POST /kv/a?op=take&by=5");
    expect_problem(400, "invalid-parameter");
    expect_value("/kv/a", "1");
}
