/* Patches as edits, and the budget of a batch. */
#include "tests/api/trial.h"

#include "api/entity.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(edit_patches, .timeout = 10);

static void merge(struct trial *trial, const struct record *old,
                  const char *patch)
{
    *trial = trial_of(EDIT_MERGE_PATCH);
    trial->edit.body = view_of(patch);
    trial_run(trial, old);
}

static void patch(struct trial *trial, const struct record *old,
                  const char *operations)
{
    struct json_patch_fault fault;

    *trial = trial_of(EDIT_JSON_PATCH);
    cr_assert(json_patch_parse(view_of(operations), &trial->edit.patch,
                               &fault) == KIST_OK,
              "%s", fault.reason);
    trial_run(trial, old);
}

Test(edit_patches, a_merge_patch_changes_the_type_and_keeps_the_media_type)
{
    struct record old = trial_json("{\"a\": 1.0}");
    struct trial trial;

    merge(&trial, &old, "{\"b\":2}");
    trial_expect(&trial, "{\"a\":1.0,\"b\":2}", JSON_IS_OBJECT,
                 "application/json; a=b");
    cr_expect(eq(u64, trial.next.expiry_ms, 77));
    edit_clear(&trial.edit);
    merge(&trial, &old, "null");
    trial_expect(&trial, "null", JSON_IS_NULL, "application/json; a=b");
    edit_clear(&trial.edit);
}

Test(edit_patches, a_merge_patch_of_nothing_makes_a_value)
{
    struct trial trial;

    merge(&trial, NULL, "{\"a\":1,\"b\":null}");
    trial_expect(&trial, "{\"a\":1}", JSON_IS_OBJECT, JSON_MEDIA_TYPE);
    edit_clear(&trial.edit);
}

Test(edit_patches, a_json_patch_changes_a_value_and_needs_one)
{
    static const char add[] =
        "[{\"op\":\"add\",\"path\":\"\",\"value\":\"x\"}]";
    struct record old = trial_json("[1]");
    struct trial trial;

    patch(&trial, &old, add);
    trial_expect(&trial, "\"x\"", JSON_IS_STRING, "application/json; a=b");
    edit_clear(&trial.edit);
    patch(&trial, NULL, add);
    cr_expect(eq(int, trial.status, KIST_NOT_FOUND));
    edit_clear(&trial.edit);
}

Test(edit_patches, other_bytes_are_not_patched)
{
    struct record old = trial_bytes("{}");
    struct trial trial;

    merge(&trial, &old, "{}");
    trial_expect_refused(&trial, PROBLEM_WRONG_TYPE, "merge patch");
    edit_clear(&trial.edit);
    patch(&trial, &old, "[]");
    trial_expect_refused(&trial, PROBLEM_WRONG_TYPE, "JSON patch");
    edit_clear(&trial.edit);
}

#define STRING_OF_70                                                           \
    "\"012345678901234567890123456789012345678901234567890123456789"           \
    "01234567\""

static const struct refusal {
    const char *operations;
    enum problem problem;
    const char *detail;
} refusals[] = {
    {"[{\"op\":\"test\",\"path\":\"\",\"value\":1},"
     "{\"op\":\"test\",\"path\":\"\",\"value\":2}]",
     PROBLEM_PATCH_TEST_FAILED, "Operation 1 "},
    {"[{\"op\":\"remove\",\"path\":\"/a\"}]", PROBLEM_UNPROCESSABLE,
     "Operation 0 "},
    {"[{\"op\":\"add\",\"path\":\"\",\"value\":" STRING_OF_70 "}]",
     PROBLEM_BODY_TOO_LARGE, " "},
};

Test(edit_patches, a_json_patch_that_does_not_apply_says_why)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        struct record old = trial_json("1");
        struct trial trial;

        patch(&trial, &old, refusals[i].operations);
        trial_expect_refused(&trial, refusals[i].problem,
                             refusals[i].operations);
        cr_expect(strstr(trial.edit.detail, refusals[i].detail) != NULL, "%s",
                  trial.edit.detail);
        edit_clear(&trial.edit);
    }
}

Test(edit_patches, a_merge_patch_beyond_the_limit_names_it)
{
    struct trial trial;

    merge(&trial, NULL, STRING_OF_70);
    trial_expect_refused(&trial, PROBLEM_BODY_TOO_LARGE, "merge patch");
    cr_expect(strstr(trial.edit.detail, "64 bytes") != NULL);
    edit_clear(&trial.edit);
}
