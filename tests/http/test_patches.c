/* PATCH through HTTP; the RFCs' own examples are with the unit tests. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(patches, .init = scene_open, .fini = scene_close, .timeout = 60);

#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define PATCH "Content-Type: application/json-patch+json\r\n"

static void put(const char *value)
{
    ask("PUT /kv/a", "", value);
    cr_assert(scene.answer.status == 201 || scene.answer.status == 204);
}

static void expect_document(const char *expected)
{
    ASK("GET /kv/a");
    json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    cr_expect(json_equal(document(), wanted), "%.*s is not %s",
              (int)scene.answer.body.size, scene.answer.body.data, expected);
    json_decref(wanted);
}

Test(patches, a_merge_patch_is_merged)
{
    put("{\"a\":1,\"b\":{\"c\":2,\"d\":3}}");
    const char *before = etag();
    ask("PATCH /kv/a", MERGE, "{\"a\":null,\"b\":{\"c\":5},\"e\":[1]}");
    expect_status(204);
    cr_expect(strcmp(before, etag()) < 0);
    expect_header("Kist-Durable", "sync");
    expect_document("{\"b\":{\"c\":5,\"d\":3},\"e\":[1]}");
}

Test(patches, a_json_patch_is_applied_as_a_whole_or_not)
{
    put("{\"a\":1}");
    ask("PATCH /kv/a", PATCH,
        "[{\"op\":\"add\",\"path\":\"/b\",\"value\":2},"
        "{\"op\":\"remove\",\"path\":\"/a\"}]");
    expect_status(204);
    expect_document("{\"b\":2}");

    ask("PATCH /kv/a", PATCH,
        "[{\"op\":\"remove\",\"path\":\"/b\"},"
        "{\"op\":\"remove\",\"path\":\"/nothing\"}]");
    cr_expect(scene.answer.status == 409 || scene.answer.status == 422, "%u",
              scene.answer.status);
    expect_document("{\"b\":2}");
}

Test(patches, a_test_that_fails_is_a_conflict)
{
    put("{\"a\":1}");
    ask("PATCH /kv/a", PATCH,
        "[{\"op\":\"remove\",\"path\":\"/a\"},"
        "{\"op\":\"test\",\"path\":\"\",\"value\":{\"a\":1}}]");
    expect_problem(409, "patch-test-failed");
    expect_document("{\"a\":1}");
}

Test(patches, numbers_beside_the_patch_keep_their_digits)
{
    put("{\"n\":1.50,\"big\":123456789012345678901234567890,\"a\":1}");
    ask("PATCH /kv/a", MERGE, "{\"a\":2}");
    expect_status(204);
    ASK("GET /kv/a?ptr=/n");
    expect_body("1.50");
    ASK("GET /kv/a?ptr=/big");
    expect_body("123456789012345678901234567890");
}

Test(patches, a_merge_patch_makes_an_absent_key_and_a_json_patch_does_not)
{
    ask("PATCH /kv/a", PATCH, "[]");
    expect_problem(404, "not-found");
    ask("PATCH /kv/a", PATCH, "[{\"op\":\"add\",\"path\":\"\",\"value\":1}]");
    expect_problem(404, "not-found");
    expect_nothing_stored();
    ask("PATCH /kv/a", MERGE, "{\"a\":1,\"b\":null}");
    expect_status(201);
    expect_document("{\"a\":1}");
}

Test(patches, a_value_that_is_no_json_cannot_be_patched)
{
    ask_for(201, "PUT /kv/a", "Content-Type: text/plain\r\n", "{}");
    ask("PATCH /kv/a", MERGE, "{\"a\":1}");
    expect_problem(409, "wrong-type");
    expect_value("/kv/a", "{}");
}

Test(patches, a_patch_of_another_type_is_refused)
{
    put("{}");
    ask("PATCH /kv/a", "Content-Type: application/json\r\n", "{\"a\":1}");
    expect_problem(415, "media-type");
    ask("PATCH /kv/a", "", "{\"a\":1}");
    expect_problem(415, "media-type");
    ask("PATCH /kv/a", "Content-Type: text/plain\r\n", "{\"a\":1}");
    expect_problem(415, "media-type");
    expect_value("/kv/a", "{}");
}

Test(patches, a_patch_that_is_no_json_is_refused)
{
    static const char *const bodies[] = {"{", "{\"a\":1,}", "\"\xff\"",
                                         "{\"a\":1,\"a\":2}"};

    put("{}");
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ask("PATCH /kv/a", MERGE, bodies[i]);
        expect_problem(400, "invalid-json");
    }
    ask("PATCH /kv/a", MERGE, "");
    expect_problem(400, "empty-body");
    expect_value("/kv/a", "{}");
}

Test(patches, a_json_patch_of_a_wrong_shape_is_refused)
{
    static const char *const bodies[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"op\":\"add\"}]",
        "[{\"op\":\"frob\",\"path\":\"/a\"}]",
        "[{\"op\":\"add\",\"path\":\"/a\"}]",
        "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]",
        "[{\"op\":\"move\",\"path\":\"/a\"}]",
        "[{\"op\":1,\"path\":\"/a\",\"value\":1}]"};

    put("{}");
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ask("PATCH /kv/a", PATCH, bodies[i]);
        cr_expect(scene.answer.status == 400 || scene.answer.status == 422,
                  "%s: %u", bodies[i], scene.answer.status);
    }
    expect_value("/kv/a", "{}");
    expect_open();
}

Test(patches, a_result_past_the_limits_is_refused)
{
    const char *half = text("{\"a\":\"%s\"}", many(600 * 1024, 'a'));

    put(half);
    ask("PATCH /kv/a", MERGE, text("{\"b\":\"%s\"}", many(600 * 1024, 'b')));
    expect_status(413);
    expect_value("/kv/a", half);
}

Test(patches, copies_cannot_grow_a_document_without_bound)
{
    struct blob patch = BLOB_EMPTY;

    put(text("{\"a\":[\"%s\"]}", many(1000, 'a')));
    blob_append_text(&patch, "[");
    for (int i = 0; i < 40; i++)
        blob_printf(&patch,
                    "%s{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}",
                    i == 0 ? "" : ",");
    blob_append_text(&patch, "]");
    ask_bytes("PATCH /kv/a", PATCH, blob_view(&patch));
    blob_free(&patch);
    cr_expect(scene.answer.status == 413 || scene.answer.status == 422 ||
                  scene.answer.status == 400,
              "%u", scene.answer.status);
    expect_well();
}

Test(patches, an_expiry_survives_a_patch)
{
    ask_for(201, "PUT /kv/a?ttl=100", "", "{}");
    ask("PATCH /kv/a", MERGE, "{\"a\":1}");
    expect_status(204);
    ASK("GET /kv/a");
    expect_some_header("Kist-Expires");
}
