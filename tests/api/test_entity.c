/* Records as items of listings and batches. */
#include "api/entity.h"

#include "api/json_check.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(entity, .timeout = 10);

/* 2026-01-31T09:15:02.123Z */
#define MS UINT64_C(1769850902123)

static struct record record_of(const char *value)
{
    return (struct record){
        .version = {MS << 16 | 7, 2},
        .created_ms = 1000,
        .type = JSON_IS_OBJECT,
        .media_type = VIEW_LITERAL("application/json"),
        .value = view_of(value),
    };
}

#define VERSION "019c1355966b00070000000000000002"

static void expect_item(struct view key, const struct record *record,
                        enum entity_value value, const char *item)
{
    struct blob out = BLOB_EMPTY;
    struct json_fault fault;
    enum json_type type;
    char hex[VERSION_HEX_SIZE + 1];

    version_to_hex(record->version, hex);
    entity_append_item(&out, key, record, value);
    cr_expect(json_check(blob_view(&out), &fault, &type) == KIST_OK, "%.*s",
              (int)out.size, out.data);
    cr_expect(memchr(out.data, '\n', out.size) == NULL);
    cr_expect(view_is(blob_view(&out), item), "%.*s (%s)", (int)out.size,
              out.data, hex);
    blob_free(&out);
}

Test(entity, an_item_tells_all_about_a_record)
{
    struct record record = record_of("{}");

    record.expiry_ms = 2000;
    expect_item(VIEW_LITERAL("a"), &record, ENTITY_WITHOUT_VALUE,
                "{\"key\":\"a\",\"version\":\"" VERSION
                "\",\"type\":\"object\",\"media_type\":\"application/json\","
                "\"size\":2,\"created\":\"1970-01-01T00:00:01.000Z\","
                "\"modified\":\"2026-01-31T09:15:02.123Z\","
                "\"expires\":\"1970-01-01T00:00:02.000Z\"}");
}

#define BEFORE(type, media_type, size)                                         \
    "{\"key\":\"a\",\"version\":\"" VERSION "\"," type                         \
    "\"media_type\":\"" media_type "\",\"size\":" size                         \
    ",\"created\":\"1970-01-01T00:00:01.000Z\","                               \
    "\"modified\":\"2026-01-31T09:15:02.123Z\","

Test(entity, json_of_many_lines_stands_on_one)
{
    struct record record = record_of("{\r\n\t\"a\" :\n1.0, \"\\n\":2\r}\n");

    expect_item(VIEW_LITERAL("a"), &record, ENTITY_WITH_VALUE,
                BEFORE("\"type\":\"object\",", "application/json",
                       "24") "\"value\":{  \t\"a\" : 1.0, \"\\n\":2 } }");
}

Test(entity, other_bytes_are_base64)
{
    struct record record = record_of("\xff\n\"");

    record.type = JSON_NONE;
    record.media_type = VIEW_LITERAL("a/b; c=\"d\"");
    expect_item(VIEW_LITERAL("a"), &record, ENTITY_WITH_VALUE,
                BEFORE("", "a/b; c=\\\"d\\\"", "3") "\"base64\":\"/woi\"}");
    record.value = (struct view){NULL, 0};
    expect_item(VIEW_LITERAL("a"), &record, ENTITY_WITH_VALUE,
                BEFORE("", "a/b; c=\\\"d\\\"", "0") "\"base64\":\"\"}");
}

Test(entity, a_key_is_escaped_and_what_was_there_stays)
{
    struct record record = record_of("{}");
    struct blob out = BLOB_EMPTY;

    blob_append_text(&out, "a\nb");
    entity_append_item(&out, VIEW_LITERAL("\"\\\xc3\xa9"), &record,
                       ENTITY_WITH_VALUE);
    cr_expect(view_starts_with(
        blob_view(&out), VIEW_LITERAL("a\nb{\"key\":\"\\\"\\\\\xc3\xa9\",")));
    blob_free(&out);
}
