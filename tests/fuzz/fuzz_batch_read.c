/*
 * The first byte says which format, the rest is a batch's body: it is refused
 * with a place and a reason, or each of its operations can be prepared and
 * its result written as JSON.
 */
#include "api/batch_read.h"

#include "api/json_check.h"
#include "api/target.h"
#include "service/settings.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static const struct settings settings = {.max_json_bytes = 1000,
                                         .max_value_bytes = 1000,
                                         .ttl_max_ms = UINT64_C(1) << 40,
                                         .batch_operations = 100};

static void expect_json(struct view text)
{
    struct json_fault fault;
    enum json_type type;

    assert(json_check(text, &fault, &type) == KIST_OK);
}

/* As if the commit ran it on current. */
static void run(struct batch_operation *operation, const struct record *current)
{
    struct blob out = BLOB_EMPTY;
    struct write write;
    struct record next = current != NULL ? *current : (struct record){0};

    batch_operation_prepare(operation, &write);
    if (!operation->refused)
        assert(target_check_key(write.key) == TARGET_FINE);
    assert(write.next.media_type.size <= RECORD_MEDIA_TYPE_MAX);
    if (write.edit == NULL)
        next = write.next;
    else
        write.status = write.edit(&write, current, &next);
    if (write.status == KIST_OK && next.type != JSON_NONE && !next.tombstone)
        expect_json(next.value);
    batch_operation_append_result(operation, &write, &out);
    assert(!out.failed);
    expect_json(blob_view(&out));
    blob_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct record current = {
        .version = {1, 2},
        .type = JSON_IS_OBJECT,
        .media_type = VIEW_LITERAL("application/json"),
        .value = VIEW_LITERAL("{\"a\":[1,\n2]}"),
    };
    struct view body = {(const char *)data, size};
    struct batch_operations operations = {0};
    struct batch_fault fault = {SIZE_MAX, NULL};

    if (size == 0)
        return 0;
    enum batch_format format = data[0] % 2 == 0 ? BATCH_JSON : BATCH_NDJSON;

    body = view_from(body, 1);
    enum kist_status status =
        batch_read(body, format, &settings, &operations, &fault);

    assert(operations.count <= settings.batch_operations);
    if (status == KIST_INVALID)
        assert(fault.offset <= body.size && fault.reason[0] != '\0');
    else
        assert(status == KIST_OK || status == KIST_TOO_LARGE);
    for (size_t i = 0; status == KIST_OK && i < operations.count; i++)
        run(&operations.list[i], i % 2 == 0 ? &current : NULL);
    batch_operations_clear(&operations);
    return 0;
}
