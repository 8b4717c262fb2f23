/* GET /kv: order, borders, pages, folders, NDJSON; and DELETE /kv. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

static void open_with_keys(void)
{
    static const char *const keys[] = {"a",  "a/1", "a/2",    "a/b/1", "a/b/2",
                                       "ab", "b",   "%C3%A9", "c%20d"};

    scene_open();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ask_for(201, text("PUT /kv/%s?durability=async", keys[i]), "",
                text("%zu", i));
}

TestSuite(listings, .init = open_with_keys, .fini = scene_close,
          .timeout = 120);

/* The keys of a page, each followed by a blank. */
static const char *keys_of(const json_t *page, const char *member)
{
    struct blob keys = BLOB_EMPTY;
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(page, member), i, one)
    {
        const char *key = json_is_string(one)
                              ? json_string_value(one)
                              : json_string_value(json_object_get(one, "key"));

        blob_printf(&keys, "%s ", key != NULL ? key : "(none)");
    }
    return text_of(&keys);
}

static void expect_keys(const char *query, const char *keys)
{
    ASK(text("GET /kv?%s", query));
    expect_status(200);
    const char *found = keys_of(document(), "items");
    cr_expect(eq(str, (char *)found, (char *)keys), "%s", query);
}

Test(listings, everything_is_there_in_the_order_of_its_bytes)
{
    expect_keys("", "a a/1 a/2 a/b/1 a/b/2 ab b c d é ");
    expect_header("Content-Type", "application/json");
    cr_expect(json_object_get(scene.document, "next") == NULL);
    expect_no_header("Link");
    ASK("GET /kv");
    expect_status(200);
    cr_expect(eq(sz, json_array_size(json_object_get(document(), "items")), 9));
}

Test(listings, an_item_says_what_is_known_of_it)
{
    ask_for(201, "PUT /kv/a/1/x?ttl=100", "", "{\"n\": 1.50}");
    const char *version = etag();

    ASK("GET /kv?prefix=a/1/x");
    json_t *item = json_array_get(json_object_get(document(), "items"), 0);
    const char *key, *found_version, *type, *media_type, *expires;
    json_int_t size;
    cr_assert(
        eq(int,
           json_unpack(item, "{s:s,s:s,s:s,s:s,s:I,s:s}", "key", &key,
                       "version", &found_version, "type", &type, "media_type",
                       &media_type, "size", &size, "expires", &expires),
           0));
    cr_expect(eq(str, (char *)key, "a/1/x"));
    cr_expect(strncmp(found_version, version + 1, 32) == 0);
    cr_expect(eq(str, (char *)type, "object"));
    cr_expect(eq(str, (char *)media_type, "application/json"));
    cr_expect(eq(int, (int)size, 11));
    cr_expect(eq(sz, strlen(expires), 24));
    cr_expect(json_object_get(item, "value") == NULL);

    ASK("GET /kv?prefix=a/1/x&values=1");
    cr_expect(memmem(scene.answer.body.data, scene.answer.body.size,
                     "{\"n\": 1.50}", 11) != NULL,
              "the value's own bytes");
}

Test(listings, values_of_other_types_are_in_base64)
{
    ask_bytes("PUT /kv/x", "Content-Type: image/png\r\n",
              VIEW_LITERAL("\0\1\2\xff"));
    ASK("GET /kv?prefix=x&values=1");
    json_t *item = json_array_get(json_object_get(document(), "items"), 0);
    cr_expect(eq(str,
                 (char *)json_string_value(json_object_get(item, "base64")),
                 "AAEC/w=="));
}

Test(listings, a_prefix_gives_what_begins_with_it)
{
    expect_keys("prefix=a/", "a/1 a/2 a/b/1 a/b/2 ");
    expect_keys("prefix=a%2Fb", "a/b/1 a/b/2 ");
    expect_keys("prefix=zzz", "");
    expect_keys("prefix=", "a a/1 a/2 a/b/1 a/b/2 ab b c d é ");
}

Test(listings, a_range_has_its_start_and_not_its_end)
{
    expect_keys("start=a/2&end=b", "a/2 a/b/1 a/b/2 ab ");
    expect_keys("start=ab", "ab b c d é ");
    expect_keys("end=a/1", "a ");
    expect_keys("start=b&end=a", "");
    expect_keys("prefix=a/&start=a/2&end=a/b/2", "a/2 a/b/1 ");
    expect_keys("prefix=a/&start=0", "a/1 a/2 a/b/1 a/b/2 ");
}

