#include "api/json_check.h"
#include "api/json_merge_patch.h"
#include "tests/api/json_generator.h"
#include "tests/api/json_reference.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct merge {
    const char *target;
    const char *patch;
    const char *result;
};

static void expect_merges(const struct merge *cases, size_t count)
{
    struct blob out = BLOB_EMPTY;

    for (size_t i = 0; i < count; i++) {
        blob_clear(&out);
        cr_expect(eq(int,
                     json_merge_patch(view_of(cases[i].target),
                                      view_of(cases[i].patch), 1 << 20, &out),
                     KIST_OK));
        cr_expect(view_is(blob_view(&out), cases[i].result),
                  "%s by %s gave %.*s", cases[i].target, cases[i].patch,
                  (int)out.size, out.data);
    }
    blob_free(&out);
}

Test(json_merge_patch, the_examples_of_the_rfc_hold)
{
    static const struct merge cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
         "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        /* Section 3. */
        {"{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\","
         "\"familyName\":\"Doe\"},\"tags\":[\"example\",\"sample\"],"
         "\"content\":\"This will be unchanged\"}",
         "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\","
         "\"author\":{\"familyName\":null},\"tags\":[\"example\"]}",
         "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},"
         "\"tags\":[\"example\"],\"content\":\"This will be unchanged\","
         "\"phoneNumber\":\"+01-123-456-7890\"}"},
    };

    expect_merges(cases, COUNT(cases));
}

Test(json_merge_patch, what_is_not_named_keeps_its_bytes)
{
    static const struct merge cases[] = {
        {"{ \"a\" : 1.50 , \"\\u0062\" : [ 1E2, -0 ] }", "{\"a\":2}",
         "{\"a\":2,\"\\u0062\":[ 1E2, -0 ]}"},
        {"{\"a\": { \"x\" : 1e400 }, \"b\" : { \"y\" : 1 } }",
         "{\"b\":{\"y\": 1.0 }}",
         "{\"a\":{ \"x\" : 1e400 },\"b\":{\"y\":1.0}}"},
        {" { \"a\" : 1 }\n", "{}", " { \"a\" : 1 }\n"},
        {" { \"a\" : 1 }\n", "{\"b\":null}", " { \"a\" : 1 }\n"},
        {" { \"a\" : { } }\n", "{\"a\":{}}", " { \"a\" : { } }\n"},
        {"{\"\\u0061\":1,\"b\":2}", "{\"a\":3}", "{\"\\u0061\":3,\"b\":2}"},
        {"{\"a\":1,\"b\":2}", "{\"\\u0061\":null}", "{\"b\":2}"},
        {"", "{\"a\":{\"b\":null,\"c\":\"\\u0041\"}}",
         "{\"a\":{\"c\":\"\\u0041\"}}"},
        {"", "[ null ]", "[ null ]"},
        {"5", "{\"\\u00e9\":[ null , {\"x\":null} ]}",
         "{\"\\u00e9\":[ null , {\"x\":null} ]}"},
    };

    expect_merges(cases, COUNT(cases));
}

Test(json_merge_patch, a_result_over_the_limit_is_refused_and_none_other)
{
    struct blob out = BLOB_EMPTY;
    struct view target = VIEW_LITERAL("{\"a\":1,\"b\":2}");

    /* Longer half-way, not in the end. */
    cr_expect(eq(int,
                 json_merge_patch(target, VIEW_LITERAL("{\"c\":3,\"a\":null}"),
                                  13, &out),
                 KIST_OK));
    cr_expect(view_is(blob_view(&out), "{\"b\":2,\"c\":3}"));
    blob_clear(&out);
    cr_expect(eq(int,
                 json_merge_patch(target, VIEW_LITERAL("{\"a\":10}"), 13, &out),
                 KIST_TOO_LARGE));
    cr_expect(eq(sz, out.size, 0));
    blob_free(&out);
}

Test(json_merge_patch, many_members_into_many_stay_cheap, .timeout = 5)
{
    struct blob target = BLOB_EMPTY, patch = BLOB_EMPTY, out = BLOB_EMPTY;

    blob_append_text(&target, "{\"\":0");
    blob_append_text(&patch, "{\"\":1");
    for (unsigned i = 0; i < 100000; i++) {
        blob_printf(&target, ",\"%u\":0", i);
        if (i % 2 == 0)
            blob_printf(&patch, ",\"%u\":null,\"n%u\":1", i, i);
    }
    blob_append_byte(&target, '}');
    blob_append_byte(&patch, '}');
    cr_expect(eq(
        int,
        json_merge_patch(blob_view(&target), blob_view(&patch), SIZE_MAX, &out),
        KIST_OK));
    cr_expect(view_starts_with(blob_view(&out),
                               VIEW_LITERAL("{\"\":1,\"1\":0,\"3\":0")));
    blob_free(&target);
    blob_free(&patch);
    blob_free(&out);
}

Test(json_merge_patch, a_plain_merge_over_jansson_agrees_on_50000_texts,
     .timeout = 60)
{
    struct json_generator from = json_generator_new(7396);
    struct blob target = BLOB_EMPTY, patch = BLOB_EMPTY, out = BLOB_EMPTY;
    unsigned compared = 0;

    for (unsigned i = 0; i < 50000; i++) {
        blob_clear(&target);
        blob_clear(&patch);
        blob_clear(&out);
        json_generator_value(&from, 5, &target);
        json_generator_value(&from, 4, &patch);

        json_t *old = json_reference_load(blob_view(&target));
        json_t *changes = json_reference_load(blob_view(&patch));
        if (old != NULL && changes != NULL) {
            cr_expect(eq(int,
                         json_merge_patch(blob_view(&target), blob_view(&patch),
                                          SIZE_MAX, &out),
                         KIST_OK));
            json_t *result = json_reference_load(blob_view(&out));
            old = json_reference_merge(old, changes);
            cr_expect(result != NULL && json_equal(old, result),
                      "%.*s by %.*s gave %.*s", (int)target.size, target.data,
                      (int)patch.size, patch.data, (int)out.size, out.data);
            json_decref(result);
            compared++;
        }
        json_decref(old);
        json_decref(changes);
    }
    cr_expect(gt(uint, compared, 10000), "%u", compared);
    blob_free(&target);
    blob_free(&patch);
    blob_free(&out);
}
