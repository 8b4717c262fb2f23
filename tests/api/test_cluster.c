/* What a client sees of a cluster: values. */
#include "tests/api/cluster_client.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(cluster, .init = client_open, .fini = client_close, .timeout = 30);

/* Writing. */

Test(cluster, a_put_is_on_w_owners_and_its_receipt_says_so)
{
    const char *key = neighbours_key(false, 0);

    cr_assert(eq(uint, ask("PUT /kv/%s?w=all", key, "", "1"), 201));
    cr_assert(header_is("Kist-Receipt", "n=3, w=3, acked=3"));
    cr_assert(header_is("Kist-Durable", "sync;nodes=3"));
    cr_assert(eq(uint, neighbours_with(key, "1"), 3));
    cr_assert(eq(uint, put(key, "2"), 204));
    cr_assert(header_is("Kist-Receipt", "n=3, w=2, acked=2"));
}

Test(cluster, async_is_said_of_all_copies)
{
    cr_assert(eq(uint, ask("PUT /kv/%s?durability=async", "a", "", "1"), 201));
    cr_assert(header_is("Kist-Durable", "async;nodes=2"));
}

Test(cluster, a_value_is_read_from_r_owners)
{
    const char *here = neighbours_key(true, 0);
    const char *there = neighbours_key(false, 0);

    cr_assert(eq(uint, put(here, "1"), 201));
    cr_assert(eq(uint, put(there, "2"), 201));
    cr_assert(eq(uint, get(here), 200));
    cr_assert(body_is("1"));
    cr_assert(header_is("Kist-Receipt", "n=3, r=2, answers=2"));
    cr_assert(eq(uint, get(there), 200));
    cr_assert(body_is("2"));
    cr_assert(eq(uint, ask("GET /kv/%s?r=one", here, "", NULL), 200));
    cr_assert(header_is("Kist-Receipt", "n=3, r=1, answers=1"));
    cr_assert(eq(uint, ask("GET /kv/%s?r=1", there, "", NULL), 200));
    cr_assert(body_is("2"));
    cr_assert(eq(uint, ask("GET /kv/%s?r=all", there, "", NULL), 200));
    cr_assert(header_is("Kist-Receipt", "n=3, r=3, answers=3"));
}

Test(cluster, the_newest_copy_wins_and_those_behind_get_it)
{
    const char *key = neighbours_key(true, 0);

    cr_assert(eq(uint, ask("PUT /kv/%s?w=all", key, "", "1"), 201));
    neighbours_set_others(MOOD_DEAF);
    cr_assert(eq(uint, ask("PUT /kv/%s?w=1", key, "", "2"), 204));
    neighbours_set_others(MOOD_WELL);
    cr_assert(eq(uint, ask("GET /kv/%s?r=all", key, "", NULL), 200));
    cr_assert(body_is("2"));
    cr_assert(ge(uint, neighbours_with(key, "2"), 2));
}

Test(cluster, a_deleted_value_is_absent_and_deleting_is_a_write)
{
    const char *key = neighbours_key(false, 1);

    cr_assert(eq(uint, put(key, "1"), 201));
    cr_assert(eq(uint, ask("DELETE /kv/%s", key, "", NULL), 204));
    cr_assert(header_is("Kist-Receipt", "n=3, w=2, acked=2"));
    cr_assert(eq(uint, get(key), 404));
    cr_assert(header_is("Kist-Receipt", "n=3, r=2, answers=2"));
    cr_assert(eq(uint, ask("DELETE /kv/%s", key, "", NULL), 204));
    cr_assert(eq(uint, ask("PUT /kv/%s?w=all", key, "", "1"), 201));
}

Test(cluster, the_value_comes_back_where_it_was_preferred)
{
    cr_assert(eq(
        uint,
        ask("PUT /kv/%s", "a", "Prefer: return=representation\r\n", "[1, 2]"),
        200));
    cr_assert(body_is("[1, 2]"));
    cr_assert(header_is("Kist-Receipt", "n=3, w=2, acked=2"));
    cr_assert(eq(uint, get("a"), 200));
    cr_assert(body_is("[1, 2]"));
}

