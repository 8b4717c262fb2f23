/* What each kind of edit makes of a value, as the commit thread calls it. */
#include "tests/api/trial.h"

#include "api/entity.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

TestSuite(edit, .timeout = 10);

/* Reading and taking. */

Test(edit, a_read_copies_the_value_and_changes_nothing)
{
    struct trial trial = trial_of(EDIT_READ);
    struct record old = trial_bytes("red");

    trial_run(&trial, &old);
    trial_expect_kept(&trial, &old);
    cr_expect(trial.write.unchanged);
    edit_clear(&trial.edit);
}

Test(edit, a_read_of_nothing_succeeds_and_has_seen_no_version)
{
    struct trial trial = trial_of(EDIT_READ);

    trial_run(&trial, NULL);
    cr_expect(eq(int, trial.status, KIST_OK));
    cr_expect(trial.write.unchanged);
    cr_expect(version_is_none(trial.edit.seen.version));
}

Test(edit, a_take_copies_the_value_and_leaves_a_tombstone)
{
    struct trial trial = trial_of(EDIT_TAKE);
    struct record old = trial_json("[1]");

    trial_run(&trial, &old);
    trial_expect_kept(&trial, &old);
    cr_expect(trial.next.tombstone);
    cr_expect(eq(sz, trial.next.value.size, 0));
    cr_expect(eq(u64, trial.next.expiry_ms, 0));
    cr_expect(not(trial.write.unchanged));
    edit_clear(&trial.edit);

    trial = trial_of(EDIT_TAKE);
    trial_run(&trial, NULL);
    cr_expect(eq(int, trial.status, KIST_NOT_FOUND));
}

Test(edit, the_longest_media_type_is_copied_whole)
{
    char media_type[RECORD_MEDIA_TYPE_MAX];
    struct trial trial = trial_of(EDIT_READ);
    struct record old = trial_bytes("x");

    memset(media_type, 'a', sizeof(media_type));
    old.media_type = (struct view){media_type, sizeof(media_type)};
    trial_run(&trial, &old);
    trial_expect_kept(&trial, &old);
    edit_clear(&trial.edit);
}

/* Counters. */

static const struct sum {
    const char *number; /* NULL: absent. */
    int64_t by;
    const char *result; /* NULL: refused. */
    enum problem problem;
} sums[] = {
    {NULL, 5, "5", 0},
    {NULL, INT64_MIN, "-9223372036854775808", 0},
    {"41", 1, "42", 0},
    {" \n41 ", -42, "-1", 0},
    {"-0", 0, "0", 0},
    {"9223372036854775806", 1, "9223372036854775807", 0},
    {"-9223372036854775807", -1, "-9223372036854775808", 0},
    {"-9223372036854775808", INT64_MAX, "-1", 0},
    {"9223372036854775807", INT64_MIN, "-1", 0},
    {"9223372036854775807", 1, NULL, PROBLEM_UNPROCESSABLE},
    {"-9223372036854775808", -1, NULL, PROBLEM_UNPROCESSABLE},
    {"9223372036854775807", INT64_MAX, NULL, PROBLEM_UNPROCESSABLE},
    {"9223372036854775808", -1, NULL, PROBLEM_WRONG_TYPE},
    {"1.0", 1, NULL, PROBLEM_WRONG_TYPE},
    {"1e3", 1, NULL, PROBLEM_WRONG_TYPE},
    {"\"1\"", 1, NULL, PROBLEM_WRONG_TYPE},
    {"null", 1, NULL, PROBLEM_WRONG_TYPE},
    {"true", 1, NULL, PROBLEM_WRONG_TYPE},
    {"[1]", 1, NULL, PROBLEM_WRONG_TYPE},
    {"{}", 1, NULL, PROBLEM_WRONG_TYPE},
};

