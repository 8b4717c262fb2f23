/* One key: put, get, head, delete, and what the answers tell. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

TestSuite(values, .init = scene_open, .fini = scene_close, .timeout = 60);

Test(values, a_new_value_is_created_and_an_old_one_replaced)
{
    ask("PUT /kv/a", "", "{\"n\":1}");
    expect_status(201);
    const char *first = etag();
    cr_expect(eq(sz, scene.answer.body.size, 0));
    expect_header("Kist-Durable", "sync");

    ask("PUT /kv/a", "", "{\"n\":2}");
    expect_status(204);
    const char *second = etag();
    expect_header("Kist-Durable", "sync");
    cr_expect(strcmp(first, second) < 0, "versions grow");
    expect_value("/kv/a", "{\"n\":2}");
}

Test(values, a_value_comes_with_what_is_known_of_it)
{
    ask_for(201, "PUT /kv/a", "", "{\"n\":1}");
    const char *version = etag();

    ask("GET /kv/a", "", NULL);
    expect_status(200);
    expect_body("{\"n\":1}");
    expect_header("ETag", version);
    expect_header("Content-Type", "application/json");
    expect_header("Content-Length", "7");
    expect_header("Kist-Type", "object");
    expect_header("Cache-Control", "no-cache");
    expect_header("Accept-Ranges", "bytes");
    expect_some_header("Last-Modified");
    expect_no_header("Kist-Expires");
    etag();
}

/* The responses of small answers are used again for others. */
Test(values, values_of_one_size_are_not_mixed_up)
{
    ask_for(201, "PUT /kv/a", "", "\"a\"");
    const char *a = etag();
    ask_for(201, "PUT /kv/b", "", "\"b\"");
    const char *b = etag();

    for (int i = 0; i < 3; i++) {
        ask_for(200, "GET /kv/a", "Request-Id: one\r\n", NULL);
        expect_body("\"a\"");
        expect_header("ETag", a);
        expect_header("Request-Id", "one");
        ask_for(200, "GET /kv/b", "Request-Id: two\r\n", NULL);
        expect_body("\"b\"");
        expect_header("ETag", b);
        expect_header("Request-Id", "two");
        ask_for(304, "GET /kv/a", text("If-None-Match: %s\r\n", a), NULL);
        expect_header("ETag", a);
        ask_for(200, "HEAD /kv/b", "", NULL);
        expect_header("ETag", b);
        expect_header("Content-Length", "3");
    }
}

Test(values, last_modified_is_the_time_of_the_write)
{
    struct tm parts = {0};

    ask_for(201, "PUT /kv/a", "", "1");
    ask("GET /kv/a", "", NULL);
    struct view date = header("Last-Modified");
    cr_assert(eq(sz, date.size, 29));
    const char *end = strptime(text("%.*s", (int)date.size, date.data),
                               "%a, %d %b %Y %H:%M:%S GMT", &parts);
    cr_assert(ne(ptr, (void *)end, NULL));
    cr_expect(labs(timegm(&parts) - time(NULL)) < 10);
}

Test(values, an_absent_key_has_no_value)
{
    ask("GET /kv/a", "", NULL);
    expect_problem(404, "not-found");
    ask("HEAD /kv/a", "", NULL);
    expect_status(404);
    ask("DELETE /kv/a", "", NULL);
    expect_problem(404, "not-found");
    expect_open();
}

Test(values, a_deleted_value_is_gone)
{
    ask_for(201, "PUT /kv/a", "", "1");
    const char *first = etag();
    ask("DELETE /kv/a", "", NULL);
    expect_status(204);
    expect_header("Kist-Durable", "sync");
    expect_absent("/kv/a");
    ask("DELETE /kv/a", "", NULL);
    expect_problem(404, "not-found");
    ask("PUT /kv/a", "", "2");
    expect_status(201);
    cr_expect(strcmp(first, etag()) < 0, "versions grow over a delete");
}