Test(cluster, conditions_are_checked_on_reads)
{
    char line[96];

    cr_assert(eq(uint, put("a", "1"), 201));
    struct view tag = http_header(&client.answer, "ETag");

    snprintf(line, sizeof(line), "If-None-Match: %.*s\r\n", (int)tag.size,
             tag.data);
    cr_assert(eq(uint, ask("GET /kv/%s", "a", line, NULL), 304));
    cr_assert(header_is("Kist-Receipt", "n=3, r=2, answers=2"));
    cr_assert(eq(uint, put("a", "2"), 204));
    cr_assert(eq(uint, ask("GET /kv/%s", "a", line, NULL), 200));
    cr_assert(body_is("2"));
    cr_assert(eq(uint, ask("HEAD /kv/%s?r=1", "a", "", NULL), 200));
}

/* How many. */

Test(cluster, numbers_of_copies_that_cannot_be_are_refused)
{
    static const char *const bad[] = {
        "PUT /kv/%s?w=4", "PUT /kv/%s?n=4",     "PUT /kv/%s?w=0",
        "PUT /kv/%s?w=x", "PUT /kv/%s?n=1&w=2", "PUT /kv/%s?n=2&r=3",
        "PUT /kv/%s?r=-1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_problem(bad[i], "a", "", "1", 400, "invalid-parameter");
    cr_assert(eq(uint, ask("PUT /kv/%s?w=4", "a", "", "1"), 400));
    cr_assert(body_has("\"limit\":3"));
    cr_assert(eq(uint, get("a"), 404));
}

Test(cluster, words_are_numbers_of_the_copies_that_take_part)
{
    cr_assert(eq(uint, ask("PUT /kv/%s?n=one", "a", "", "1"), 201));
    cr_assert(header_is("Kist-Receipt", "n=1, w=1, acked=1"));
    cr_assert(eq(uint, ask("PUT /kv/%s?n=quorum&w=all", "b", "", "1"), 201));
    cr_assert(header_is("Kist-Receipt", "n=2, w=2, acked=2"));
    cr_assert(eq(uint, ask("PUT /kv/%s?w=one", "c", "", "1"), 201));
}

/* Failing. */

Test(cluster, with_too_few_alive_nothing_is_written)
{
    const char *key = neighbours_key(true, 0);

    neighbours_set_others(MOOD_DOWN);
    expect_problem("PUT /kv/%s", key, "", "1", 503, "too-few-copies");
    cr_assert(body_has("\"outcome\":\"not_applied\""));
    cr_assert(header_is("Kist-Receipt", "n=3, w=2, acked=0"));
    cr_assert(header_is("Retry-After", "1"));
    expect_problem("GET /kv/%s", key, "", NULL, 503, "too-few-copies");
    cr_assert(eq(uint, ask("GET /kv/%s?r=1", key, "", NULL), 404));
    cr_assert(eq(uint, ask("PUT /kv/%s?w=1", key, "", "1"), 201));
    cr_assert(header_is("Kist-Receipt", "n=3, w=1, acked=1"));
}

Test(cluster, owners_that_do_not_answer_make_the_outcome_unknown)
{
    const char *key = neighbours_key(true, 0);

    neighbours_set_others(MOOD_MUTE);
    expect_problem("PUT /kv/%s?ttl=600", key, "", "1", 504, "outcome-unknown");
    cr_assert(body_has("\"outcome\":\"unknown\""));
    cr_assert(header_is("Kist-Receipt", "n=3, w=2, acked=1"));
    cr_assert(eq(sz, http_header(&client.answer, "Kist-Version").size, 32));
    expect_problem("GET /kv/%s", key, "", NULL, 503, "too-few-copies");
    cr_assert(header_is("Kist-Receipt", "n=3, r=2, answers=1"));
}

Test(cluster, what_is_sent_again_with_its_version_is_the_same_write)
{
    const char *key = neighbours_key(true, 0);
    char version[64], expires[64], line[96];

    neighbours_set_others(MOOD_MUTE);
    cr_assert(eq(uint, ask("PUT /kv/%s?ttl=600", key, "", "1"), 504));
    struct view given = http_header(&client.answer, "Kist-Version");

    snprintf(version, sizeof(version), "%.*s", (int)given.size, given.data);
    snprintf(line, sizeof(line), "%s", version_as("Kist-Version"));
    cr_assert(eq(uint, ask("GET /kv/%s?r=1", key, "", NULL), 200));
    given = http_header(&client.answer, "Kist-Expires");
    snprintf(expires, sizeof(expires), "%.*s", (int)given.size, given.data);

    neighbours_set_others(MOOD_WELL);
    cr_assert(eq(uint, ask("PUT /kv/%s?ttl=600&w=3", key, line, "1"), 204));
    cr_assert(header_is("Kist-Version", version));
    cr_assert(header_is("Kist-Expires", expires));
    cr_assert(eq(uint, neighbours_with(key, "1"), 3));
    cr_assert(eq(uint, ask("GET /kv/%s?r=3", key, "", NULL), 200));
    cr_assert(header_is("Kist-Version", version));
}

Test(cluster, a_write_that_is_late_says_what_superseded_it)
{
    char line[96];

    cr_assert(eq(uint, ask("PUT /kv/%s?w=3", "a", "", "1"), 201));
    snprintf(line, sizeof(line), "%s", version_as("Kist-Version"));
    cr_assert(eq(uint, ask("PUT /kv/%s?w=3", "a", "", "2"), 204));
    struct view newer = http_header(&client.answer, "Kist-Version");
    char superseded[64];

    snprintf(superseded, sizeof(superseded), "%.*s", (int)newer.size,
             newer.data);
    cr_assert(eq(uint, ask("PUT /kv/%s?w=3", "a", line, "1"), 204));
    cr_assert(header_is("Kist-Superseded", superseded));
    cr_assert(eq(uint, get("a"), 200));
    cr_assert(body_is("2"));
}

Test(cluster, a_version_is_sent_again_with_whole_writes_of_a_key_only)
{
    static const char line[] =
        "Kist-Version: 01932f0c5e1a0000a1b2c3d4e5f60718\r\n";

    expect_problem("GET /kv/%s", "a", line, NULL, 400, "invalid-header");
    expect_problem("POST /batch", "", line, "{}", 400, "invalid-header");
    expect_problem("PUT /kv/%s", "a", "Kist-Version: 12\r\n", "1", 400,
                   "invalid-header");
    expect_problem("PUT /kv/%s", "a",
                   "Kist-Version: ffffffffffffffff0000000000000001\r\n", "1",
                   409, "clock");
}

/* Sessions. */

Test(cluster, a_session_reads_its_write_from_one_copy)
{
    const char *key = neighbours_key(true, 0);
    char line[96];

    cr_assert(eq(uint, ask("PUT /kv/%s?w=3", key, "", "1"), 201));
    cr_assert(eq(uint, put(key, "2"), 204));
    snprintf(line, sizeof(line), "%s", version_as("Kist-After"));
    cr_assert(eq(uint, ask("GET /kv/%s?r=1", key, line, NULL), 200));
    cr_assert(body_is("2"));
}

Test(cluster, a_session_that_reads_too_few_of_the_copies_is_refused)
{
    char line[96];

    cr_assert(eq(uint, put("a", "1"), 201));
    snprintf(line, sizeof(line), "%s", version_as("Kist-After"));
    expect_problem("GET /kv/%s?n=1&r=1", "a", line, NULL, 400,
                   "invalid-parameter");
    cr_assert(body_has("\"minimum\":2"));
    cr_assert(eq(uint, ask("GET /kv/%s?n=2", "a", line, NULL), 200));
}

Test(cluster, a_write_after_a_version_is_above_it)
{
    unsigned long long hlc, newer;
    char line[96];

    cr_assert(eq(uint, put("a", "1"), 201));
    cr_assert(sscanf(version_as("Kist-After"), "Kist-After: %16llx", &hlc) ==
              1);
    hlc += UINT64_C(1000) << 16; /* Milliseconds. */
    snprintf(line, sizeof(line), "Kist-After: %016llx0000000000000001\r\n",
             hlc);
    cr_assert(eq(uint, ask("PUT /kv/%s", "a", line, "2"), 204));
    cr_assert(sscanf(version_as("Kist-After"), "Kist-After: %16llx", &newer) ==
              1);
    cr_assert(newer > hlc);
    hlc += UINT64_C(3600000) << 16;
    snprintf(line, sizeof(line), "Kist-After: %016llx0000000000000001\r\n",
             hlc);
    expect_problem("PUT /kv/%s", "a", line, "3", 409, "clock");
}

/* What needs strong. */

Test(cluster, what_reads_before_it_writes_needs_strong)
{
    static const struct {
        const char *what, *headers, *body;
    } cases[] = {
        {"PUT /kv/%s", "If-None-Match: *\r\n", "1"},
        {"PUT /kv/%s", "If-Match: *\r\n", "1"},
        {"DELETE /kv/%s", "If-Match: *\r\n", NULL},
        {"PATCH /kv/%s", "Content-Type: application/merge-patch+json\r\n",
         "{}"},
        {"POST /kv/%s?op=incr", "", ""},
        {"POST /kv/%s?op=append", "", "1"},
        {"POST /kv/%s?op=touch&ttl=5", "", ""},
        {"POST /kv/%s?op=persist", "", ""},
        {"POST /kv/%s?op=take", "", ""},
    };

    cr_assert(eq(uint, put("a", "1"), 201));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_problem(cases[i].what, "a", cases[i].headers, cases[i].body, 409,
                       "needs-strong");
        cr_assert(body_has("\"outcome\":\"not_applied\""));
    }
    cr_assert(eq(uint, get("a"), 200));
    cr_assert(body_is("1"));
}

