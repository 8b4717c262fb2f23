/* One operation of a batch: what each op takes, and what is wrong with it. */
#include "api/batch_operation.h"

#include "api/entity.h"
#include "api/json_check.h"
#include "service/settings.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(batch_operation, .timeout = 10);

#define NOW     UINT64_C(1000000)
#define VERSION "00000000000000010000000000000002"

static const struct settings settings = {
    .max_json_bytes = 40, .max_value_bytes = 12, .ttl_max_ms = 100000};

static struct batch_operation read_it(const char *json)
{
    struct batch_operation operation;
    struct json_fault fault;
    enum json_type type;

    cr_assert(json_check(view_of(json), &fault, &type) == KIST_OK, "%s", json);
    cr_assert(batch_operation_read(&operation, view_of(json), &settings, NOW) ==
                  KIST_OK,
              "%s", json);
    return operation;
}

/* Every member, alone beside op and key, with each op. */

static const char *const ops[] = {"put", "get", "delete", "patch", "incr"};

enum { PUT = 1, GET = 2, DELETE = 4, PATCH = 8, INCR = 16 };

static const struct {
    const char *members;
    unsigned taken; /* By which ops. */
} members[] = {
    {"", GET | DELETE | INCR},
    {",\"value\":1", PUT},
    {",\"value\":null", PUT},
    {",\"base64\":\"AA==\"", PUT},
    {",\"base64\":\"AA==\",\"media_type\":\"a/b\"", PUT},
    {",\"base64\":\"AA==\",\"value\":1", 0},
    {",\"media_type\":\"a/b\"", 0},
    {",\"media_type\":\"a/b\",\"value\":1", 0},
    {",\"ttl\":5", INCR},
    {",\"ttl\":5,\"value\":1", PUT},
    {",\"if_version\":\"" VERSION "\"", DELETE | INCR},
    {",\"if_version\":\"" VERSION "\",\"value\":1", PUT},
    {",\"if_version\":\"" VERSION "\",\"merge\":1", PATCH},
    {",\"if_absent\":true", INCR},
    {",\"if_absent\":false", INCR},
    {",\"if_absent\":true,\"value\":1", PUT},
    {",\"if_absent\":true,\"merge\":1", 0},
    {",\"if_absent\":true,\"if_version\":\"" VERSION "\"", 0},
    {",\"if_absent\":false,\"if_version\":\"" VERSION "\"", INCR},
    {",\"merge\":{}", PATCH},
    {",\"merge\":null", PATCH},
    {",\"patch\":[]", PATCH},
    {",\"patch\":[],\"merge\":{}", 0},
    {",\"by\":5", INCR},
    {",\"by\":5,\"ttl\":5,\"if_absent\":true", INCR},
    {",\"by\":5,\"value\":1", 0},
    {",\"new\":1", 0},
};

Test(batch_operation, each_op_takes_its_members_and_no_others)
{
    for (size_t m = 0; m < sizeof(members) / sizeof(*members); m++) {
        for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
            struct blob json = BLOB_EMPTY;

            blob_printf(&json, "{\"op\":\"%s\",\"key\":\"a\"%s}", ops[i],
                        members[m].members);
            blob_append_byte(&json, '\0');
            struct batch_operation operation = read_it(json.data);
            bool taken = (members[m].taken & 1u << i) != 0;

            cr_expect(eq(int, operation.refused, !taken), "%s: %s", json.data,
                      operation.refused ? operation.detail : "taken");
            if (!taken)
                cr_expect(eq(int, operation.problem, PROBLEM_INVALID_JSON),
                          "%s", json.data);
            batch_operation_clear(&operation);
            blob_free(&json);
        }
    }
}