Test(values, a_write_may_return_what_it_wrote)
{
    ask("PUT /kv/a", "Prefer: return=representation\r\n", "[1, 2]");
    expect_status(200);
    expect_body("[1, 2]");
    expect_header("Content-Type", "application/json");
    etag();
    ask("PUT /kv/a", "Prefer: return=minimal\r\n", "[1]");
    expect_status(204);
    ask("PATCH /kv/a",
        "Prefer: return=representation\r\n"
        "Content-Type: application/json-patch+json\r\n",
        "[{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]");
    expect_status(200);
    expect_body("[0,1]");
}

Test(values, a_write_may_choose_its_durability)
{
    needs_a_store();
    ask("PUT /kv/a?durability=async", "", "1");
    expect_status(201);
    expect_header("Kist-Durable", "async");
    expect_value("/kv/a", "1");
    ask("PUT /kv/a?durability=sync", "", "2");
    expect_status(204);
    expect_header("Kist-Durable", "sync");
    ask("DELETE /kv/a?durability=async", "", NULL);
    expect_status(204);
    expect_header("Kist-Durable", "async");
    ask("PUT /kv/a?durability=maybe", "", "1");
    expect_problem(400, "invalid-parameter");
    expect_absent("/kv/a");
}

Test(values, the_server_may_choose_async_and_a_write_sync)
{
    needs_a_store();
    static const char *const flags[] = {"--durability", "async", NULL};

    scene_open_with(flags);
    ask("PUT /kv/a", "", "1");
    expect_header("Kist-Durable", "async");
    ask("PUT /kv/a?durability=sync", "", "2");
    expect_header("Kist-Durable", "sync");
}

Test(values, a_part_of_a_document_is_read_by_pointer)
{
    ask_for(201, "PUT /kv/a", "",
            "{\"a\": [10, {\"b\": 1.50}], \"x/y\": \"s\", \"~\": null, "
            "\"\": true}");
    static const struct {
        const char *pointer, *part, *type;
    } parts[] = {
        {"/a/0", "10", "number"},     {"/a/1", "{\"b\": 1.50}", "object"},
        {"/a/1/b", "1.50", "number"}, {"/x~1y", "\"s\"", "string"},
        {"/~0", "null", "null"},      {"/", "true", "boolean"},
        {"%2Fa%2F0", "10", "number"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ask(text("GET /kv/a?ptr=%s", parts[i].pointer), "", NULL);
        expect_status(200);
        expect_body(parts[i].part);
        expect_header("Kist-Type", parts[i].type);
        expect_header("Content-Type", "application/json");
    }
    ask("GET /kv/a?ptr=", "", NULL);
    expect_status(200);
    ask("HEAD /kv/a?ptr=/a/0", "", NULL);
    expect_status(200);
    expect_header("Content-Length", "2");
}

Test(values, a_pointer_to_nothing_finds_nothing)
{
    static const char *const nowhere[] = {"/b",    "/a/2",  "/a/-", "/a/0/x",
                                          "/a/00", "/a/01", "/A"};
    static const char *const no_pointers[] = {"a", "a/0", "/~2", "/~"};

    ask_for(201, "PUT /kv/a", "", "{\"a\":[1,2]}");
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        ask(text("GET /kv/a?ptr=%s", nowhere[i]), "", NULL);
        expect_problem(404, "no-such-part");
    }
    for (size_t i = 0; i < sizeof no_pointers / sizeof *no_pointers; i++) {
        ask(text("GET /kv/a?ptr=%s", no_pointers[i]), "", NULL);
        expect_problem(400, "invalid-parameter");
    }
    ask("GET /kv/none?ptr=/a", "", NULL);
    expect_problem(404, "not-found");
    ask_for(201, "PUT /kv/text", "Content-Type: text/plain\r\n", "x");
    ask("GET /kv/text?ptr=/a", "", NULL);
    cr_expect(scene.answer.status == 409 || scene.answer.status == 422);
}

