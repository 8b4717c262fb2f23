/* Content-Digest and Repr-Digest (RFC 9530): checked on PUT, told on GET. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdlib.h>
#include <string.h>

static void open_roomy(void)
{
    scene_open();
    scene.slack_kib = 24 * 1024;
}

TestSuite(digests, .init = open_roomy, .fini = scene_close, .timeout = 60);

/* By openssl dgst, not by kist. */
#define HELLO_256 "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
#define HELLO_512                                                              \
    "sha-512=:m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMX" \
    "aDEZjR1wuXDre9G9zvN7AQw==:"
#define ELL_256 "sha-256=:uuqWUAmX/1zWz9Jlkql41rc9SAtK0z0AJJnPAEGsmZY=:"

enum { LARGE = 300000 }; /* Of 'a'. */
#define LARGE_256 "sha-256=:EuG5sXmymk9+WImxhdescb/wrR9Jp7OR0JEbc3oPU4E=:"
#define LARGE_512                                                              \
    "sha-512=:NUhXvfgMYXV/bUglCk0fwG4wq91q44LCv3XPWBeNEq74UFg3locbRs2rg3jKM3m" \
    "Ow0FmhscfxK5FHdKFw+8y3A==:"
#define FIRST_100001_256                                                       \
    "sha-256=:4WY2nS4mCeZ+FlTv2PKrtEFGHsRFN9/wJmb7OM01v9U=:"

#define TEXT "Content-Type: text/plain\r\n"

static void put(const char *headers, const char *body)
{
    ask("PUT /kv/a", text(TEXT "%s", headers), body);
}

static void put_large(const char *headers)
{
    put(headers, many(LARGE, 'a'));
}

Test(digests, the_right_one_is_stored)
{
    put("Content-Digest: " HELLO_256 "\r\n", "hello");
    expect_status(201);
    put("Repr-Digest: " HELLO_512 "\r\n", "hello");
    expect_status(204);
    put("Repr-Digest: " HELLO_512 ", " HELLO_256 "\r\n"
        "Content-Digest: " HELLO_256 "\r\n",
        "hello");
    expect_status(204);
    expect_value("/kv/a", "hello");
}

Test(digests, the_wrong_one_stores_nothing)
{
    put("Content-Digest: " ELL_256 "\r\n", "hello");
    expect_problem(400, "digest-mismatch");
    expect_open();
    put("Repr-Digest: " HELLO_512 ", " ELL_256 "\r\n", "hello");
    expect_problem(400, "digest-mismatch");
    put("Repr-Digest: " HELLO_256 "\r\nContent-Digest: " ELL_256 "\r\n",
        "hello");
    expect_problem(400, "digest-mismatch");
    expect_nothing_stored();
}

Test(digests, a_large_value_is_checked_on_its_way)
{
    put_large("Content-Digest: " LARGE_256 ", " LARGE_512 "\r\n");
    expect_status(201);
    put_large("Content-Digest: " LARGE_256 ", " HELLO_512 "\r\n");
    expect_problem(400, "digest-mismatch");
    expect_open();
    put("Repr-Digest: " LARGE_256 "\r\n",
        text("%sb", many(LARGE - 1, 'a'))); /* The last byte alone. */
    expect_problem(400, "digest-mismatch");
    expect_value("/kv/a", many(LARGE, 'a'));
}

Test(digests, unknown_algorithms_are_passed_over)
{
    put("Content-Digest: md5=:XUFAKrxLKna5cZ2REBfFkg==:, crc32c=:AAAAAA==:\r\n",
        "hello");
    expect_status(201);
    put("Content-Digest: md5=:AAAA:, " ELL_256 "\r\n", "hello");
    expect_problem(400, "digest-mismatch");
}

