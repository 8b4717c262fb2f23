/* If-Match and If-None-Match: each write sees what it was meant for. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(conditions, .init = scene_open, .fini = scene_close, .timeout = 60);

#define NO_SUCH_TAG "\"0123456789abcdef0123456789abcdef\""

static const char *put(const char *value)
{
    ask("PUT /kv/a", "", value);
    cr_assert(scene.answer.status == 201 || scene.answer.status == 204);
    return etag();
}

static const char *if_match(const char *tags)
{
    return text("If-Match: %s\r\n", tags);
}

static const char *if_none_match(const char *tags)
{
    return text("If-None-Match: %s\r\n", tags);
}

Test(conditions, a_write_to_the_present_version_is_applied)
{
    const char *first = put("1");

    ask("PUT /kv/a", if_match(first), "2");
    expect_status(204);
    cr_expect(ne(str, (char *)etag(), (char *)first));
    expect_value("/kv/a", "2");
}

Test(conditions, a_write_to_an_old_version_is_refused_with_the_present_one)
{
    const char *first = put("1");
    const char *second = put("2");

    ask("PUT /kv/a", if_match(first), "3");
    expect_problem(412, "condition-failed");
    expect_header("ETag", second);
    expect_value("/kv/a", "2");
    expect_open();
}

Test(conditions, one_of_several_versions_may_match)
{
    const char *first = put("1");
    const char *second = put("2");

    ask("PUT /kv/a", if_match(text("%s , %s,%s", NO_SUCH_TAG, first, second)),
        "3");
    expect_status(204);
    ask("PUT /kv/a", if_match(text("%s, %s", first, second)), "4");
    expect_problem(412, "condition-failed");
    expect_value("/kv/a", "3");
}

Test(conditions, a_star_matches_whatever_exists)
{
    ask("PUT /kv/a", if_match("*"), "1");
    expect_problem(412, "condition-failed");
    expect_no_header("ETag");
    expect_absent("/kv/a");
    put("1");
    ask("PUT /kv/a", if_match("*"), "2");
    expect_status(204);
}

Test(conditions, a_weak_tag_never_permits_a_write)
{
    const char *first = put("1");

    ask("PUT /kv/a", if_match(text("W/%s", first)), "2");
    expect_problem(412, "condition-failed");
    /* If-None-Match compares weakly, whatever the method: RFC 9110, 13.1.2. */
    ask("PUT /kv/a", if_none_match(text("W/%s", first)), "2");
    expect_problem(412, "condition-failed");
    expect_value("/kv/a", "1");
}

Test(conditions, create_only_works_once)
{
    ask("PUT /kv/a", if_none_match("*"), "1");
    expect_status(201);
    const char *first = etag();
    ask("PUT /kv/a", if_none_match("*"), "2");
    expect_problem(412, "condition-failed");
    expect_header("ETag", first);
    expect_value("/kv/a", "1");
    ask_for(204, "DELETE /kv/a", "", NULL);
    ask("PUT /kv/a", if_none_match("*"), "3");
    expect_status(201);
}

Test(conditions, a_write_against_a_version_needs_another_one)
{
    const char *first = put("1");

    ask("PUT /kv/a", if_none_match(first), "2");
    expect_problem(412, "condition-failed");
    ask("PUT /kv/a", if_none_match(NO_SUCH_TAG), "2");
    expect_status(204);
}

/* RFC 9110, 5.3 */
Test(conditions, a_list_of_versions_may_come_in_several_lines)
{
    const char *first = put("1");

    ask("GET /kv/a",
        text("If-None-Match: %s\r\nAccept: */*\r\nIf-None-Match: %s\r\n",
             NO_SUCH_TAG, first),
        NULL);
    expect_status(304);
    ask("PUT /kv/a",
        text("If-Match: %s\r\nIf-Match: %s\r\n", first, NO_SUCH_TAG), "2");
    expect_status(204);
}

Test(conditions, both_conditions_at_once_are_refused)
{
    const char *first = put("1");

    ask("PUT /kv/a", text("If-Match: %s\r\nIf-None-Match: *\r\n", first), "2");
    expect_problem(400, "invalid-header");
    expect_value("/kv/a", "1");
}

Test(conditions, a_tag_that_is_none_is_refused)
{
    static const char *const tags[] = {"abc",     "\"abc",    "abc\"",
                                       "",        ",",        "\"a\" \"b\"",
                                       "w/\"a\"", "*, \"a\"", "\"a\x01\""};

    put("1");
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        ask("PUT /kv/a", if_match(tags[i]), "2");
        cr_expect(eq(uint, scene.answer.status, 400), "If-Match: %s", tags[i]);
    }
    expect_value("/kv/a", "1");
}

Test(conditions, a_foreign_tag_is_another_version)
{
    put("1");
    ask("PUT /kv/a", if_match("\"v1\""), "2");
    expect_problem(412, "condition-failed");
    expect_value("/kv/a", "1");
}

Test(conditions, the_same_condition_header_twice_is_one_list_or_refused)
{
    const char *first = put("1");

    ask("PUT /kv/a",
        text("If-Match: %s\r\nIf-Match: %s\r\n", NO_SUCH_TAG, first), "2");
    cr_expect(scene.answer.status == 204 || scene.answer.status == 400, "%u",
              scene.answer.status);
}