#define ENTRY "Accept: application/vnd.kist.entry+json\r\n"

static const char *member(const json_t *object, const char *name)
{
    const char *found = json_string_value(json_object_get(object, name));

    return found != NULL ? found : "";
}

Test(values, an_entry_is_the_value_with_what_is_known_of_it)
{
    ask_for(201, "PUT /kv/a?ttl=100", "", "{\"n\": 1.50}");
    const char *version = etag();

    ask("GET /kv/a", ENTRY, NULL);
    expect_status(200);
    expect_header("Content-Type", "application/vnd.kist.entry+json");
    expect_header("ETag", version);
    json_t *entry = document();
    cr_expect(eq(str, (char *)member(entry, "key"), "a"));
    cr_expect(eq(str, (char *)member(entry, "type"), "object"));
    cr_expect(eq(str, (char *)member(entry, "media_type"), "application/json"));
    cr_expect(strncmp(member(entry, "version"), version + 1, 32) == 0);
    cr_expect(
        eq(int, (int)json_integer_value(json_object_get(entry, "size")), 11));
    cr_expect(eq(sz, strlen(member(entry, "expires")), 24));
    /* The value's own bytes, not what a library makes of them. */
    cr_expect(memmem(scene.answer.body.data, scene.answer.body.size,
                     "{\"n\": 1.50}", 11) != NULL);
}

Test(values, an_entry_of_other_bytes_has_them_in_base64)
{
    ask_bytes("PUT /kv/a", "Content-Type: image/png\r\n",
              VIEW_LITERAL("\0\1\2\xff"));
    ask("GET /kv/a", ENTRY, NULL);
    json_t *entry = document();
    cr_expect(eq(str, (char *)member(entry, "base64"), "AAEC/w=="));
    cr_expect(eq(str, (char *)member(entry, "media_type"), "image/png"));
    cr_expect(json_object_get(entry, "value") == NULL);
    cr_expect(json_object_get(entry, "type") == NULL);
}

Test(values, no_bytes_are_a_value_if_the_type_says_so)
{
    ask_for(201, "PUT /kv/a", "Content-Type: text/plain\r\n", "");
    ASK("GET /kv/a");
    expect_status(200);
    expect_body("");
}

Test(values, a_request_id_is_given_back_or_drawn)
{
    ask("GET /kv/a", "Request-Id: abc-123\r\n", NULL);
    expect_header("Request-Id", "abc-123");
    ask("GET /kv/a", "", NULL);
    expect_some_header("Request-Id");
}

Test(values, a_value_survives_a_restart)
{
    ask_for(201, "PUT /kv/a", "", "{\"n\":1}");
    const char *version = etag();
    ask_for(201, "PUT /kv/b", "Content-Type: text/x\r\n", "b");
    ask_for(201, "PUT /kv/c", "", "1");
    ask_for(204, "DELETE /kv/c", "", NULL);
    http_close(&scene.http);
    cr_assert(eq(int, kistd_stop(&scene.kistd), 0));
    kistd_start(&scene.kistd, NULL);
    ask("GET /kv/a", "", NULL);
    expect_body("{\"n\":1}");
    expect_header("ETag", version);
    expect_value("/kv/b", "b");
    expect_absent("/kv/c");
}

Test(values, a_second_kistd_is_kept_out_of_the_directory)
{
    needs_a_store();
    struct kistd second = scene.kistd;
    int status = 0;

    ask_for(201, "PUT /kv/a", "", "1");
    second.starts = 100; /* A log of its own. */
    cr_assert(not(kistd_try_start(&second, NULL, &status)));
    struct blob log = kistd_log(&second);
    cr_expect(gt(sz, log.size, 0));
    blob_free(&log);
    cr_expect(ne(int, status, 0));
    expect_value("/kv/a", "1");
}
