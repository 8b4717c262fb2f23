/*
 * A document, a NUL, a JSON Patch: the result is JSON of a bounded size, and
 * a plain version over jansson agrees. Where a test fails it has no say: it
 * compares numbers as doubles.
 */
#include "api/json_check.h"
#include "api/json_patch.h"
#include "tests/api/json_reference.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

enum { LIMIT = 1 << 14 };

static bool is_json(struct view text)
{
    struct json_fault fault;
    enum json_type type;

    return json_check(text, &fault, &type) == KIST_OK;
}

static void expect_reference(struct view document, struct view patch,
                             enum kist_status status, struct view result)
{
    json_t *old = json_reference_load(document);
    json_t *changes = json_reference_load(patch);

    /* The reference takes paths as C strings. */
    bool has_nul = memmem(patch.data, patch.size, "\\u0000", 6) != NULL;
    if (old != NULL && changes != NULL && !has_nul) {
        json_t *made = json_reference_load(result);

        old = json_reference_patch(old, changes);
        assert((old != NULL) == (status == KIST_OK));
        assert(old == NULL || json_equal(old, made));
        json_decref(made);
    }
    json_decref(old);
    json_decref(changes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view text = {(const char *)data, size};
    struct view document = fuzz_cut(&text);
    struct json_patch_fault fault = {0};
    struct json_patch *patch;
    struct blob out = BLOB_EMPTY;

    enum kist_status status = json_patch_parse(text, &patch, &fault);
    if (status != KIST_OK) {
        assert(status == KIST_INVALID || status == KIST_TOO_LARGE);
        assert(fault.reason != NULL && fault.offset <= text.size);
        return 0;
    }
    if (is_json(document)) {
        status = json_patch_apply(patch, document, LIMIT, &out, &fault);
        assert((status == KIST_OK) == (out.size > 0) && out.size <= LIMIT);
        assert(status == KIST_OK ? is_json(blob_view(&out))
                                 : fault.reason != NULL);
        if (status == KIST_OK || status == KIST_NOT_FOUND)
            expect_reference(document, text, status, blob_view(&out));
    }
    json_patch_free(patch);
    blob_free(&out);
    return 0;
}