static const struct {
    const char *json;
    enum problem problem;
} refusals[] = {
    /* No operation at all. */
    {"1", PROBLEM_INVALID_JSON},
    {"[]", PROBLEM_INVALID_JSON},
    {"{}", PROBLEM_INVALID_JSON},
    {"{\"key\":\"a\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"get\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":1,\"key\":\"a\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"GET\",\"key\":\"a\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"get\",\"Key\":\"a\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"get\",\"key\":null}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"get\",\"key\":[\"a\"]}", PROBLEM_INVALID_JSON},
    /* Keys, by the rules of all keys. */
    {"{\"op\":\"get\",\"key\":\"\"}", PROBLEM_INVALID_KEY},
    {"{\"op\":\"get\",\"key\":\"a\\u0000b\"}", PROBLEM_INVALID_KEY},
    {"{\"op\":\"get\",\"key\":\"\\n\"}", PROBLEM_INVALID_KEY},
    {"{\"op\":\"get\",\"key\":\"a/../b\"}", PROBLEM_INVALID_KEY},
    {"{\"op\":\"get\",\"key\":\"\\u002e\"}", PROBLEM_INVALID_KEY},
    /* Members of another form. */
    {"{\"op\":\"put\",\"key\":\"a\",\"value\":1,\"if_version\":1}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"value\":1,\"if_version\":\"x\"}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"value\":1,\"if_absent\":1}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"value\":1,\"if_absent\":null}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"base64\":1}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"base64\":\"AA\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"base64\":\"\",\"media_type\":1}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"base64\":\"\",\"media_type\":\"a\"}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":\"a\",\"base64\":\"\","
     "\"media_type\":\"application/json\"}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"incr\",\"key\":\"a\",\"by\":1.5}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"incr\",\"key\":\"a\",\"by\":\"1\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"incr\",\"key\":\"a\",\"by\":9223372036854775808}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"patch\",\"key\":\"a\",\"patch\":{}}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"patch\",\"key\":\"a\",\"patch\":[{\"op\":\"add\"}]}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"incr\",\"key\":\"a\",\"ttl\":0}", PROBLEM_INVALID_PARAMETER},
    {"{\"op\":\"incr\",\"key\":\"a\",\"ttl\":-1}", PROBLEM_INVALID_PARAMETER},
    {"{\"op\":\"incr\",\"key\":\"a\",\"ttl\":1.0}", PROBLEM_INVALID_PARAMETER},
    {"{\"op\":\"incr\",\"key\":\"a\",\"ttl\":101}", PROBLEM_INVALID_PARAMETER},
    {"{\"op\":\"incr\",\"key\":\"a\",\"ttl\":18446744073709551616}",
     PROBLEM_INVALID_PARAMETER},
    {"{\"op\":\"incr\",\"key\":\"a\",\"ttl\":\"5\"}",
     PROBLEM_INVALID_PARAMETER},
    /* Sizes. */
    {"{\"op\":\"put\",\"key\":\"a\",\"value\":"
     "\"0123456789012345678901234567890123456789\"}",
     PROBLEM_BODY_TOO_LARGE},
    {"{\"op\":\"put\",\"key\":\"a\",\"base64\":\"MDEyMzQ1Njc4OTAxMg==\"}",
     PROBLEM_BODY_TOO_LARGE},
    /* What has no shape is refused for that, whatever else is wrong. */
    {"{\"op\":\"incr\",\"key\":5,\"ttl\":0}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"incr\",\"key\":\"\",\"by\":\"x\"}", PROBLEM_INVALID_JSON},
    {"{\"op\":\"incr\",\"key\":\"a\",\"if_absent\":1,\"ttl\":0}",
     PROBLEM_INVALID_JSON},
    {"{\"op\":\"put\",\"key\":5,\"value\":"
     "\"0123456789012345678901234567890123456789\"}",
     PROBLEM_INVALID_JSON},
};

Test(batch_operation, what_is_wrong_becomes_a_refusal)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        struct batch_operation operation = read_it(refusals[i].json);

        cr_expect(operation.refused, "%s", refusals[i].json);
        cr_expect(eq(int, operation.problem, refusals[i].problem), "%s: %s",
                  refusals[i].json, operation.detail);
        batch_operation_clear(&operation);
    }
}

static void expect_key(const char *json, struct view key)
{
    struct batch_operation operation = read_it(json);

    cr_expect(not(operation.refused), "%s", json);
    cr_expect(view_equal(operation.key, key), "%s", json);
    batch_operation_clear(&operation);
}

Test(batch_operation, escapes_in_keys_and_names_mean_what_they_stand_for)
{
    expect_key("{\"op\":\"get\",\"key\":\"plain \xc3\xa9\"}",
               VIEW_LITERAL("plain \xc3\xa9"));
    expect_key("{\"op\":\"get\",\"key\":\"\\u0061\\/\\\"\\\\\"}",
               VIEW_LITERAL("a/\"\\"));
    expect_key("{\"op\":\"get\",\"key\":\"\\ud83d\\ude00\"}",
               VIEW_LITERAL("\xf0\x9f\x98\x80"));
    expect_key("{\"\\u006fp\":\"g\\u0065t\",\"k\\u0065y\":\"%41+\"}",
               VIEW_LITERAL("%41+"));
}

Test(batch_operation, a_key_has_at_most_1024_bytes_however_it_is_spelled)
{
    struct blob json = BLOB_EMPTY;

    blob_append_text(&json, "{\"op\":\"get\",\"key\":\"");
    for (int i = 0; i < 1024; i++)
        blob_append_text(&json, "\\u0061");
    size_t end = json.size;
    blob_append(&json, VIEW_LITERAL("\"}\0"));
    struct batch_operation operation = read_it(json.data);

    cr_expect(not(operation.refused));
    cr_expect(eq(sz, operation.key.size, 1024));
    batch_operation_clear(&operation);

    json.size = end;
    blob_append(&json, VIEW_LITERAL("b\"}\0"));
    operation = read_it(json.data);
    cr_expect(operation.refused);
    cr_expect(eq(int, operation.problem, PROBLEM_KEY_TOO_LONG));
    batch_operation_clear(&operation);
    blob_free(&json);
}

