/*
 * Where a request ends: every doubt about it closes the connection, so that
 * no byte of one request can be read as another one.
 */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(framing, .init = scene_open, .fini = scene_close, .timeout = 60);

#define HIDDEN                                                                 \
    "PUT /kv/hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1"

/* The refused request is the last one of its connection. */
static void expect_refused_for_good(unsigned status, const char *slug)
{
    expect_problem(status, slug);
    expect_closed();
    expect_absent("/kv/hidden");
    expect_nothing_stored();
}

Test(framing, a_length_together_with_chunks_is_refused)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n"
             "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN);
    expect_refused_for_good(400, "malformed-request");
}

Test(framing, two_different_lengths_are_refused)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
             "Content-Length: 68\r\n\r\n" HIDDEN);
    expect_refused_for_good(400, "malformed-request");
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 68\r\n"
             "Content-Length: 0\r\n\r\n" HIDDEN);
    expect_refused_for_good(400, "malformed-request");
}

Test(framing, the_same_length_twice_is_refused)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
             "Content-Length: 1\r\n\r\n1" HIDDEN);
    expect_refused_for_good(400, "malformed-request");
}

Test(framing, a_length_that_is_no_plain_number_is_refused)
{
    static const char *const lengths[] = {"3, 3", "3,3", "+3",  "-1",  "0x3",
                                          "",     "abc", "3.0", "3 3", "1e1"};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                      "Content-Length: %s\r\n\r\n123" HIDDEN,
                      lengths[i]));
        cr_expect(eq(uint, scene.answer.status, 400), "Content-Length: %s",
                  lengths[i]);
        expect_closed();
    }
    expect_nothing_stored();
}

Test(framing, blanks_around_a_length_are_not_part_of_it)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
             "Content-Length: \t 3 \t\r\n\r\n123");
    /* RFC 9110 allows them; to refuse is safe as well, if it is for good. */
    if (scene.answer.status == 400) {
        expect_closed();
        expect_nothing_stored();
        return;
    }
    expect_status(201);
    expect_value("/kv/a", "123");
}

Test(framing, a_length_near_the_end_of_all_numbers_is_too_large)
{
    static const char *const lengths[] = {
        "18446744073709551615", "18446744073709551614", "9223372036854775807",
        "9223372036854775808", "4294967296"};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                      "Content-Length: %s\r\n\r\n1",
                      lengths[i]));
        expect_problem(413, "body-too-large");
        expect_closed();
    }
    expect_nothing_stored();
}

Test(framing, a_length_above_all_numbers_is_refused)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
             "Content-Length: 18446744073709551616\r\n\r\n1" HIDDEN);
    cr_expect(scene.answer.status == 413 || scene.answer.status == 400);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, a_blank_before_the_colon_is_refused)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length : 68\r\n"
             "\r\n" HIDDEN);
    expect_refused_for_good(400, "malformed-request");
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nX-Any\t: 1\r\n"
             "Content-Length: 1\r\n\r\n1" HIDDEN);
    expect_refused_for_good(400, "malformed-request");
}

Test(framing, an_unknown_transfer_coding_is_not_implemented)
{
    static const char *const codings[] = {
        "identity", "xchunked",      "gzip, chunked", "chunked, identity",
        "chunke",   "chunked, gzip", "\"chunked\"",   "chunked, chunked"};

    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++) {
        send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                      "Transfer-Encoding: %s\r\n\r\n0\r\n\r\n" HIDDEN,
                      codings[i]));
        cr_expect(scene.answer.status == 501 || scene.answer.status == 400,
                  "%s: %u", codings[i], scene.answer.status);
        expect_closed();
    }
    expect_nothing_stored();
}

Test(framing, two_transfer_codings_are_refused)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
             "Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n" HIDDEN);
    cr_expect(scene.answer.status == 501 || scene.answer.status == 400);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, chunks_in_http_1_0_are_refused)
{
    send_raw("PUT /kv/a HTTP/1.0\r\nHost: a\r\n"
             "Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n" HIDDEN);
    expect_refused_for_good(400, "malformed-request");
}

Test(framing, a_folded_header_does_not_become_another_one)
{
    static const char *const folds[] = {
        "Transfer-Encodin: chunked\r\n g",
        "Content-Lengt: 68\r\n h",
        "Content-Length: 68\r\n x",
        "X-Any: 1\r\n\t2",
        "Hos: a\r\n t",
    };

    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++) {
        send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n"
                      "0\r\n\r\n" HIDDEN,
                      folds[i]));
        expect_refused_for_good(400, "malformed-request");
    }
}