static void expect_sum(const struct sum *sum)
{
    struct trial trial = trial_of(EDIT_INCREMENT);
    struct record old = {0};

    if (sum->number != NULL)
        old = trial_json(sum->number);
    trial.edit.by = sum->by;
    trial_run(&trial, sum->number != NULL ? &old : NULL);
    if (sum->result == NULL) {
        trial_expect_refused(&trial, sum->problem, sum->number);
    } else {
        trial_expect(&trial, sum->result, JSON_IS_NUMBER, JSON_MEDIA_TYPE);
        cr_expect(eq(u64, trial.next.expiry_ms, old.expiry_ms));
    }
    edit_clear(&trial.edit);
}

Test(edit, a_counter_adds_whole_numbers_of_64_bits_and_nothing_else)
{
    for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++)
        expect_sum(&sums[i]);
}

Test(edit, a_number_stored_as_other_bytes_is_no_counter)
{
    struct trial trial = trial_of(EDIT_INCREMENT);
    struct record old = trial_bytes("1");

    trial_run(&trial, &old);
    trial_expect_refused(&trial, PROBLEM_WRONG_TYPE, "text/plain");
}

Test(edit, a_new_expiry_replaces_the_old_one_and_none_leaves_it)
{
    struct trial trial = trial_of(EDIT_INCREMENT);
    struct record old = trial_json("1");

    trial.edit.expiry_ms = 99;
    trial_run(&trial, &old);
    cr_expect(eq(u64, trial.next.expiry_ms, 99));
    edit_clear(&trial.edit);

    trial = trial_of(EDIT_INCREMENT);
    trial_run(&trial, &old);
    cr_expect(eq(u64, trial.next.expiry_ms, 77));
    edit_clear(&trial.edit);
}

/* Expiry. */

Test(edit, an_expiry_is_set_and_taken_away_without_touching_the_value)
{
    struct trial trial = trial_of(EDIT_EXPIRY);
    struct record old = trial_bytes("red");

    trial.edit.expiry_ms = 99;
    trial_run(&trial, &old);
    trial_expect(&trial, "red", JSON_NONE, "text/plain");
    cr_expect(eq(u64, trial.next.expiry_ms, 99));

    trial.edit.expiry_ms = 0;
    trial_run(&trial, &old);
    trial_expect(&trial, "red", JSON_NONE, "text/plain");
    cr_expect(eq(u64, trial.next.expiry_ms, 0));

    trial_run(&trial, NULL);
    cr_expect(eq(int, trial.status, KIST_NOT_FOUND));
}

/* Appending. */

static void append(struct trial *trial, const struct record *old,
                   const struct record *body)
{
    *trial = trial_of(EDIT_APPEND);
    trial->edit.body = body->value;
    trial->edit.body_type = body->type;
    trial->edit.body_media_type = body->media_type;
    trial_run(trial, old);
}

Test(edit, bytes_are_appended_to_bytes)
{
    struct record old = trial_bytes("red"), body = trial_bytes("dish"),
                  none = trial_bytes("");
    struct trial trial;

    body.media_type = VIEW_LITERAL("text/html");
    append(&trial, &old, &body);
    trial_expect(&trial, "reddish", JSON_NONE, "text/plain");
    edit_clear(&trial.edit);

    append(&trial, NULL, &body);
    trial_expect(&trial, "dish", JSON_NONE, "text/html");
    edit_clear(&trial.edit);

    append(&trial, &old, &none);
    trial_expect(&trial, "red", JSON_NONE, "text/plain");
    edit_clear(&trial.edit);
}

static const struct {
    const char *array; /* NULL: absent. */
    const char *element;
    const char *result;
} appended[] = {
    {NULL, "1", "[1]"},
    {"[]", "1", "[1]"},
    {" [ \n ] ", " {\"a\" : 1}\n", "[ \n {\"a\" : 1}]"},
    {"[1]", "[2]", "[1,[2]]"},
    {"[ 1.00 , \"\\u0041\" ]", "null", "[ 1.00 , \"\\u0041\" ,null]"},
    {"[[]]", "[]", "[[],[]]"},
};

