/* What a client sees of a cluster: listings, and deletions of many. */
#include "tests/api/cluster_client.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(cluster_listings, .init = client_open, .fini = client_close,
          .timeout = 30);

static void put_many(unsigned count)
{
    char key[16], value[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "k/%c/%02u", 'a' + i % 3, i);
        snprintf(value, sizeof(value), "%u", i);
        cr_assert(eq(uint, put(key, value), 201));
    }
}

Test(cluster_listings, a_page_has_the_keys_of_all_nodes_in_order)
{
    put_many(12);
    cr_assert(eq(uint, ask("GET /kv?prefix=k/a&values=1", "", "", NULL), 200));
    cr_assert(header_is("Kist-Receipt", "n=3, r=2, answers=2"));
    const char *first = strstr(body_text(), "\"key\":\"k/a/00\"");
    const char *second = strstr(body_text(), "\"key\":\"k/a/03\"");
    const char *third = strstr(body_text(), "\"key\":\"k/a/06\"");

    cr_assert(first != NULL && second > first && third > second);
    cr_assert(body_has("\"value\":9"));
    cr_assert(not(body_has("k/b")));
    cr_assert(eq(uint, ask("GET /kv?count=1", "", "", NULL), 200));
    cr_assert(body_is("{\"count\":12}"));
    cr_assert(
        eq(uint, ask("GET /kv?prefix=k/&delimiter=/", "", "", NULL), 200));
    cr_assert(
        body_is("{\"items\":[],\"prefixes\":[\"k/a/\",\"k/b/\",\"k/c/\"]}"));
    cr_assert(eq(uint, ask("GET /kv?reverse=1&limit=1", "", "", NULL), 200));
    cr_assert(body_has("k/c/11"));
    cr_assert(body_has("\"next\""));
}

Test(cluster_listings, sizes_are_told_without_values)
{
    cr_assert(eq(uint, put("a", "[1, 2, 3]"), 201));
    cr_assert(eq(uint, ask("GET /kv", "", "", NULL), 200));
    cr_assert(body_has("\"type\":\"array\""));
    cr_assert(body_has("\"size\":9"));
    cr_assert(not(body_has("\"value\"")));
}

Test(cluster_listings, page_after_page_every_key_comes_once)
{
    char what[128] = "GET /kv?limit=5";
    unsigned seen = 0, pages = 0;

    put_many(12);
    for (; what[0] != '\0'; pages++) {
        const char *at, *next;

        cr_assert(eq(uint, ask(what, "", "", NULL), 200));
        for (at = body_text(); (at = strstr(at, "\"key\"")) != NULL; at++)
            seen++;
        next = strstr(body_text(), "\"next\":\"");
        what[0] = '\0';
        if (next != NULL)
            snprintf(what, sizeof(what), "GET /kv?limit=5&cursor=%.*s",
                     (int)strcspn(next + 8, "\""), next + 8);
    }
    cr_assert(eq(uint, seen, 12));
    cr_assert(eq(uint, pages, 3));
}

Test(cluster_listings, an_export_streams_all_keys)
{
    unsigned lines = 0;

    put_many(30);
    cr_assert(eq(
        uint,
        ask("GET /kv?values=1", "", "Accept: application/x-ndjson\r\n", NULL),
        200));
    for (const char *at = body_text(); (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    cr_assert(eq(uint, lines, 30));
    cr_assert(eq(uint,
                 ask("HEAD /kv", "", "Accept: application/x-ndjson\r\n", NULL),
                 200));
}

Test(cluster_listings, a_deleted_key_is_not_listed_though_one_node_still_has_it)
{
    const char *key = neighbours_key(true, 0);

    cr_assert(eq(uint, ask("PUT /kv/%s?w=3", key, "", "1"), 201));
    neighbours_set_others(MOOD_DEAF);
    cr_assert(eq(uint, ask("DELETE /kv/%s?w=1", key, "", NULL), 204));
    neighbours_set_others(MOOD_WELL);
    cr_assert(eq(uint, ask("GET /kv?count=1&r=all", "", "", NULL), 200));
    cr_assert(body_is("{\"count\":0}"));
}

Test(cluster_listings, with_too_few_nodes_nothing_is_listed)
{
    cr_assert(eq(uint, put("a", "1"), 201));
    neighbours_set(1, MOOD_DOWN);
    neighbours_set(2, MOOD_DOWN);
    expect_problem("GET /kv", "", "", NULL, 503, "too-few-copies");
    expect_problem("GET /kv", "", "Accept: application/x-ndjson\r\n", NULL, 503,
                   "too-few-copies");
    expect_problem("GET /kv?count=1", "", "", NULL, 503, "too-few-copies");
    cr_assert(eq(uint, ask("GET /kv?count=1&r=1", "", "", NULL), 200));
}

Test(cluster_listings, keys_with_a_prefix_are_deleted_everywhere)
{
    put_many(12);
    expect_problem("DELETE /kv?prefix=k/a", "", "", NULL, 428,
                   "confirm-required");
    cr_assert(body_has("\"count\":4"));
    cr_assert(
        eq(uint, ask("DELETE /kv?prefix=k/a&confirm=4", "", "", NULL), 200));
    cr_assert(body_is("{\"deleted\":4}"));
    cr_assert(eq(uint, get("k/a/00"), 404));
    cr_assert(eq(uint, get("k/b/01"), 200));
    cr_assert(eq(uint, ask("GET /kv?count=1", "", "", NULL), 200));
    cr_assert(body_is("{\"count\":8}"));
}

Test(cluster_listings, more_keys_than_a_group_are_deleted)
{
    struct blob body = BLOB_EMPTY;

    for (unsigned i = 0; i < 250; i++)
        blob_printf(&body, "{\"op\":\"put\",\"key\":\"k%u\",\"value\":1}\n", i);
    blob_append_byte(&body, '\0');
    cr_assert(eq(uint,
                 ask("POST /batch", "",
                     "Content-Type: application/x-ndjson\r\n", body.data),
                 200));
    blob_free(&body);
    cr_assert(
        eq(uint, ask("DELETE /kv?prefix=k&confirm=250", "", "", NULL), 200));
    cr_assert(body_is("{\"deleted\":250}"));
    cr_assert(eq(uint, ask("GET /kv?count=1", "", "", NULL), 200));
    cr_assert(body_is("{\"count\":0}"));
}
