/* A batch's body as a whole: its two formats, and where it is wrong. */
#include "api/batch_read.h"

#include "service/settings.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

TestSuite(batch_read, .timeout = 10);

static const struct settings settings = {.max_json_bytes = 100,
                                         .max_value_bytes = 100,
                                         .ttl_max_ms = 100000,
                                         .batch_operations = 40};

#define A "{\"op\":\"get\",\"key\":\"a\"}"
#define B "{\"op\":\"get\",\"key\":\"b\"}"

struct body {
    enum batch_format format;
    const char *text;
    enum kist_status status;
    size_t count;  /* Of operations, if it is right. */
    size_t offset; /* Where it is wrong. */
};

static const struct body bodies[] = {
    {BATCH_JSON, "{\"operations\":[]}", KIST_OK, 0, 0},
    {BATCH_JSON, "{\"operations\":[" A "," B "]}", KIST_OK, 2, 0},
    {BATCH_JSON, " {\n\"\\u006fperations\" : [ " A "\r\n, " B " ] } ", KIST_OK,
     2, 0},
    {BATCH_JSON, "", KIST_INVALID, 0, 0},
    {BATCH_JSON, "[]", KIST_INVALID, 0, 0},
    {BATCH_JSON, "[" A "]", KIST_INVALID, 0, 0},
    {BATCH_JSON, "{}", KIST_INVALID, 0, 0},
    {BATCH_JSON, "null", KIST_INVALID, 0, 0},
    {BATCH_JSON, "{\"operations\":{}}", KIST_INVALID, 0, 0},
    {BATCH_JSON, "{\"operations\":[" A "],\"atomic\":true}", KIST_INVALID, 0,
     0},
    {BATCH_JSON, "{\"atomic\":true,\"operations\":[" A "]}", KIST_INVALID, 0,
     0},
    {BATCH_JSON, "{\"Operations\":[]}", KIST_INVALID, 0, 0},
    {BATCH_JSON, "{\"operations\":[" A "]", KIST_INVALID, 0, 38},
    {BATCH_JSON, "{\"operations\":[" A ",]}", KIST_INVALID, 0, 38},
    {BATCH_JSON, "{\"operations\":[" A ", 1]}", KIST_INVALID, 0, 39},
    {BATCH_JSON, "{\"operations\":[" A ",\n\n{}]}", KIST_INVALID, 0, 40},
    {BATCH_JSON, A "\n" B, KIST_INVALID, 0, 23},

    {BATCH_NDJSON, "", KIST_OK, 0, 0},
    {BATCH_NDJSON, "\n\r\n \t\n", KIST_OK, 0, 0},
    {BATCH_NDJSON, A, KIST_OK, 1, 0},
    {BATCH_NDJSON, A "\n", KIST_OK, 1, 0},
    {BATCH_NDJSON, A "\r\n" B "\r\n", KIST_OK, 2, 0},
    {BATCH_NDJSON, "\n\n  " A "\t\n\n" B "\n\n", KIST_OK, 2, 0},
    {BATCH_NDJSON, A " " B, KIST_INVALID, 0, 23},
    {BATCH_NDJSON, A "," B, KIST_INVALID, 0, 22},
    {BATCH_NDJSON, A "\n{\n", KIST_INVALID, 0, 24},
    {BATCH_NDJSON, A "\n\n[]\n", KIST_INVALID, 0, 24},
    {BATCH_NDJSON, A "\n  {}", KIST_INVALID, 0, 25},
    {BATCH_NDJSON, "{\"operations\":[" A "]}", KIST_INVALID, 0, 0},
    {BATCH_NDJSON, "{\"op\":\n\"get\",\"key\":\"a\"}", KIST_INVALID, 0, 6},
};

Test(batch_read, each_body_gives_its_operations_or_the_place_of_the_fault)
{
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
        const struct body *body = &bodies[i];
        struct batch_operations operations = {0};
        struct batch_fault fault = {0, NULL};

        cr_expect(eq(int,
                     batch_read(view_of(body->text), body->format, &settings,
                                &operations, &fault),
                     body->status),
                  "`%s`", body->text);
        if (body->status == KIST_OK)
            cr_expect(eq(sz, operations.count, body->count), "`%s`",
                      body->text);
        else
            cr_expect(fault.reason != NULL && fault.reason[0] != '\0', "`%s`",
                      body->text);
        cr_expect(eq(sz, fault.offset, body->offset), "`%s`: %s", body->text,
                  fault.reason);
        batch_operations_clear(&operations);
        cr_expect(operations.list == NULL);
    }
}

Test(batch_read, the_operations_keep_their_order_while_the_list_grows)
{
    struct batch_operations operations = {0};
    struct blob body = BLOB_EMPTY;
    struct batch_fault fault;

    for (int i = 0; i < 40; i++)
        blob_printf(&body, "{\"op\":\"get\",\"key\":\"\\u006b%d\"}\n", i);
    cr_assert(batch_read(blob_view(&body), BATCH_NDJSON, &settings, &operations,
                         &fault) == KIST_OK);
    cr_assert(eq(sz, operations.count, 40));
    for (size_t i = 0; i < 40; i++) {
        char key[8];

        snprintf(key, sizeof(key), "k%zu", i);
        cr_expect(view_is(operations.list[i].key, key), "%zu", i);
    }
    batch_operations_clear(&operations);

    blob_append_text(&body, A);
    cr_expect(batch_read(blob_view(&body), BATCH_NDJSON, &settings, &operations,
                         &fault) == KIST_TOO_LARGE);
    batch_operations_clear(&operations);
    blob_free(&body);
}

Test(batch_read, an_operation_that_has_a_shape_is_refused_alone)
{
    struct batch_operations operations = {0};
    struct batch_fault fault;

    cr_assert(batch_read(VIEW_LITERAL("{\"op\":\"get\",\"key\":\"\"}\n" A),
                         BATCH_NDJSON, &settings, &operations,
                         &fault) == KIST_OK);
    cr_expect(operations.list[0].refused);
    cr_expect(not(operations.list[1].refused));
    batch_operations_clear(&operations);
}