Test(framing, a_fold_right_after_the_request_line_is_refused)
{
    send_raw("GET /livez HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n" HIDDEN);
    cr_expect(scene.answer.status == 400 || scene.answer.status == 0);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, bare_line_feeds_are_refused_or_read_as_line_ends)
{
    send_raw("PUT /kv/a HTTP/1.1\nHost: a\nContent-Length: 1\n\n1");
    if (scene.answer.status == 201) {
        expect_value("/kv/a", "1");
        return;
    }
    cr_expect(eq(uint, scene.answer.status, 400));
    expect_closed();
    expect_nothing_stored();
}

Test(framing, a_carriage_return_alone_ends_no_line)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nX-Any: 1\rContent-Length: 68"
             "\r\n\r\n" HIDDEN);
    cr_expect(scene.answer.status >= 400 || scene.answer.status == 0);
    expect_closed();
    expect_nothing_stored();
}

static void send_chunk_size(const char *size)
{
    send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n%s\r\n1\r\n0\r\n\r\n",
                  size));
}

Test(framing, a_chunk_size_of_17_digits_is_too_large)
{
    send_chunk_size("10000000000000001");
    cr_expect(scene.answer.status == 413 || scene.answer.status == 400 ||
              scene.answer.status == 0);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, a_chunk_size_of_all_bits_is_too_large)
{
    send_chunk_size("ffffffffffffffff");
    cr_expect(scene.answer.status == 413 || scene.answer.status == 400 ||
              scene.answer.status == 0);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, a_chunk_size_that_is_no_number_is_refused)
{
    static const char *const sizes[] = {"x", "-1", "+1", "0x1", "", " 1", "g1"};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        send_chunk_size(sizes[i]);
        cr_expect(scene.answer.status == 400 || scene.answer.status == 0,
                  "chunk size \"%s\": %u", sizes[i], scene.answer.status);
        expect_closed();
    }
    expect_nothing_stored();
}

Test(framing, a_chunk_longer_than_its_size_is_refused)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
             "Transfer-Encoding: chunked\r\n\r\n1\r\n12\r\n0\r\n\r\n");
    cr_expect(scene.answer.status == 400 || scene.answer.status == 0);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, long_chunk_extensions_do_no_harm)
{
    send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n"
                  "1;%s\r\n1\r\n0\r\n\r\n",
                  many(10 * 1024, 'x')));
    if (scene.answer.status == 201) {
        expect_value("/kv/a", "1");
        return;
    }
    cr_expect(scene.answer.status == 400 || scene.answer.status == 413);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, endless_chunk_extensions_are_cut_off)
{
    send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n"
                  "1;%s\r\n1\r\n0\r\n\r\n",
                  many(1024 * 1024, 'x')));
    cr_expect(scene.answer.status != 201);
    expect_closed();
    expect_nothing_stored();
}

Test(framing, a_chunked_body_with_trailers_is_taken_without_them)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
             "Transfer-Encoding: chunked\r\n\r\n"
             "2\r\n[1\r\n3\r\n,2]\r\n0\r\nIf-None-Match: *\r\n\r\n");
    expect_status(201);
    expect_value("/kv/a", "[1,2]");
    expect_open();
}

Test(framing, a_request_cut_within_its_body_stores_nothing)
{
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
              "Content-Length: 10\r\n\r\n123");
    http_close(&scene.http);
    begin_raw("PUT /kv/b HTTP/1.1\r\nHost: a\r\n"
              "Transfer-Encoding: chunked\r\n\r\n3\r\n123");
    http_close(&scene.http);
    expect_nothing_stored();
}

Test(framing, a_read_with_a_body_is_refused)
{
    send_raw("GET /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n123");
    expect_problem(400, "malformed-request");
    send_raw("GET /kv/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
             "\r\n1\r\n1\r\n0\r\n\r\n");
    expect_problem(400, "malformed-request");
}