Test(listings, reverse_begins_at_the_end)
{
    expect_keys("reverse=1", "é c d b ab a/b/2 a/b/1 a/2 a/1 a ");
    expect_keys("prefix=a/&reverse=1", "a/b/2 a/b/1 a/2 a/1 ");
    expect_keys("reverse=1&limit=2", "é c d ");
}

static void expect_pages(const char *query, const char *keys)
{
    struct blob all = BLOB_EMPTY;
    const char *cursor = "";
    int pages = 0;

    do {
        ASK(text("GET /kv?%s%s", query, cursor));
        cr_assert(eq(uint, scene.answer.status, 200));
        json_t *page = document();
        blob_append_text(&all, keys_of(page, "prefixes"));
        blob_append_text(&all, keys_of(page, "items"));
        json_t *next = json_object_get(page, "next");
        cursor =
            next != NULL ? text("&cursor=%s", json_string_value(next)) : NULL;
        cr_expect(eq(int, header("Link").data != NULL, next != NULL));
    } while (cursor != NULL && ++pages < 50);
    const char *found = text_of(&all);
    cr_expect(eq(str, (char *)found, (char *)keys), "%s", query);
}

Test(listings, pages_make_a_whole)
{
    for (int limit = 1; limit <= 10; limit++) {
        expect_pages(text("limit=%d", limit),
                     "a a/1 a/2 a/b/1 a/b/2 ab b c d é ");
        expect_pages(text("prefix=a/&limit=%d", limit), "a/1 a/2 a/b/1 a/b/2 ");
        expect_pages(text("reverse=1&limit=%d", limit),
                     "é c d b ab a/b/2 a/b/1 a/2 a/1 a ");
    }
}

Test(listings, the_link_leads_to_the_next_page)
{
    ASK("GET /kv?limit=2&prefix=a/");
    struct view link = header("Link");
    cr_assert(link.size > 2 && link.data[0] == '<');
    cr_expect(memmem(link.data, link.size, "rel=\"next\"", 10) != NULL ||
              memmem(link.data, link.size, "rel=next", 8) != NULL);
    const char *end = memchr(link.data, '>', link.size);
    cr_assert(end != NULL);
    ASK(text("GET %.*s", (int)(end - link.data - 1), link.data + 1));
    expect_status(200);
    cr_expect(eq(str, (char *)keys_of(document(), "items"), "a/b/1 a/b/2 "));
}

Test(listings, a_delimiter_folds_what_is_below_it)
{
    ASK("GET /kv?delimiter=/");
    json_t *page = document();
    cr_expect(eq(str, (char *)keys_of(page, "items"), "a ab b c d é "));
    cr_expect(eq(str, (char *)keys_of(page, "prefixes"), "a/ "));
    ASK("GET /kv?prefix=a/&delimiter=/");
    page = document();
    cr_expect(eq(str, (char *)keys_of(page, "items"), "a/1 a/2 "));
    cr_expect(eq(str, (char *)keys_of(page, "prefixes"), "a/b/ "));
}

Test(listings, folders_come_once_over_all_pages)
{
    for (int i = 0; i < 30; i++)
        ask_for(201, text("PUT /kv/f/%d/%d?durability=async", i % 3, i), "",
                "1");
    expect_pages("prefix=f/&delimiter=/&limit=1", "f/0/ f/1/ f/2/ ");
    expect_pages("prefix=f/&delimiter=/&limit=2", "f/0/ f/1/ f/2/ ");
}

Test(listings, count_counts)
{
    ASK("GET /kv?count=1");
    expect_status(200);
    expect_body("{\"count\":9}");
    ASK("GET /kv?count=1&prefix=a/");
    expect_body("{\"count\":4}");
    ASK("GET /kv?count=1&start=b&end=c");
    expect_body("{\"count\":1}");
}

Test(listings, parameters_out_of_range_are_refused)
{
    static const char *const queries[] = {
        "limit=0",     "limit=-1",   "limit=x",    "limit=",
        "limit=10001", "limit=1.5",  "cursor=xx",  "cursor=",
        "reverse=2",   "values=yes", "count=x",    "prefix=%ff",
        "start=a%00",  "delimiter=", "cursor=%00", "end=%zz"};

    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        ASK(text("GET /kv?%s", queries[i]));
        cr_expect(eq(uint, scene.answer.status, 400), "%s", queries[i]);
    }
    expect_open();
}

