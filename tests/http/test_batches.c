/* POST /batch: many operations, each with its result, or all or nothing. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(batches, .init = scene_open, .fini = scene_close, .timeout = 60);

#define JSON   "Content-Type: application/json\r\n"
#define NDJSON "Content-Type: application/x-ndjson\r\n"

/* operations: what stands between the brackets. */
static void batch(const char *query, const char *operations)
{
    ask(text("POST /batch%s", query), JSON,
        text("{\"operations\":[%s]}", operations));
}

static json_t *result(size_t i)
{
    return json_array_get(json_object_get(document(), "results"), i);
}

static void expect_result(size_t i, int status)
{
    json_t *one = result(i);

    cr_expect(eq(int, (int)json_integer_value(json_object_get(one, "status")),
                 status),
              "result %zu of %.*s", i, (int)scene.answer.body.size,
              scene.answer.body.data);
}

static const char *result_text(size_t i, const char *name)
{
    const char *found = json_string_value(json_object_get(result(i), name));

    return found != NULL ? text("%s", found) : "";
}

/* The slug of the problem that operation i has. */
static const char *result_problem(size_t i)
{
    json_t *problem = json_object_get(result(i), "problem");
    const char *type = json_string_value(json_object_get(problem, "type"));
    const char *slug = type != NULL ? strrchr(type, ':') : NULL;

    return slug != NULL ? text("%s", slug + 1) : "";
}

Test(batches, each_operation_has_its_result_in_order)
{
    ask_for(201, "PUT /kv/e", "", "{\"x\":1}");
    ask_for(201, "PUT /kv/d", "", "1");
    batch("", "{\"op\":\"put\",\"key\":\"a\",\"value\":{\"n\": 1.50}},"
              "{\"op\":\"put\",\"key\":\"b\",\"base64\":\"AAEC/w==\","
              "\"media_type\":\"image/png\"},"
              "{\"op\":\"get\",\"key\":\"c\"},"
              "{\"op\":\"delete\",\"key\":\"d\"},"
              "{\"op\":\"patch\",\"key\":\"e\",\"merge\":{\"y\":2}},"
              "{\"op\":\"incr\",\"key\":\"f\",\"by\":5},"
              "{\"op\":\"get\",\"key\":\"a\"},"
              "{\"op\":\"delete\",\"key\":\"none\"}");
    expect_status(200);
    expect_header("Kist-Durable", "sync");
    expect_result(0, 201);
    cr_expect(eq(str, (char *)result_text(0, "key"), "a"));
    cr_expect(eq(sz, strlen(result_text(0, "version")), 32));
    expect_result(1, 201);
    expect_result(2, 404);
    cr_expect(eq(str, (char *)result_problem(2), "not-found"));
    expect_result(3, 204);
    expect_result(4, 204);
    expect_result(5, 200);
    expect_result(6, 200);
    expect_result(7, 404);
    cr_expect(memmem(scene.answer.body.data, scene.answer.body.size,
                     "{\"n\": 1.50}", 11) != NULL,
              "a get shows the value's own bytes: %.*s",
              (int)scene.answer.body.size, scene.answer.body.data);
    expect_value("/kv/a", "{\"n\": 1.50}");
    expect_value_bytes("/kv/b", VIEW_LITERAL("\0\1\2\xff"));
    expect_absent("/kv/d");
    expect_value("/kv/f", "5");
    expect_value("/kv/e?ptr=/y", "2");
    expect_open();
}

Test(batches, later_operations_see_earlier_ones)
{
    batch("", "{\"op\":\"put\",\"key\":\"a\",\"value\":1},"
              "{\"op\":\"incr\",\"key\":\"a\",\"by\":2},"
              "{\"op\":\"incr\",\"key\":\"a\",\"by\":4},"
              "{\"op\":\"get\",\"key\":\"a\"},"
              "{\"op\":\"delete\",\"key\":\"a\"},"
              "{\"op\":\"put\",\"key\":\"a\",\"value\":9,\"if_absent\":true}");
    expect_status(200);
    expect_result(3, 200);
    cr_expect(eq(
        int, (int)json_integer_value(json_object_get(result(3), "value")), 7));
    expect_result(4, 204);
    expect_result(5, 201);
    expect_value("/kv/a", "9");
}