Test(digests, what_is_malformed_is_refused)
{
    static const char *const values[] = {"sha-256",
                                         "sha-256=",
                                         "sha-256=abc",
                                         "sha-256=:%%:",
                                         "sha-256=:AAAA:",
                                         "SHA-256=:AAAA:",
                                         "=:AAAA:",
                                         "sha-256=\"AAAA\"",
                                         "sha-256=:AAAA",
                                         "sha-256=:=AAA:",
                                         "sha-512=:AAAA:",
                                         "x y=:AAAA:",
                                         ",",
                                         ""};

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        put(text("Content-Digest: %s\r\n", values[i]), "hello");
        expect_problem(400, "invalid-header");
        put_large(text("Repr-Digest: %s\r\n", values[i]));
        expect_problem(400, "invalid-header");
    }
    expect_nothing_stored();
}

Test(digests, nobody_gets_one_unasked)
{
    put("", "hello");
    ASK("GET /kv/a");
    expect_no_header("Content-Digest");
    expect_no_header("Repr-Digest");
}

Test(digests, who_wants_one_gets_it)
{
    put("", "hello");
    ask("GET /kv/a", "Want-Repr-Digest: sha-256=1\r\n", NULL);
    expect_header("Repr-Digest", HELLO_256);
    expect_no_header("Content-Digest");
    expect_body("hello");
    ask("GET /kv/a", "Want-Content-Digest: sha-512=3, sha-256=2, md5=9\r\n",
        NULL);
    expect_header("Content-Digest", HELLO_512);
    ask("GET /kv/a", "Want-Content-Digest: sha-512=0, sha-256=10\r\n", NULL);
    expect_header("Content-Digest", HELLO_256);
    ask("GET /kv/a", "Want-Content-Digest: sha-512=0, md5=3\r\n", NULL);
    expect_no_header("Content-Digest");
    ask("GET /kv/a", "Want-Repr-Digest: sha-256=eleven\r\n", NULL);
    expect_status(200);
    expect_no_header("Repr-Digest");
}

Test(digests, a_range_has_its_own_and_the_wholes)
{
    put("", "hello");
    ask("GET /kv/a",
        "Range: bytes=1-3\r\nWant-Repr-Digest: sha-256=1\r\n"
        "Want-Content-Digest: sha-256=1\r\n",
        NULL);
    expect_status(206);
    expect_body("ell");
    expect_header("Repr-Digest", HELLO_256);
    expect_header("Content-Digest", ELL_256);
}

Test(digests, of_large_values_are_the_same)
{
    put_large("");
    ask("GET /kv/a",
        "Want-Repr-Digest: sha-512=1\r\nWant-Content-Digest: sha-256=1\r\n",
        NULL);
    expect_status(200);
    expect_header("Repr-Digest", LARGE_512);
    expect_header("Content-Digest", LARGE_256);
    expect_body(many(LARGE, 'a'));
    ask("GET /kv/a",
        "Range: bytes=3-100003\r\nWant-Repr-Digest: sha-256=1\r\n"
        "Want-Content-Digest: sha-256=1\r\n",
        NULL);
    expect_status(206);
    expect_header("Repr-Digest", LARGE_256);
    expect_header("Content-Digest", FIRST_100001_256);
    expect_body(many(100001, 'a'));
    expect_open();
}

Test(digests, head_has_them_and_304_has_none)
{
    static const char *const targets[] = {"/kv/a", "/kv/b"};

    put("", "hello");
    ask("PUT /kv/b", TEXT, many(LARGE, 'a'));
    for (size_t i = 0; i < 2; i++) {
        struct http_answer answer = {0};

        reconnect();
        http_send_text(&scene.http, text("HEAD %s HTTP/1.1\r\nHost: a\r\n"
                                         "Want-Repr-Digest: sha-256=1\r\n\r\n",
                                         targets[i]));
        cr_assert(http_read(&scene.http, HTTP_HEAD_ONLY, &answer));
        cr_expect(view_is(http_header(&answer, "Repr-Digest"),
                          i == 0 ? HELLO_256 : LARGE_256));
        http_answer_free(&answer);
        ask(text("GET %s", targets[i]),
            "If-None-Match: *\r\nWant-Repr-Digest: sha-256=1\r\n", NULL);
        expect_status(304);
        expect_no_header("Repr-Digest");
    }
}