/* Their owners fetch them over the network: tests/cluster/test_large.c. */
Test(cluster, a_condition_is_refused_before_a_large_body)
{
    char *body = malloc(NEIGHBOURS_INLINE + 2);

    cr_assert(body != NULL);
    memset(body, 'x', NEIGHBOURS_INLINE + 1);
    body[NEIGHBOURS_INLINE + 1] = '\0';
    expect_problem("PUT /kv/%s", "a",
                   "Content-Type: text/plain\r\nIf-None-Match: *\r\n", body,
                   409, "needs-strong");
    free(body);
}

/* Waiting. */

static void expect_change_is_seen(const char *key)
{
    struct http other = {.descriptor = -1};
    struct http_answer put_answer = {0};
    char line[128], what[64];

    cr_assert(eq(uint, put(key, "1"), 201));
    struct view tag = http_header(&client.answer, "ETag");

    snprintf(line, sizeof(line),
             "GET /kv/%s HTTP/1.1\r\nHost: a\r\nPrefer: wait=20\r\n"
             "If-None-Match: %.*s\r\n\r\n",
             key, (int)tag.size, tag.data);
    cr_assert(http_send_text(&client.http, line));
    http_open(&other, neighbours_port());
    snprintf(what, sizeof(what), "PUT /kv/%s", key);
    cr_assert(http_ask(&other, what, "", VIEW_LITERAL("2"), &put_answer));
    cr_assert(eq(uint, put_answer.status, 204));
    cr_assert(http_read(&client.http, HTTP_WITH_BODY, &client.answer));
    cr_assert(eq(uint, client.answer.status, 200));
    cr_assert(body_is("2"));
    http_answer_free(&put_answer);
    http_close(&other);
}

Test(cluster, a_change_is_waited_for_where_the_key_is_kept)
{
    expect_change_is_seen(neighbours_key(true, 0));
    cr_assert(header_is("Kist-Receipt", "n=3, r=2, answers=2"));
}

Test(cluster, elsewhere_nobody_waits)
{
    const char *key = neighbours_key(false, 0);

    cr_assert(
        eq(uint, ask("GET /kv/%s", key, "Prefer: wait=20\r\n", NULL), 404));
    cr_assert(http_header(&client.answer, "Preference-Applied").data == NULL);
}
