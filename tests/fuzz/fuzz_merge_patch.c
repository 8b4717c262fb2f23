/*
 * A target, a NUL, a merge patch: the result is JSON, merging again changes
 * nothing, and a plain version over jansson agrees.
 */
#include "api/json_check.h"
#include "api/json_merge_patch.h"
#include "tests/api/json_reference.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static bool is_json(struct view text)
{
    struct json_fault fault;
    enum json_type type;

    return json_check(text, &fault, &type) == KIST_OK;
}

static void expect_reference(struct view target, struct view patch,
                             struct view result)
{
    json_t *old = json_reference_load(target);
    json_t *changes = json_reference_load(patch);
    json_t *made = json_reference_load(result);

    if ((old != NULL || target.size == 0) && changes != NULL) {
        old = json_reference_merge(old, changes);
        assert(json_equal(old, made));
    }
    json_decref(old);
    json_decref(changes);
    json_decref(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view patch = {(const char *)data, size};
    struct view target = fuzz_cut(&patch);
    struct blob once = BLOB_EMPTY, twice = BLOB_EMPTY;

    if (!is_json(patch) || (target.size > 0 && !is_json(target)))
        return 0;
    enum kist_status status = json_merge_patch(target, patch, SIZE_MAX, &once);
    assert(status == KIST_OK && is_json(blob_view(&once)));
    expect_reference(target, patch, blob_view(&once));

    status = json_merge_patch(blob_view(&once), patch, once.size, &twice);
    assert(status == KIST_OK);
    assert(view_equal(blob_view(&once), blob_view(&twice)));
    blob_free(&once);
    blob_free(&twice);
    return 0;
}
