/* What a body is said to be, and what a client says it takes. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(media_types, .init = scene_open, .fini = scene_close, .timeout = 60);

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

Test(media_types, text_is_stored_as_it_is)
{
    ask("PUT /kv/a", "Content-Type: text/plain\r\n", "not [json");
    expect_status(201);
    ask("GET /kv/a", "", NULL);
    expect_body("not [json");
    expect_header("Content-Type", "text/plain");
    expect_no_header("Kist-Type");
    expect_header("X-Content-Type-Options", "nosniff");
}

Test(media_types, every_byte_is_stored_as_it_is)
{
    char bytes[256 * 40];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    ask_bytes("PUT /kv/a", "Content-Type: application/octet-stream\r\n",
              (struct view){bytes, sizeof bytes});
    expect_status(201);
    expect_value_bytes("/kv/a", (struct view){bytes, sizeof bytes});
}

Test(media_types, a_large_opaque_value_is_stored_as_it_is)
{
    struct view value = noise(5 << 20, 1);

    ask_bytes("PUT /kv/a", "Content-Type: image/png\r\n", value);
    expect_status(201);
    expect_value_bytes("/kv/a", value);
}

Test(media_types, parameters_of_a_media_type_are_kept)
{
    ask("PUT /kv/a", "Content-Type: text/html; charset=utf-8\r\n", "<p>");
    expect_status(201);
    ask("GET /kv/a", "", NULL);
    expect_header("Content-Type", "text/html; charset=utf-8");
    expect_body("<p>");
}

Test(media_types, a_body_without_a_type_must_be_json)
{
    ask("PUT /kv/a", "", "{\"a\":1}");
    expect_status(201);
    ask("GET /kv/a", "", NULL);
    expect_header("Content-Type", "application/json");
    expect_header("Kist-Type", "object");
    ask("PUT /kv/b", "", "hello");
    expect_problem(415, "media-type");
    expect_absent("/kv/b");
}

Test(media_types, the_form_type_of_curl_means_no_type)
{
    ask("PUT /kv/a", FORM, "{\"a\":1}");
    expect_status(201);
    ask("GET /kv/a", "", NULL);
    expect_header("Content-Type", "application/json");
    ask("PUT /kv/b", FORM, "a=1&b=2");
    expect_problem(415, "media-type");
    /* The detail names the flag that helps. */
    expect_named("Content-Type");
    expect_absent("/kv/b");
}

Test(media_types, json_in_another_charset_is_refused)
{
    ask("PUT /kv/a", "Content-Type: application/json; charset=latin1\r\n", "1");
    expect_problem(415, "media-type");
    expect_absent("/kv/a");
    ask("PUT /kv/a", "Content-Type: application/json; charset=utf-8\r\n", "1");
    expect_status(201);
    ask("PUT /kv/a", "Content-Type: Application/JSON;charset=\"UTF-8\"\r\n",
        "[2]");
    expect_status(204);
    ask("GET /kv/a", "", NULL);
    expect_header("Kist-Type", "array");
}

Test(media_types, a_type_that_is_none_is_refused)
{
    static const char *const types[] = {"x", "text/", "/plain", "a b/c",
                                        "text/plain\x01"};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        ask("PUT /kv/a", text("Content-Type: %s\r\n", types[i]), "1");
        cr_expect(scene.answer.status == 400 || scene.answer.status == 415,
                  "%s: %u", types[i], scene.answer.status);
    }
    ask("PUT /kv/a", text("Content-Type: text/%s\r\n", many(5000, 'x')), "1");
    cr_expect(scene.answer.status == 400 || scene.answer.status == 415);
    expect_nothing_stored();
}

Test(media_types, a_compressed_body_is_refused)
{
    ask("PUT /kv/a", "Content-Encoding: gzip\r\n", "1");
    expect_problem(415, "media-type");
    ask("PUT /kv/a", "Content-Encoding: br\r\nContent-Type: text/plain\r\n",
        "1");
    expect_problem(415, "media-type");
    expect_nothing_stored();
}

Test(media_types, a_browser_gets_json_that_it_cannot_run)
{
    ask_for(201, "PUT /kv/a", "", "\"<script>\"");
    ask("GET /kv/a", "Accept: text/html\r\n", NULL);
    expect_status(200);
    expect_body("\"<script>\"");
    expect_header("Content-Type", "application/json");
    expect_header("X-Content-Type-Options", "nosniff");
    struct view policy = header("Content-Security-Policy");
    cr_expect(policy.data != NULL &&
              memmem(policy.data, policy.size, "sandbox", 7) != NULL);
}

Test(media_types, html_of_a_client_is_put_in_a_sandbox)
{
    ask_for(201, "PUT /kv/a", "Content-Type: text/html\r\n", "<script>");
    ask("GET /kv/a", "", NULL);
    struct view policy = header("Content-Security-Policy");
    cr_expect(policy.data != NULL &&
              memmem(policy.data, policy.size, "sandbox", 7) != NULL);
    expect_header("X-Content-Type-Options", "nosniff");
}