#define NDJSON "Accept: application/x-ndjson\r\n"

Test(listings, ndjson_has_one_item_a_line)
{
    ask("GET /kv?values=1", NDJSON, NULL);
    expect_status(200);
    expect_header("Content-Type", "application/x-ndjson");
    struct blob lines = scene.answer.body;
    int count = 0;
    const char *before = "";

    for (char *line = lines.data; line < lines.data + lines.size; count++) {
        char *end =
            memchr(line, '\n', (size_t)(lines.data + lines.size - line));
        cr_assert(end != NULL, "the last line has an end");
        json_t *item = json_loadb(line, (size_t)(end - line), 0, NULL);
        cr_assert(item != NULL, "%.*s", (int)(end - line), line);
        const char *key =
            text("%s", json_string_value(json_object_get(item, "key")));
        cr_expect(strcmp(before, key) < 0);
        cr_expect(json_object_get(item, "value") != NULL);
        json_decref(item);
        before = key;
        line = end + 1;
    }
    cr_expect(eq(int, count, 9));
    expect_open();
}

Test(listings, ndjson_of_nothing_is_empty)
{
    ask("GET /kv?prefix=zzz", NDJSON, NULL);
    expect_status(200);
    expect_body("");
}

Test(listings, a_listing_of_another_type_is_refused)
{
    ask("GET /kv", "Accept: text/html\r\n", NULL);
    expect_problem(406, "not-acceptable");
    ask("GET /kv", "Accept: text/html, application/json;q=0.5\r\n", NULL);
    expect_status(200);
    ask("GET /kv", "Accept: */*\r\n", NULL);
    expect_status(200);
}

Test(listings, a_wrong_accept_of_many_is_no_harm)
{
    ask("GET /kv", text("Accept: %s\r\n", many(4000, ',')), NULL);
    cr_expect(scene.answer.status == 200 || scene.answer.status == 406 ||
              scene.answer.status == 400);
}

Test(listings, many_deletes_need_their_number)
{
    ASK("DELETE /kv?prefix=a/");
    expect_problem(428, "confirm-required");
    cr_expect(eq(
        int, (int)json_integer_value(json_object_get(document(), "count")), 4));
    ASK("DELETE /kv?prefix=a/&dry_run=1");
    expect_status(200);
    expect_body("{\"count\":4}");
    ASK("DELETE /kv?prefix=a/&confirm=3");
    expect_problem(409, "count-changed");
    expect_value("/kv/a/1", "1");
    ASK("DELETE /kv?prefix=a/&confirm=4");
    expect_status(200);
    expect_body("{\"deleted\":4}");
    expect_keys("", "a ab b c d é ");
    ASK("DELETE /kv?prefix=a/&confirm=0");
    expect_status(200);
    expect_body("{\"deleted\":0}");
}

Test(listings, a_delete_of_everything_names_its_prefix)
{
    ASK("DELETE /kv");
    cr_expect(scene.answer.status == 428 || scene.answer.status == 400);
    ASK("DELETE /kv?confirm=9");
    cr_expect(scene.answer.status == 200 || scene.answer.status == 400);
    ASK("DELETE /kv?prefix=a/&confirm=x");
    expect_problem(400, "invalid-parameter");
    ASK("DELETE /kv?prefix=a/&confirm=-1");
    expect_problem(400, "invalid-parameter");
}

Test(listings, a_long_delete_is_whole_after_a_kill)
{
    for (int batch = 0; batch < 5; batch++) {
        struct blob body = BLOB_EMPTY;

        blob_append_text(&body, "{\"operations\":[");
        for (int i = 0; i < 1000; i++)
            blob_printf(&body,
                        "%s{\"op\":\"put\",\"key\":\"n/%d-%d\","
                        "\"value\":%d}",
                        i == 0 ? "" : ",", batch, i, i);
        blob_append_text(&body, "]}");
        ask_bytes("POST /batch", "Content-Type: application/json\r\n",
                  blob_view(&body));
        expect_status(200);
        blob_free(&body);
    }
    ASK("DELETE /kv?prefix=n/&confirm=5000");
    expect_status(200);
    expect_body("{\"deleted\":5000}");
    http_close(&scene.http);
    kistd_kill(&scene.kistd);
    kistd_start(&scene.kistd, NULL);
    ASK("GET /kv?count=1");
    expect_body("{\"count\":9}");
}