Test(conditions, a_delete_takes_a_condition)
{
    const char *first = put("1");
    const char *second = put("2");

    ask("DELETE /kv/a", if_match(first), NULL);
    expect_problem(412, "condition-failed");
    expect_header("ETag", second);
    expect_value("/kv/a", "2");
    ask("DELETE /kv/a", if_match(second), NULL);
    expect_status(204);
    expect_absent("/kv/a");
    ask("DELETE /kv/a", if_match(second), NULL);
    cr_expect(scene.answer.status == 412 || scene.answer.status == 404);
}

Test(conditions, a_patch_takes_a_condition)
{
    const char *first = put("{\"a\":1}");
    const char *merge = "Content-Type: application/merge-patch+json\r\n";

    ask("PATCH /kv/a", text("%s%s", merge, if_match(NO_SUCH_TAG)), "{\"b\":2}");
    expect_problem(412, "condition-failed");
    expect_value("/kv/a", "{\"a\":1}");
    ask("PATCH /kv/a", text("%s%s", merge, if_match(first)), "{\"b\":2}");
    expect_status(204);
}

Test(conditions, an_operation_takes_a_condition)
{
    const char *first = put("1");

    ask("POST /kv/a?op=incr", if_match(NO_SUCH_TAG), NULL);
    expect_problem(412, "condition-failed");
    ask("POST /kv/a?op=incr", if_match(first), NULL);
    expect_status(200);
    expect_value("/kv/a", "2");
}

Test(conditions, a_read_of_the_known_version_sends_no_body)
{
    const char *first = put("[1]");

    ask("GET /kv/a", if_none_match(first), NULL);
    expect_status(304);
    expect_header("ETag", first);
    cr_expect(eq(sz, scene.answer.body.size, 0));
    expect_open();
    ask("GET /kv/a", if_none_match(text("%s, %s", NO_SUCH_TAG, first)), NULL);
    expect_status(304);
    ask("GET /kv/a", if_none_match(text("W/%s", first)), NULL);
    expect_status(304);
    ask("GET /kv/a", if_none_match("*"), NULL);
    expect_status(304);
    ask("HEAD /kv/a", if_none_match(first), NULL);
    expect_status(304);
    ask("GET /kv/a", if_none_match(NO_SUCH_TAG), NULL);
    expect_status(200);
    expect_body("[1]");
}

Test(conditions, an_unmodified_value_is_not_described_again)
{
    const char *first = put("[1,2]");

    ask("GET /kv/a", if_none_match(first), NULL);
    expect_status(304);
    expect_no_header("Content-Type");
    expect_no_header("Transfer-Encoding");
    expect_header("Content-Length", "5");
    ask("GET /kv/a?ptr=/0", if_none_match(first), NULL);
    expect_status(304);
    expect_header("Content-Length", "1");
    ask("GET /kv/a?ptr=/9", if_none_match(first), NULL);
    expect_problem(404, "no-such-part");
    expect_open();
}

Test(conditions, a_read_takes_if_match_as_well)
{
    const char *first = put("1");

    ask("GET /kv/a", if_match(first), NULL);
    expect_status(200);
    ask("GET /kv/a", if_match(NO_SUCH_TAG), NULL);
    expect_status(412);
    expect_header("ETag", first);
}

Test(conditions, of_racing_writers_exactly_one_wins)
{
    enum { WRITERS = 20 };
    struct http writers[WRITERS];
    struct http_answer answer = {0};
    const char *first = put("0");
    int won = 0, lost = 0;

    for (int i = 0; i < WRITERS; i++) {
        http_open(&writers[i], scene.kistd.port);
        http_send_text(&writers[i],
                       text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n"
                            "If-Match: %s\r\nContent-Length: 2\r\n\r\n%d",
                            first, i + 10));
    }
    for (int i = 0; i < WRITERS; i++) {
        http_read(&writers[i], HTTP_WITH_BODY, &answer);
        won += answer.status == 204;
        lost += answer.status == 412;
        http_close(&writers[i]);
    }
    http_answer_free(&answer);
    cr_expect(eq(int, won, 1));
    cr_expect(eq(int, lost, WRITERS - 1));
}

Test(conditions, versions_given_by_a_client_are_checked)
{
    static const char *const names[] = {"Kist-Version", "Kist-After"};
    static const char *const bad[] = {"x", "0123", "", "\"0\"",
                                      "0123456789abcdef0123456789abcdeg"};

    put("1");
    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            ask("GET /kv/a", text("%s: %s\r\n", names[n], bad[i]), NULL);
            cr_expect(eq(uint, scene.answer.status, 400), "%s: %s", names[n],
                      bad[i]);
        }
        ask("GET /kv/a",
            text("%s: ffffffffffffffffffffffffffffffff\r\n", names[n]), NULL);
        expect_problem(409, "clock");
    }
}

Test(conditions, a_session_reads_its_own_write)
{
    const char *first = put("1");

    ask("GET /kv/a", text("Kist-After: %.32s\r\n", first + 1), NULL);
    expect_status(200);
    expect_body("1");
}