Test(framing, a_read_with_an_empty_body_is_a_read)
{
    send_raw("GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    expect_status(200);
    expect_open();
}

Test(framing, http_1_1_needs_one_host)
{
    send_raw("GET /livez HTTP/1.1\r\n\r\n");
    expect_problem(400, "malformed-request");
    expect_closed();
    send_raw("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    expect_problem(400, "malformed-request");
    expect_closed();
    send_raw("GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    expect_problem(400, "malformed-request");
    expect_closed();
}

Test(framing, http_1_0_needs_no_host_and_closes)
{
    send_raw("GET /livez HTTP/1.0\r\n\r\n");
    expect_status(200);
    cr_expect(http_closes(&scene.http, 5000));
}

Test(framing, a_request_line_that_is_none_is_refused)
{
    static const char *const lines[] = {"GET /kv/a b HTTP/1.1",
                                        "GET /livez",
                                        "GET",
                                        "GET/livezHTTP/1.1",
                                        "/livez HTTP/1.1",
                                        "GET /livez HTTP/1",
                                        "GET /livez HTTP/1.1 x",
                                        "GET /livez http/1.1",
                                        "GET /livez FTP/1.1",
                                        "\x16\x03\x01\x02 \x01 \x03"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        send_raw(text("%s\r\nHost: a\r\n\r\n" HIDDEN, lines[i]));
        cr_expect(scene.answer.status == 400 || scene.answer.status == 505 ||
                      scene.answer.status == 0,
                  "%s: %u", lines[i], scene.answer.status);
        expect_closed();
    }
    expect_nothing_stored();
}

Test(framing, other_versions_of_http_are_not_supported)
{
    static const char *const starts[] = {
        "GET /livez HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /livez HTTP/0.9\r\nHost: a\r\n\r\n",
        "GET /livez HTTP/3.0\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        send_raw(starts[i]);
        expect_status(505);
        expect_closed();
    }
}

Test(framing, a_header_without_a_good_name_is_refused)
{
    static const char *const lines[] = {": x",      "X Y: 1",   "X(Y): 1",
                                        "no colon", "X\x01: 1", "X\xc3\xa9: 1"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        send_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n%s\r\n"
                      "Content-Length: 1\r\n\r\n1" HIDDEN,
                      lines[i]));
        cr_expect(eq(uint, scene.answer.status, 400), "\"%s\"", lines[i]);
        expect_closed();
    }
    expect_nothing_stored();
}

Test(framing, a_nul_in_the_head_is_refused)
{
    static const struct view heads[] = {
        VIEW_LITERAL("PUT /kv/a\0b HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: 1\r\n\r\n1" HIDDEN),
        VIEW_LITERAL("PUT /kv/a HTTP/1.1\r\nHost: a\r\nX\0Y: 1\r\n"
                     "Content-Length: 1\r\n\r\n1" HIDDEN),
        VIEW_LITERAL("PUT /kv/a HTTP/1.1\r\nHost: a\r\nX: 1\0002\r\n"
                     "Content-Length: 1\r\n\r\n1" HIDDEN),
        VIEW_LITERAL("PUT\0 /kv/a HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: 1\r\n\r\n1" HIDDEN),
        VIEW_LITERAL("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                     "Content-Length: 1\0008\r\n\r\n1" HIDDEN),
    };

    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        send_raw_bytes(heads[i]);
        cr_expect(scene.answer.status == 400 || scene.answer.status == 0,
                  "head %zu: %u", i, scene.answer.status);
        expect_closed();
    }
    expect_nothing_stored();
}

Test(framing, empty_lines_before_a_request_are_skipped)
{
    send_raw("\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status(200);
    expect_open();
}

Test(framing, a_hundred_pipelined_reads_are_answered_in_order)
{
    struct blob all = BLOB_EMPTY;

    for (int i = 0; i < 100; i++)
        ask_for(201, text("PUT /kv/%d", i), "", text("%d", i));
    reconnect();
    for (int i = 0; i < 100; i++)
        blob_printf(&all, "GET /kv/%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    http_send(&scene.http, blob_view(&all));
    blob_free(&all);
    for (int i = 0; i < 100; i++) {
        hear();
        expect_status(200);
        expect_body(text("%d", i));
    }
    expect_open();
}

Test(framing, pipelined_writes_and_reads_see_each_other)
{
    struct blob all = BLOB_EMPTY;

    for (int i = 0; i < 50; i++)
        blob_printf(&all,
                    "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                    "\r\n%02dGET /kv/a HTTP/1.1\r\nHost: a\r\n\r\n",
                    i + 10);
    reconnect();
    http_send(&scene.http, blob_view(&all));
    blob_free(&all);
    for (int i = 0; i < 50; i++) {
        hear();
        expect_status(i == 0 ? 201 : 204);
        hear();
        expect_body(text("%02d", i + 10));
    }
    expect_open();
}

Test(framing, a_client_that_asks_to_close_is_closed)
{
    send_raw("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect_status(200);
    expect_closed();
}

Test(framing, a_request_in_single_bytes_is_understood)
{
    const char *request = "PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n"
                          "2\r\n[1\r\n2\r\n2]\r\n0\r\n\r\n";

    reconnect();
    for (const char *at = request; *at != '\0'; at++)
        http_send(&scene.http, (struct view){at, 1});
    hear();
    expect_status(201);
    expect_value("/kv/a", "[12]");
    expect_open();
}

Test(framing, an_expected_100_comes_before_the_body)
{
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
              "Expect: 100-continue\r\n"
              "Content-Length: 3\r\n\r\n");
    hear();
    expect_status(100);
    http_send_text(&scene.http, "123");
    hear();
    expect_status(201);
    expect_value("/kv/a", "123");
}

Test(framing, an_expected_100_does_not_come_for_a_body_too_large)
{
    send_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
             "Content-Type: application/json\r\n"
             "Content-Length: 1048577\r\n\r\n");
    expect_problem(413, "body-too-large");
    expect_named("1048576");
    expect_closed();
    expect_nothing_stored();
}
