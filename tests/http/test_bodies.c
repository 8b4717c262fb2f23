/* JSON bodies: what is taken comes back byte for byte, the rest is refused. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(bodies, .init = scene_open, .fini = scene_close, .timeout = 60);

#define JSON "Content-Type: application/json\r\n"

static void expect_taken(struct view body)
{
    ask_bytes("PUT /kv/a", JSON, body);
    cr_expect(scene.answer.status == 201 || scene.answer.status == 204,
              "%u for %.*s", scene.answer.status,
              (int)(body.size < 80 ? body.size : 80), body.data);
    ask("GET /kv/a", "", NULL);
    expect_body_bytes(body);
    expect_header("Content-Type", "application/json");
}

static void expect_refused(struct view body)
{
    ask_bytes("PUT /kv/a", JSON, body);
    cr_expect(eq(uint, scene.answer.status, 400), "for %.*s",
              (int)(body.size < 80 ? body.size : 80), body.data);
    expect_problem(400, "invalid-json");
    expect_open();
    expect_absent("/kv/a");
}

Test(bodies, an_empty_body_is_refused)
{
    ask("PUT /kv/a", JSON, "");
    expect_problem(400, "empty-body");
    ask("PUT /kv/a", "", "");
    expect_problem(400, "empty-body");
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" JSON "\r\n");
    expect_status(400);
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" JSON
             "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect_problem(400, "empty-body");
    expect_nothing_stored();
}

Test(bodies, white_space_alone_is_no_json)
{
    static const char *const blanks[] = {" ", "   ", "\n", "\t\r\n "};

    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
        ask("PUT /kv/a", JSON, blanks[i]);
        expect_status(400);
    }
    expect_nothing_stored();
}

Test(bodies, every_kind_of_value_is_taken_and_typed)
{
    static const struct {
        const char *body, *type;
    } values[] = {
        {"5", "number"},      {"\"x\"", "string"},  {"true", "boolean"},
        {"false", "boolean"}, {"null", "null"},     {"{\"a\":1}", "object"},
        {"[]", "array"},      {" {} \n", "object"}, {"-0.5e-3", "number"},
        {"\"\"", "string"},
    };

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        expect_taken(view_of(values[i].body));
        expect_header("Kist-Type", values[i].type);
    }
}

Test(bodies, structures_that_are_no_json_are_refused)
{
    static const char *const bodies[] = {
        "[1,]",       "{,}",     "{\"a\":}",  "{a:1}",
        "'a'",        "[",       "]",         "{",
        "}",          "[1 2]",   "[,1]",      "{\"a\"}",
        "{\"a\":1,}", "[1]x",    "1 2",       "{} {}",
        "\"a",        "tru",     "nulll",     "True",
        "{\"a\" 1}",  "{1:2}",   "[1}",       ",",
        ":",          "\"\\x\"", "\"\\u12\"", "\xef\xbb\xbf{}"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        expect_refused(view_of(bodies[i]));
}

Test(bodies, numbers_and_words_of_other_languages_are_refused)
{
    static const char *const bodies[] = {
        "[1] // x", "/* x */ 1", "NaN",  "Infinity",  "-Infinity", ".5",
        "1.",       "01",        "+1",   "0x10",      "-",         "1e",
        "1e+",      "-01",       "1.e1", "undefined", "1_000",     "--1"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        expect_refused(view_of(bodies[i]));
}

Test(bodies, bytes_that_are_not_utf_8_are_refused)
{
    static const char *const bodies[] = {
        "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"",
        "\"\xc3\"", "\"\xe2\x82\"", "{\"\xff\":1}",     "\"\x80\"",
        "\xff"};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        expect_refused(view_of(bodies[i]));
}

Test(bodies, half_a_surrogate_pair_is_refused)
{
    expect_refused(view_of("\"\\ud800\""));
    expect_refused(view_of("\"\\udc00\""));
    expect_refused(view_of("\"\\ud800\\u0041\""));
    expect_taken(view_of("\"\\ud83d\\ude00\""));
}

Test(bodies, a_name_given_twice_is_refused)
{
    expect_refused(view_of("{\"a\":1,\"a\":2}"));
    expect_refused(view_of("{\"a\":1,\"\\u0061\":2}"));
    expect_refused(view_of("{\"x\":[{\"b\":1,\"c\":2,\"b\":3}]}"));
    expect_taken(view_of("{\"a\":{\"a\":{\"a\":1}}}"));
}

Test(bodies, an_escaped_nul_comes_back_as_it_was)
{
    expect_taken(view_of("\"\\u0000\""));
    expect_taken(view_of("{\"\\u0000\":\"a\\u0000b\"}"));
}