Test(batches, lines_go_in_and_lines_come_out)
{
    ask("POST /batch", NDJSON,
        "{\"op\":\"put\",\"key\":\"a\",\"value\":[1]}\n"
        "{\"op\":\"get\",\"key\":\"none\"}\n"
        "{\"op\":\"put\",\"key\":\"b\",\"value\":\"x\"}");
    expect_status(200);
    expect_header("Content-Type", "application/x-ndjson");
    const char *line =
        text("%.*s", (int)scene.answer.body.size, scene.answer.body.data);
    static const int statuses[] = {201, 404, 201};
    for (size_t i = 0; i < 3; i++) {
        const char *end = strchr(line, '\n');
        cr_assert(ne(ptr, (void *)end, NULL));
        json_t *one = json_loadb(line, (size_t)(end - line), 0, NULL);
        cr_expect(eq(int,
                     (int)json_integer_value(json_object_get(one, "status")),
                     statuses[i]));
        json_decref(one);
        line = end + 1;
    }
    cr_expect(eq(str, (char *)line, ""));
    expect_value("/kv/a", "[1]");
    expect_value("/kv/b", "\"x\"");
}

Test(batches, conditions_hold_for_their_own_operation)
{
    ask_for(201, "PUT /kv/a", "", "1");
    const char *version = etag();
    batch("", text("{\"op\":\"put\",\"key\":\"a\",\"value\":2,"
                   "\"if_version\":\"%.32s\"},"
                   "{\"op\":\"put\",\"key\":\"a\",\"value\":3,"
                   "\"if_version\":\"%.32s\"},"
                   "{\"op\":\"put\",\"key\":\"a\",\"value\":4,"
                   "\"if_absent\":true},"
                   "{\"op\":\"put\",\"key\":\"b\",\"value\":5,"
                   "\"if_absent\":true}",
                   version + 1, version + 1));
    expect_status(200);
    expect_result(0, 204);
    expect_result(1, 412);
    cr_expect(eq(str, (char *)result_problem(1), "condition-failed"));
    expect_result(2, 412);
    expect_result(3, 201);
    expect_value("/kv/a", "2");
    expect_value("/kv/b", "5");
}

/* A common {tag}: with Redis, what is atomic lies in one slot. */

Test(batches, an_atomic_batch_is_applied_as_a_whole)
{
    batch("?atomic=1", "{\"op\":\"put\",\"key\":\"{t}a\",\"value\":1},"
                       "{\"op\":\"incr\",\"key\":\"{t}n\",\"by\":3}");
    expect_status(200);
    expect_result(0, 201);
    expect_value("/kv/%7Bt%7Da", "1");
    expect_value("/kv/%7Bt%7Dn", "3");
}

static void expect_failed_at(int index)
{
    json_t *failed = json_object_get(document(), "failed");

    cr_expect(failed != NULL, "no member failed: %.*s",
              (int)scene.answer.body.size, scene.answer.body.data);
    cr_expect(eq(int, (int)json_integer_value(failed), index));
}

Test(batches, an_atomic_batch_that_fails_applies_nothing)
{
    ask_for(201, "PUT /kv/%7Bt%7Da", "", "1");
    ask_for(201, "PUT /kv/%7Bt%7Ds", "", "\"text\"");
    batch("?atomic=1", "{\"op\":\"put\",\"key\":\"{t}b\",\"value\":1},"
                       "{\"op\":\"delete\",\"key\":\"{t}s\"},"
                       "{\"op\":\"put\",\"key\":\"{t}a\",\"value\":2,"
                       "\"if_absent\":true}");
    expect_problem(412, "condition-failed");
    expect_failed_at(2);
    expect_absent("/kv/%7Bt%7Db");
    expect_value("/kv/%7Bt%7Da", "1");
    expect_value("/kv/%7Bt%7Ds", "\"text\"");

    batch("?atomic=1", "{\"op\":\"put\",\"key\":\"{t}b\",\"value\":1},"
                       "{\"op\":\"incr\",\"key\":\"{t}s\"}");
    expect_problem(409, "wrong-type");
    expect_failed_at(1);
    expect_absent("/kv/%7Bt%7Db");
}