static void expect_put(const char *rest, const char *value, enum json_type type,
                       const char *media_type)
{
    struct blob json = BLOB_EMPTY;
    struct write write;

    blob_printf(&json, "{\"op\":\"put\",\"key\":\"\\u0061\",%s}", rest);
    blob_append_byte(&json, '\0');
    struct batch_operation operation = read_it(json.data);

    batch_operation_prepare(&operation, &write);
    cr_expect(not(operation.refused), "%s: %s", rest, operation.detail);
    cr_expect(view_is(write.key, "a"));
    cr_expect(view_is(write.next.value, value), "%s", rest);
    cr_expect(eq(int, write.next.type, type), "%s", rest);
    cr_expect(view_is(write.next.media_type, media_type), "%s", rest);
    cr_expect(not(write.next.tombstone));
    cr_expect(write.edit == NULL);
    batch_operation_clear(&operation);
    blob_free(&json);
}

Test(batch_operation, a_put_carries_json_as_spelled_or_bytes)
{
    expect_put("\"value\" : [ 1.0 ] ", "[ 1.0 ]", JSON_IS_ARRAY,
               JSON_MEDIA_TYPE);
    expect_put("\"value\":\"\\u0061\"", "\"\\u0061\"", JSON_IS_STRING,
               JSON_MEDIA_TYPE);
    expect_put("\"base64\":\"\"", "", JSON_NONE, "application/octet-stream");
    expect_put("\"base64\":\"/+8=\"", "\xff\xef", JSON_NONE,
               "application/octet-stream");
    expect_put("\"base64\":\"AQ==\",\"media_type\":\"Image/PNG\"", "\x01",
               JSON_NONE, "Image/PNG");
}

/* Some writers of JSON spell every slash as \/. */
Test(batch_operation, escapes_in_base64_and_media_types_are_decoded)
{
    expect_put("\"base64\":\"\\/+8\\u003d\"", "\xff\xef", JSON_NONE,
               "application/octet-stream");
    expect_put("\"base64\":\"\\/+8=\",\"media_type\":\"image\\/png\"",
               "\xff\xef", JSON_NONE, "image/png");
    expect_put("\"media_type\":\"a/b; c=\\\"d\\\"\",\"base64\":\"AQ==\"",
               "\x01", JSON_NONE, "a/b; c=\"d\"");
}

static struct write prepared(const char *json,
                             struct batch_operation *operation)
{
    struct write write;

    *operation = read_it(json);
    batch_operation_prepare(operation, &write);
    return write;
}

Test(batch_operation, conditions_and_expiry_reach_the_write)
{
    struct batch_operation operation;
    struct write write = prepared(
        "{\"op\":\"delete\",\"key\":\"a\",\"if_version\":\"" VERSION "\"}",
        &operation);

    cr_expect(write.next.tombstone);
    cr_expect(write.edit == NULL);
    cr_expect(eq(int, write.condition.kind, CONDITION_ANY_OF));
    cr_expect(eq(sz, write.condition.count, 1));
    cr_expect(
        version_equal(write.condition.versions[0], (struct version){1, 2}));
    batch_operation_clear(&operation);

    write = prepared("{\"op\":\"put\",\"key\":\"a\",\"value\":1,"
                     "\"if_absent\":true,\"ttl\":100}",
                     &operation);
    cr_expect(eq(int, write.condition.kind, CONDITION_ABSENT));
    cr_expect(eq(u64, write.next.expiry_ms, NOW + 100000));
    batch_operation_clear(&operation);
}

Test(batch_operation, an_increment_is_by_one_if_not_told)
{
    struct batch_operation operation;
    struct write write =
        prepared("{\"op\":\"incr\",\"key\":\"a\"}", &operation);

    cr_expect(write.edit == edit_apply);
    cr_expect(eq(i64, operation.edit.by, 1));
    batch_operation_clear(&operation);
    prepared("{\"op\":\"incr\",\"key\":\"a\",\"by\":-9223372036854775808}",
             &operation);
    cr_expect(eq(i64, operation.edit.by, INT64_MIN));
    batch_operation_clear(&operation);
}

Test(batch_operation, only_gets_and_refused_ones_are_reads)
{
    struct batch_operation operation;

    prepared("{\"op\":\"get\",\"key\":\"a\"}", &operation);
    cr_expect(batch_operation_is_read(&operation));
    batch_operation_clear(&operation);
    prepared("{\"op\":\"incr\",\"key\":\"a\"}", &operation);
    cr_expect(not(batch_operation_is_read(&operation)));
    batch_operation_clear(&operation);

    struct write write =
        prepared("{\"op\":\"delete\",\"key\":\".\"}", &operation);
    struct record next = {0};

    cr_expect(batch_operation_is_read(&operation));
    cr_assert(write.edit != NULL);
    cr_expect(eq(int, write.edit(&write, NULL, &next), KIST_INVALID));
    batch_operation_clear(&operation);
}