Test(bodies, raw_control_bytes_are_refused)
{
    expect_refused(view_of("\"\x01\""));
    expect_refused(view_of("\"a\nb\""));
    expect_refused(view_of("\"\t\""));
    expect_refused(VIEW_LITERAL("\"a\0b\""));
    expect_refused(VIEW_LITERAL("1\0"));
    expect_refused(VIEW_LITERAL("\0"));
    expect_taken(view_of("\"\x7f\""));
}

static const char *nested(size_t depth, char open, char close)
{
    char *whole = room(2 * depth + 1);

    memset(whole, open, depth);
    memset(whole + depth, close, depth);
    whole[2 * depth] = '\0';
    return whole;
}

Test(bodies, depth_64_is_taken_and_65_is_not)
{
    expect_taken(view_of(nested(64, '[', ']')));
    ask("DELETE /kv/a", "", NULL);
    expect_refused(view_of(nested(65, '[', ']')));
    expect_named("64");
    expect_refused(view_of(nested(100000, '[', ']')));
    expect_refused(view_of(many(100000, '[')));
}

Test(bodies, numbers_come_back_digit_for_digit)
{
    static const char *const numbers[] = {
        "123456789012345678901234567890",
        "1e400",
        "-0",
        "0.1234567890123456789012345678901234567890",
        "1E+2",
        "1.0",
        "-1e-999",
        "[9007199254740993, 0.10]"};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        expect_taken(view_of(numbers[i]));
}

Test(bodies, white_space_and_order_of_names_come_back)
{
    expect_taken(view_of("\r\n{ \"b\" : 1 ,\t\"a\" : [ ] }\n\n"));
    expect_taken(view_of("\"\\u0041\\/\\b\""));
}

/* A JSON string of exactly size bytes, made of piece. */
static const char *string_of(size_t size, const char *piece)
{
    char *whole = room(size + 1);

    whole[0] = '"';
    for (size_t i = 1; i + 1 < size; i++)
        whole[i] = piece[(i - 1) % strlen(piece)];
    whole[size - 1] = '"';
    whole[size] = '\0';
    return whole;
}

Test(bodies, a_body_of_exactly_the_limit_is_taken)
{
    expect_taken(view_of(string_of(1 << 20, "a")));
}

Test(bodies, a_mebibyte_of_escapes_is_taken)
{
    /* 6 n + 2 bytes, as many as fit. */
    expect_taken(view_of(string_of(((1 << 20) - 2) / 6 * 6 + 2, "\\u0041")));
}

Test(bodies, a_byte_more_than_the_limit_is_too_large)
{
    ask("PUT /kv/a", JSON, string_of((1 << 20) + 1, "a"));
    expect_problem(413, "body-too-large");
    expect_named("1048576");
    expect_nothing_stored();
}

Test(bodies, a_chunked_body_above_the_limit_is_too_large)
{
    struct blob all = BLOB_EMPTY;

    blob_append_text(&all, "PUT /kv/a HTTP/1.1\r\nHost: a\r\n" JSON
                           "Transfer-Encoding: chunked\r\n\r\n");
    /* 1 MiB and 64 KiB more, which is drained and then answered. */
    for (int i = 0; i < 17; i++) {
        blob_append_text(&all, "10000\r\n");
        blob_append_text(&all, many(0x10000, '1'));
        blob_append_text(&all, "\r\n");
    }
    blob_append_text(&all, "0\r\n\r\n");
    send_raw_bytes(blob_view(&all));
    blob_free(&all);
    expect_problem(413, "body-too-large");
    expect_named("1048576");
    expect_nothing_stored();
}

Test(bodies, an_endless_chunked_body_is_cut_off)
{
    const char *chunk = text("10000\r\n%s\r\n", many(0x10000, '1'));
    int taken = 0;

    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" JSON
              "Transfer-Encoding: chunked\r\n\r\n");
    while (taken < 1000 && http_send_text(&scene.http, chunk))
        taken++;
    /* The limit, as much again, and what the two sockets hold. */
    cr_expect(lt(int, taken, 400), "the server took %d x 64 KiB", taken);
    expect_nothing_stored();
}

Test(bodies, many_small_chunks_make_one_body)
{
    struct blob all = BLOB_EMPTY;

    blob_append_text(&all, "PUT /kv/a HTTP/1.1\r\nHost: a\r\n" JSON
                           "Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n");
    for (int i = 0; i < 5000; i++)
        blob_append_text(&all, "2\r\n1,\r\n");
    blob_append_text(&all, "2\r\n1]\r\n0\r\n\r\n");
    send_raw_bytes(blob_view(&all));
    blob_free(&all);
    expect_status(201);
    ask("GET /kv/a", "", NULL);
    cr_expect(eq(sz, scene.answer.body.size, 10003));
}
