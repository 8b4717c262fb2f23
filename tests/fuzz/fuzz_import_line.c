/*
 * The first byte says which mode, the rest is one line of an import: it is
 * refused with a reason, or makes a record that is exported to a line from
 * which the same record comes.
 */
#include "api/export_line.h"
#include "api/import_line.h"
#include "api/json_check.h"
#include "api/target.h"
#include "service/settings.h"
#include "storage/merge.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static const struct settings settings = {.max_json_bytes = 1000,
                                         .max_value_bytes = 2000};

/* Any version that fits is believed. */
static const uint64_t now_ms = UINT64_C(1) << 48;

static void expect_json(const struct record *record)
{
    struct json_fault fault;
    enum json_type type;

    assert(json_check(record->value, &fault, &type) == KIST_OK);
    assert(type == record->type);
}

static void expect_same_again(const struct batch_operation *operation)
{
    struct blob text = BLOB_EMPTY;
    struct import_line again;

    export_line_record(operation->key, &operation->put, &text);
    assert(!text.failed && text.data[text.size - 1] == '\n');
    text.size--;
    assert(import_line_read(&again, blob_view(&text), IMPORT_MERGE, &settings,
                            now_ms) == KIST_OK);
    assert(again.kind == IMPORT_RECORD && !again.operation.refused);
    assert(view_equal(again.operation.key, operation->key));
    assert(merge_compare(&again.operation.put, &operation->put) == 0);
    batch_operation_clear(&again.operation);
    blob_free(&text);
}

static void expect_record(const struct batch_operation *operation)
{
    const struct record *put = &operation->put;

    assert(target_check_key(operation->key) == TARGET_FINE);
    assert(put->media_type.size <= RECORD_MEDIA_TYPE_MAX);
    if (put->type != JSON_NONE)
        expect_json(put);
    /* Times beyond the year 9999 have no spelling. */
    if (!version_is_none(put->version) &&
        put->created_ms < UINT64_C(253402300800000))
        expect_same_again(operation);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view text = {(const char *)data, size};
    struct import_line line;

    if (size == 0)
        return 0;
    text = view_from(text, 1);
    assert(import_line_read(&line, text,
                            data[0] % 2 == 0 ? IMPORT_MERGE : IMPORT_OVERWRITE,
                            &settings, now_ms) == KIST_OK);
    if (line.operation.refused)
        assert(line.operation.detail[0] != '\0');
    else if (line.kind == IMPORT_RECORD)
        expect_record(&line.operation);
    batch_operation_clear(&line.operation);
    return 0;
}