Test(batches, a_batch_that_is_none_is_refused_as_a_whole)
{
    static const char *const bodies[] = {
        "{}",
        "[]",
        "1",
        "{\"operations\":{}}",
        "{\"operations\":[1]}",
        "{\"operations\":[{\"op\":\"put\",\"key\":\"a\",\"value\":1},{}]}",
        "{\"operations\":[{\"op\":\"put\",\"key\":\"a\",\"value\":1},"
        "{\"op\":\"frob\",\"key\":\"a\"}]}",
        "{\"operations\":[{\"op\":\"put\",\"key\":\"a\",\"value\":1},"
        "{\"op\":\"put\",\"key\":\"b\"}]}",
        "{\"operations\":[{\"op\":\"put\",\"key\":\"a\",\"value\":1,"
        "\"tll\":5}]}",
        "{\"operations\":[{\"op\":\"put\",\"key\":\"a\",\"value\":1}],"
        "\"x\":1}",
        "{\"operations\":[{\"op\":\"put\",\"key\":\"a\",\"base64\":\"*\","
        "\"media_type\":\"image/png\"}]}",
    };

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ask("POST /batch", JSON, bodies[i]);
        cr_expect(scene.answer.status == 400 || scene.answer.status == 422,
                  "%s: %u", bodies[i], scene.answer.status);
    }
    ask("POST /batch", JSON, "{\"operations\":[");
    expect_problem(400, "invalid-json");
    ask("POST /batch", JSON, "");
    expect_problem(400, "empty-body");
    expect_nothing_stored();
    expect_open();
}

Test(batches, a_bad_key_or_life_fails_alone)
{
    batch("", "{\"op\":\"put\",\"key\":\"..\",\"value\":1},"
              "{\"op\":\"put\",\"key\":\"\",\"value\":1},"
              "{\"op\":\"put\",\"key\":\"ok\",\"value\":1}");
    if (scene.answer.status == 200) {
        expect_result(0, 400);
        cr_expect(eq(str, (char *)result_problem(0), "invalid-key"));
        expect_result(1, 400);
        expect_result(2, 201);
    } else {
        expect_problem(400, "invalid-key");
        expect_nothing_stored();
    }
}

Test(batches, a_batch_takes_expiries)
{
    batch("", "{\"op\":\"put\",\"key\":\"a\",\"value\":1,\"ttl\":100}");
    expect_result(0, 201);
    ASK("GET /kv/a");
    expect_some_header("Kist-Expires");
    batch("", "{\"op\":\"put\",\"key\":\"b\",\"value\":1,\"ttl\":0}");
    expect_absent("/kv/b");
}

static const char *puts_of(size_t count)
{
    struct blob body = BLOB_EMPTY;

    for (size_t i = 0; i < count; i++)
        blob_printf(&body,
                    "{\"op\":\"put\",\"key\":\"k%05zu\","
                    "\"value\":%zu}\n",
                    i, i);
    return text_of(&body);
}

Test(batches, ten_thousand_operations_fit_and_one_more_does_not)
{
    ask("POST /batch", NDJSON, puts_of(10001));
    cr_expect(scene.answer.status == 413 || scene.answer.status == 422 ||
                  scene.answer.status == 400,
              "%u", scene.answer.status);
    expect_named("10000");
    expect_nothing_stored();
    ask("POST /batch", NDJSON, puts_of(10000));
    expect_status(200);
    ASK("GET /kv?count=1");
    expect_body("{\"count\":10000}");
}

Test(batches, a_batch_is_durable_after_a_kill)
{
    ask("POST /batch", NDJSON, puts_of(1000));
    expect_status(200);
    http_close(&scene.http);
    kistd_kill(&scene.kistd);
    kistd_start(&scene.kistd, NULL);
    ASK("GET /kv?count=1");
    expect_body("{\"count\":1000}");
}

Test(batches, another_type_is_refused)
{
    ask("POST /batch", "Content-Type: text/plain\r\n", "{\"operations\":[]}");
    expect_problem(415, "media-type");
}

Test(batches, no_operations_have_no_results)
{
    batch("", "");
    expect_status(200);
    expect_body("{\"results\":[]}");
}

/* The patches of a batch are parsed at once, so together they have a limit. */
Test(batches, more_patches_than_a_value_may_be_long_are_named_as_such)
{
    const char *line =
        text("{\"op\":\"patch\",\"key\":\"a\",\"patch\":[{\"op\":\"add\","
             "\"path\":\"\",\"value\":\"%s\"}]}\n",
             many(600000, 'x'));

    ask("POST /batch", "Content-Type: application/x-ndjson\r\n",
        text("%s%s%s", line, line, line));
    expect_problem(413, "body-too-large");
    expect_named("1048576");
    expect_named("--max-json-bytes");
    expect_nothing_stored();
}
