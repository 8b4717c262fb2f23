/*
 * What a client sends and what the log makes of it. That every line parses is
 * checked at each scene's end; here the log has something to escape.
 */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

static void open_with_access_log(void)
{
    static const char *const flags[] = {"--access-log", "true", "--log-level",
                                        "debug", NULL};

    scene_open_with(flags);
}

TestSuite(logs, .init = open_with_access_log, .fini = scene_close,
          .timeout = 60);

static bool logged(const char *part)
{
    struct blob log = kistd_log(&scene.kistd);
    bool found = memmem(log.data, log.size, part, strlen(part)) != NULL;

    blob_free(&log);
    return found;
}

Test(logs, a_request_has_a_line_with_its_id)
{
    ask("PUT /kv/a", "Request-Id: my-own-id\r\n", "1");
    expect_status(201);
    /* The line may be written after the answer: the next one's is behind. */
    expect_well();
    ASK("GET /kv/a");
    cr_expect(logged("my-own-id"));
}

Test(logs, a_trace_is_logged_if_it_is_one)
{
    ask("PUT /kv/a",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        "\r\n",
        "1");
    ask("PUT /kv/a", "traceparent: 00-not-a-trace\r\n", "1");
    expect_well();
    ASK("GET /kv/a");
    expect_header("Vary", "Accept");
    cr_expect(logged("4bf92f3577b34da6a3ce929d0e0e4736"));
    cr_expect(not(logged("not-a-trace")));
}

/* More keys than one slice of a scan looks at. */
static void put_many_keys(void)
{
    enum { BATCHES = 60, EACH = 1000 };

    for (int i = 0; i < BATCHES; i++) {
        struct blob lines = BLOB_EMPTY;

        for (int j = 0; j < EACH; j++)
            blob_printf(&lines,
                        "{\"op\":\"put\",\"key\":\"k%d-%d\",\"value\":1}\n", i,
                        j);
        ask_bytes("POST /batch?durability=async",
                  "Content-Type: application/x-ndjson\r\n", blob_view(&lines));
        blob_free(&lines);
        cr_assert(eq(uint, scene.answer.status, 200));
    }
}

Test(logs, a_count_whose_client_is_gone_ends_without_an_answer)
{
    put_many_keys();
    for (int i = 0; i < 20; i++) {
        struct http gone;

        http_open(&gone, scene.kistd.port);
        http_send_text(&gone, "GET /kv?count=1 HTTP/1.1\r\nHost: a\r\n"
                              "Request-Id: deserted\r\n\r\n");
        http_close(&gone);
    }
    ASK("GET /kv?count=1");
    expect_body("{\"count\":60000}");
    expect_well();
    cr_expect(not(logged("\"deserted\"")));
}

Test(logs, keys_with_quotes_and_newlines_make_no_line)
{
    ASK("GET /kv/x%22%7d%5c");
    ASK("GET /kv/a%0a%7b%22level%22%3a%22error%22%2c%22forged%22%3a1%7d");
    expect_problem(400, "invalid-key");
    ask("GET /kv/a", "Request-Id: \"}\\x\r\n", NULL);
    ask("GET /kv/a", "Request-Id: \x1b[31m\xff\x01\r\n", NULL);
    ask("GET /kv/a", "traceparent: \"\\\"\x7f\r\n", NULL);
    ask("GET /kv/a", text("Request-Id: %s\r\n", many(8000, '"')), NULL);
    cr_expect(not(logged("\n{\"level\":\"error\",\"forged\"")));
    cr_expect(not(logged("\x1b[31m")));
}

Test(logs, odd_header_values_that_mean_nothing_to_us_are_ignored)
{
    ask("GET /livez", "X-Any: \xff\x01\x7f\r\n", NULL);
    cr_expect(scene.answer.status == 200 || scene.answer.status == 400);
}

Test(logs, odd_bytes_in_our_own_headers_are_refused)
{
    static const char *const names[] = {"If-Match", "Kist-Expires",
                                        "Kist-After"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ask("PUT /kv/a", text("%s: \"\xff\x01\"\r\n", names[i]), "1");
        cr_expect(eq(uint, scene.answer.status, 400), "%s", names[i]);
    }
    expect_nothing_stored();
}