Test(edit, json_is_appended_to_an_array_as_it_is_spelled)
{
    for (size_t i = 0; i < sizeof(appended) / sizeof(*appended); i++) {
        struct record old = {0}, body = trial_json(appended[i].element);
        struct trial trial;

        if (appended[i].array != NULL)
            old = trial_json(appended[i].array);
        append(&trial, appended[i].array != NULL ? &old : NULL, &body);
        trial_expect(&trial, appended[i].result, JSON_IS_ARRAY,
                     "application/json; a=b");
        edit_clear(&trial.edit);
    }
}

Test(edit, nothing_is_appended_to_another_type)
{
    const struct record values[] = {trial_json("{}"),   trial_json("\"a\""),
                                    trial_json("1"),    trial_json("true"),
                                    trial_json("null"), trial_bytes("[]")};
    struct record element = trial_json("1"), other = trial_bytes("1"),
                  array = trial_json("[]");
    struct trial trial;

    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        append(&trial, &values[i], &element);
        trial_expect_refused(&trial, PROBLEM_WRONG_TYPE, values[i].value.data);
        edit_clear(&trial.edit);
    }
    append(&trial, &array, &other);
    trial_expect_refused(&trial, PROBLEM_WRONG_TYPE, "bytes to an array");
    edit_clear(&trial.edit);
}

/* size bytes that make [1,1,...]; size is odd. */
static void fill_array(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text[i] = i % 2 == 0 ? ',' : '1';
    text[0] = '[';
    text[size - 1] = ']';
    text[size] = '\0';
}

Test(edit, the_limit_of_a_value_is_reached_and_not_passed)
{
    char text[TRIAL_LIMIT + 1];
    struct record old, body = trial_bytes("x"), element = trial_json("1");
    struct trial trial;

    memset(text, 'a', TRIAL_LIMIT - 1);
    text[TRIAL_LIMIT - 1] = '\0';
    old = trial_bytes(text);
    append(&trial, &old, &body);
    cr_expect(eq(int, trial.status, KIST_OK));
    cr_expect(eq(sz, trial.next.value.size, TRIAL_LIMIT));
    edit_clear(&trial.edit);
    body = trial_bytes("xy");
    append(&trial, &old, &body);
    trial_expect_refused(&trial, PROBLEM_BODY_TOO_LARGE, "bytes");
    cr_expect(ne(ptr, strstr(trial.edit.detail, "64 bytes"), NULL));
    edit_clear(&trial.edit);

    fill_array(text, TRIAL_LIMIT - 3);
    old = trial_json(text);
    append(&trial, &old, &element);
    cr_expect(eq(sz, trial.next.value.size, TRIAL_LIMIT - 1));
    edit_clear(&trial.edit);
    fill_array(text, TRIAL_LIMIT - 1);
    old = trial_json(text);
    append(&trial, &old, &element);
    trial_expect_refused(&trial, PROBLEM_BODY_TOO_LARGE, "array");
    edit_clear(&trial.edit);
}

Test(edit, an_element_as_deep_as_a_value_may_be_is_too_deep_in_an_array)
{
    char deep[2 * 64 + 1];
    struct record body;
    struct trial trial = trial_of(EDIT_APPEND);

    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    deep[128] = '\0';
    body = trial_json(deep);
    append(&trial, NULL, &body);
    trial_expect_refused(&trial, PROBLEM_INVALID_JSON, "64 deep");

    body.value = (struct view){deep + 1, 126};
    trial.edit.max_json_bytes = 128;
    trial.edit.body = body.value;
    trial.edit.refused = false;
    trial_run(&trial, NULL);
    cr_expect(eq(int, trial.status, KIST_OK));
    cr_expect(view_is(trial.next.value, deep));
    edit_clear(&trial.edit);
}
