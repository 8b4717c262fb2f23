#include "api/json_check.h"
#include "api/json_patch.h"
#include "tests/api/json_generator.h"
#include "tests/api/json_reference.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct outcome {
    enum kist_status status;
    struct json_patch_fault fault;
};

static struct outcome apply(struct view document, struct view text,
                            size_t limit, struct blob *out)
{
    struct outcome outcome = {.fault.reason = ""};
    struct json_patch *patch;

    outcome.status = json_patch_parse(text, &patch, &outcome.fault);
    if (outcome.status != KIST_OK)
        return outcome;
    outcome.status =
        json_patch_apply(patch, document, limit, out, &outcome.fault);
    json_patch_free(patch);
    return outcome;
}

struct patching {
    const char *document;
    const char *patch;
    const char *result; /* NULL: refused. */
    enum kist_status status;
};

static void expect_patches(const struct patching *cases, size_t count)
{
    struct blob out = BLOB_EMPTY;

    for (size_t i = 0; i < count; i++) {
        const struct patching *is = &cases[i];

        blob_clear(&out);
        struct outcome outcome =
            apply(view_of(is->document), view_of(is->patch), 1 << 20, &out);
        cr_expect(eq(int, outcome.status, is->status), "%s by %s: %s",
                  is->document, is->patch, outcome.fault.reason);
        cr_expect(view_is(blob_view(&out), is->result ? is->result : ""),
                  "%s by %s gave %.*s", is->document, is->patch, (int)out.size,
                  out.data);
        if (is->status != KIST_OK)
            cr_expect(strlen(outcome.fault.reason) > 10);
    }
    blob_free(&out);
}

Test(json_patch, the_examples_of_the_rfc_hold)
{
    static const struct patching cases[] = {
        /* A.1 to A.16, in order. */
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}", KIST_OK},
        {"{\"foo\":[\"bar\",\"baz\"]}",
         "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
         "{\"foo\":[\"bar\",\"qux\",\"baz\"]}", KIST_OK},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}",
         "[{\"op\":\"remove\",\"path\":\"/baz\"}]", "{\"foo\":\"bar\"}",
         KIST_OK},
        {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}",
         "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]",
         "{\"foo\":[\"bar\",\"baz\"]}", KIST_OK},
        {"{\"baz\":\"qux\",\"foo\":\"bar\"}",
         "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]",
         "{\"baz\":\"boo\",\"foo\":\"bar\"}", KIST_OK},
        {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},"
         "\"qux\":{\"corge\":\"grault\"}}",
         "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
         "{\"foo\":{\"bar\":\"baz\"},"
         "\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}",
         KIST_OK},
        {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}",
         "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
         "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}", KIST_OK},
        {"{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
         "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},"
         "{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
         "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}", KIST_OK},
        {"{\"baz\":\"qux\"}",
         "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", NULL,
         KIST_CONFLICT},
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
         "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}", KIST_OK},
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
         "{\"foo\":\"bar\",\"baz\":\"qux\"}", KIST_OK},
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]", NULL,
         KIST_NOT_FOUND},
        {"{\"foo\":\"bar\"}",
         "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\","
         "\"op\":\"remove\"}]",
         NULL, KIST_INVALID},
        {"{\"/\":9,\"~1\":10}",
         "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10}]",
         "{\"/\":9,\"~1\":10}", KIST_OK},
        {"{\"/\":9,\"~1\":10}",
         "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":\"10\"}]", NULL,
         KIST_CONFLICT},
        {"{\"foo\":[\"bar\"]}",
         "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
         "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}", KIST_OK},
    };

    expect_patches(cases, COUNT(cases));
}

Test(json_patch, what_no_operation_touches_keeps_its_bytes)
{
    static const struct patching cases[] = {
        {" { \"a\" : 1.50 }\n", "[]", " { \"a\" : 1.50 }\n", KIST_OK},
        {" { \"a\" : 1.50 }\n",
         "[{\"op\":\"test\",\"path\":\"/a\",\"value\":15e-1}]",
         " { \"a\" : 1.50 }\n", KIST_OK},
        {"{\"a\": [ 1E2, -0 ], \"b\" : { \"\\u0063\" : [ 1 , 2 ] } }",
         "[{\"op\":\"replace\",\"path\":\"/b/c/1\",\"value\": 3.0 }]",
         "{\"a\":[ 1E2, -0 ],\"b\":{\"\\u0063\":[1,3.0]}}", KIST_OK},
        {"{\"a\": { \"x\" : 1 } }",
         "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]",
         "{\"a\":{ \"x\" : 1 },\"b\":{ \"x\" : 1 }}", KIST_OK},
        {"{\"a\": [ 1 ] }",
         "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/\\u00e9~1\"}]",
         "{\"\xc3\xa9/\":[ 1 ]}", KIST_OK},
        {"{ \"a\" : 1 }", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]",
         "{ \"a\" : 1 }", KIST_OK},
    };

    expect_patches(cases, COUNT(cases));
}

#define ADD(path, value)                                                       \
    "{\"op\":\"add\",\"path\":\"" path "\",\"value\":" value "}"
#define TEST(path, value)                                                      \
    "{\"op\":\"test\",\"path\":\"" path "\",\"value\":" value "}"
#define REMOVE(path) "{\"op\":\"remove\",\"path\":\"" path "\"}"
#define MOVE(from, path)                                                       \
    "{\"op\":\"move\",\"from\":\"" from "\",\"path\":\"" path "\"}"
#define COPY(from, path)                                                       \
    "{\"op\":\"copy\",\"from\":\"" from "\",\"path\":\"" path "\"}"
#define REPLACE(path, value)                                                   \
    "{\"op\":\"replace\",\"path\":\"" path "\",\"value\":" value "}"

Test(json_patch, every_operation_reaches_the_whole_document)
{
    static const struct patching cases[] = {
        {"{\"a\":1}", "[" ADD("", "[1]") "]", "[1]", KIST_OK},
        {"{\"a\":1}", "[" REPLACE("", "null") "]", "null", KIST_OK},
        {"5", "[" TEST("", "5.0") "," REPLACE("", "6") "]", "6", KIST_OK},
        {"{\"a\":[1]}", "[" MOVE("/a", "") "]", "[1]", KIST_OK},
        {"{\"a\":[1]}", "[" COPY("/a/0", "") "]", "1", KIST_OK},
        {"{\"a\":1}", "[" COPY("", "/b") "]", "{\"a\":1,\"b\":{\"a\":1}}",
         KIST_OK},
        {"[1]", "[" ADD("/-", "2") "," COPY("", "/-") "," ADD("/2/0", "0") "]",
         "[1,2,[0,1,2]]", KIST_OK},
        {"{\"a\":1}", "[" MOVE("", "") "]", "{\"a\":1}", KIST_OK},
        {"5", "[" REMOVE("") "]", NULL, KIST_INVALID},
    };

    expect_patches(cases, COUNT(cases));
}

Test(json_patch, places_that_do_not_exist_are_not_found)
{
    static const struct patching cases[] = {
        {"{}", "[" REMOVE("/a") "]", NULL, KIST_NOT_FOUND},
        {"{}", "[" REPLACE("/a", "1") "]", NULL, KIST_NOT_FOUND},
        {"{}", "[" TEST("/a", "null") "]", NULL, KIST_NOT_FOUND},
        {"{}", "[" COPY("/a", "/b") "]", NULL, KIST_NOT_FOUND},
        {"{}", "[" MOVE("/a", "/b") "]", NULL, KIST_NOT_FOUND},
        {"{}", "[" MOVE("/a", "/a") "]", NULL, KIST_NOT_FOUND},
        {"{\"a\":5}", "[" ADD("/a/b", "1") "]", NULL, KIST_NOT_FOUND},
        {"[1]", "[" ADD("/2", "1") "]", NULL, KIST_NOT_FOUND},
        {"[1]", "[" ADD("/1", "2") "]", "[1,2]", KIST_OK},
        {"[1]", "[" ADD("/0", "2") "]", "[2,1]", KIST_OK},
        {"[1]", "[" ADD("/01", "2") "]", NULL, KIST_NOT_FOUND},
        {"[1]", "[" ADD("/-1", "2") "]", NULL, KIST_NOT_FOUND},
        {"[1]", "[" ADD("/a", "2") "]", NULL, KIST_NOT_FOUND},
        {"[1]", "[" REMOVE("/-") "]", NULL, KIST_NOT_FOUND},
        {"[1]", "[" REPLACE("/-", "2") "]", NULL, KIST_NOT_FOUND},
        {"[1]", "[" REMOVE("/1") "]", NULL, KIST_NOT_FOUND},
        {"[1,2]", "[" MOVE("/0", "/2") "]", NULL, KIST_NOT_FOUND},
        {"[1,2]", "[" MOVE("/0", "/-") "]", "[2,1]", KIST_OK},
        {"{\"-\":1}", "[" REMOVE("/-") "]", "{}", KIST_OK},
        {"{\"\":1}", "[" REMOVE("/") "]", "{}", KIST_OK},
    };

    expect_patches(cases, COUNT(cases));
}

Test(json_patch, a_patch_that_no_document_can_take_is_invalid_at_once)
{
    static const char *const cases[] = {
        "",
        "{}",
        "5",
        "[1]",
        "[[]]",
        "[{}]",
        "[{\"op\":\"add\"}]",
        "[{\"op\":5,\"path\":\"\"}]",
        "[{\"op\":\"Add\",\"path\":\"\",\"value\":1}]",
        "[{\"op\":\"spam\",\"path\":\"\"}]",
        "[{\"path\":\"\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"\"}]",
        "[{\"op\":\"test\",\"path\":\"\"}]",
        "[{\"op\":\"replace\",\"path\":\"\"}]",
        "[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":\"/~\",\"value\":1}]",
        "[{\"op\":\"add\",\"path\":7,\"value\":1}]",
        "[{\"op\":\"move\",\"path\":\"/a\"}]",
        "[{\"op\":\"copy\",\"path\":\"/a\"}]",
        "[{\"op\":\"copy\",\"path\":\"/a\",\"from\":null}]",
        "[" MOVE("/a", "/a/b") "]",
        "[" MOVE("", "/a") "]",
        "[" MOVE("/a~1", "/a~1/0/1") "]",
        "[" REMOVE("") "]",
        "[" REMOVE("/a") ",]",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_patch_fault fault = {.reason = ""};
        struct json_patch *patch;

        cr_expect(eq(int, json_patch_parse(view_of(cases[i]), &patch, &fault),
                     KIST_INVALID),
                  "%s", cases[i]);
        cr_expect(strlen(fault.reason) > 10, "%s", cases[i]);
    }
}

Test(json_patch, members_are_known_by_what_their_names_mean)
{
    static const struct patching cases[] = {
        {"{}",
         "[{\"\\u006fp\":\"\\u0061dd\",\"pa\\u0074h\":\"\\/\\u0061\","
         "\"v\\u0061lue\":1,\"from\":5,\"Op\":\"x\"}]",
         "{\"a\":1}", KIST_OK},
        {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/a\",\"value\":[}]", NULL,
         KIST_INVALID},
    };

    expect_patches(cases, COUNT(cases));
}

Test(json_patch, a_fault_names_its_operation_and_where_it_stands)
{
    struct blob out = BLOB_EMPTY;
    struct outcome outcome;

    outcome = apply(VIEW_LITERAL("{\"a\":1}"),
                    VIEW_LITERAL("[" ADD("/b", "1") "," TEST("/a", "2") "]"),
                    1000, &out);
    cr_expect(eq(int, outcome.status, KIST_CONFLICT));
    cr_expect(eq(sz, outcome.fault.operation, 1));

    outcome = apply(VIEW_LITERAL("{}"),
                    VIEW_LITERAL("[" REMOVE("/b") ", {\"op\":1}]"), 1000, &out);
    cr_expect(eq(int, outcome.status, KIST_INVALID));
    cr_expect(eq(sz, outcome.fault.operation, 1));
    cr_expect(eq(sz, outcome.fault.offset, strlen("[" REMOVE("/b") ", ")));

    outcome = apply(VIEW_LITERAL("{}"), VIEW_LITERAL("[}"), 1000, &out);
    cr_expect(eq(int, outcome.status, KIST_INVALID));
    cr_expect(eq(sz, outcome.fault.operation, JSON_PATCH_WHOLE));
    cr_expect(eq(sz, outcome.fault.offset, 1));
    cr_expect(eq(sz, out.size, 0));
    blob_free(&out);
}

Test(json_patch, a_document_that_is_not_there_is_invalid)
{
    struct blob out = BLOB_EMPTY;
    struct outcome outcome = apply((struct view){NULL, 0},
                                   VIEW_LITERAL("[" ADD("", "1") "]"), 9, &out);

    cr_expect(eq(int, outcome.status, KIST_INVALID));
    cr_expect(eq(sz, outcome.fault.operation, JSON_PATCH_WHOLE));
    blob_free(&out);
}

Test(json_patch, equality_is_deep_exact_and_knows_no_member_order)
{
    static const struct patching cases[] = {
        {"{\"a\":{\"x\":1,\"\\u0079\":[1.0,\"\\u00e9\"]}}",
         "[" TEST("/a", "{\"y\":[10e-1,\"\xc3\xa9\"],\"\\u0078\":1}") "]",
         "{\"a\":{\"x\":1,\"\\u0079\":[1.0,\"\\u00e9\"]}}", KIST_OK},
        {"[1,2]", "[" TEST("", "[2,1]") "]", NULL, KIST_CONFLICT},
        {"[1,2]", "[" TEST("", "[1]") "]", NULL, KIST_CONFLICT},
        {"[]", "[" TEST("", "{}") "]", NULL, KIST_CONFLICT},
        {"[]", "[" TEST("", "[ ]") "]", "[]", KIST_OK},
        {"{\"a\":1}", "[" TEST("", "{\"b\":1}") "]", NULL, KIST_CONFLICT},
        {"{\"a\":1}", "[" TEST("", "{\"a\":1,\"b\":1}") "]", NULL,
         KIST_CONFLICT},
        {"{\"a\":[{\"b\":1}]}", "[" TEST("", "{\"a\":[{\"b\":2}]}") "]", NULL,
         KIST_CONFLICT},
        {"true", "[" TEST("", "false") "]", NULL, KIST_CONFLICT},
        {" true ", "[" TEST("", "true") "]", " true ", KIST_OK},
        {"null", "[" TEST("", "false") "]", NULL, KIST_CONFLICT},
        {"\"a\"", "[" TEST("", "\"\\u0061\"") "]", "\"a\"", KIST_OK},
        {"\"a\"", "[" TEST("", "\"ab\"") "]", NULL, KIST_CONFLICT},
        {"[1e400]", "[" TEST("", "[10e399]") "]", "[1e400]", KIST_OK},
        {"9007199254740993", "[" TEST("", "9007199254740992") "]", NULL,
         KIST_CONFLICT},
        {"{\"a\":1}", "[" ADD("/b", "2") "," TEST("", "{\"b\":2,\"a\":1}") "]",
         "{\"a\":1,\"b\":2}", KIST_OK},
        {"{\"a\":1}",
         "[" REMOVE("/a") "," ADD("/a", "2") "," TEST("", "{\"a\":2}") "," TEST(
             "/a", "2") "]",
         "{\"a\":2}", KIST_OK},
    };

    expect_patches(cases, COUNT(cases));
}

/* count times open, inner, count times close. */
static struct blob nest(const char *open, const char *inner, const char *close,
                        size_t count)
{
    struct blob text = BLOB_EMPTY;

    for (size_t i = 0; i < count; i++)
        blob_append_text(&text, open);
    blob_append_text(&text, inner);
    for (size_t i = 0; i < count; i++)
        blob_append_text(&text, close);
    cr_assert(not(text.failed));
    return text;
}

Test(json_patch, a_result_deeper_than_64_levels_is_refused)
{
    struct blob inner = nest("[", "", "]", 63), path = nest("/0", "", "", 63);
    struct blob deep = BLOB_EMPTY, patch = BLOB_EMPTY, out = BLOB_EMPTY;

    blob_printf(&deep, "[%.*s,1]", (int)inner.size, inner.data);
    blob_append_text(&patch, "[" ADD("/-", "[]") "," MOVE("/0", "/1/0") "]");
    struct outcome outcome =
        apply(blob_view(&deep), blob_view(&patch), 1000, &out);
    cr_expect(eq(int, outcome.status, KIST_TOO_LARGE));
    cr_expect(eq(sz, outcome.fault.operation, 1));

    /* Once the innermost array is gone, the same move fits. */
    blob_clear(&patch);
    blob_printf(&patch, "[{\"op\":\"remove\",\"path\":\"%.*s\"},%s,%s]",
                (int)path.size, path.data, ADD("/-", "[]"), MOVE("/0", "/1/0"));
    outcome = apply(blob_view(&deep), blob_view(&patch), 1000, &out);
    cr_expect(eq(int, outcome.status, KIST_OK), "%s", outcome.fault.reason);
    blob_free(&inner);
    blob_free(&path);
    blob_free(&deep);
    blob_free(&patch);
    blob_free(&out);
}

Test(json_patch, copies_cannot_make_a_document_explode)
{
    struct blob patch = BLOB_EMPTY, out = BLOB_EMPTY;

    blob_append_text(&patch, "[" COPY("", "/a"));
    for (int i = 0; i < 9999; i++)
        blob_append_text(&patch, "," COPY("", "/a"));
    blob_append_byte(&patch, ']');

    struct outcome outcome = apply(VIEW_LITERAL("{\"b\":[1,2,3]}"),
                                   blob_view(&patch), 1 << 20, &out);
    cr_expect(eq(int, outcome.status, KIST_TOO_LARGE));
    cr_expect(gt(sz, outcome.fault.operation, 10));
    blob_free(&patch);
    blob_free(&out);
}

Test(json_patch, more_than_10000_operations_are_refused)
{
    struct blob patch = nest("", "[", "", 1), out = BLOB_EMPTY;

    for (int i = 0; i < 10000; i++)
        blob_append_text(&patch, i == 0 ? TEST("", "1") : "," TEST("", "1"));
    blob_append_text(&patch, "]");
    cr_expect(eq(int,
                 apply(VIEW_LITERAL("1"), blob_view(&patch), 10, &out).status,
                 KIST_OK));
    patch.size--;
    blob_append_text(&patch, "," TEST("", "1") "]");
    cr_expect(eq(int,
                 apply(VIEW_LITERAL("1"), blob_view(&patch), 10, &out).status,
                 KIST_TOO_LARGE));
    blob_free(&patch);
    blob_free(&out);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One hostile patch, pair after pair of operations, on a MiB of document. */
static void expect_cheap(const char *what, struct blob *document,
                         const char *first, const char *again)
{
    struct blob patch = nest("[", first, "", 1), out = BLOB_EMPTY;

    for (int i = 1; i < 5000 && patch.size < (1 << 20) - 200; i++)
        blob_printf(&patch, ",%s", again);
    blob_append_byte(&patch, ']');

    double start = seconds();
    struct outcome outcome =
        apply(blob_view(document), blob_view(&patch), 3 << 20, &out);
    double spent = seconds() - start;
    cr_log_info("%s: %.3f s, %s at %zu", what, spent,
                kist_status_name(outcome.status), outcome.fault.operation);
    /* Sanitizers and busy machines are slow; quadratic is far slower yet. */
    cr_expect(lt(dbl, spent, 5.0), "%s: %f s", what, spent);
    blob_free(document);
    blob_free(&patch);
    blob_free(&out);
}

Test(json_patch, hostile_patches_on_a_mebibyte_end_soon, .timeout = 120)
{
    struct blob array = nest("1,", "1]", "", 1 << 19);
    struct blob inserted = nest("[", "", "", 1);
    blob_append(&inserted, blob_view(&array));
    blob_free(&array);
    struct blob removed = BLOB_EMPTY, copied = BLOB_EMPTY, edited = BLOB_EMPTY;
    blob_append(&removed, blob_view(&inserted));
    blob_printf(&copied, "{\"a\":%.*s}", (int)inserted.size, inserted.data);
    blob_printf(&edited, "{\"a\":%.*s}", (int)inserted.size, inserted.data);

    expect_cheap("insert in front", &inserted, ADD("/0", "1"),
                 ADD("/0", "1") "," ADD("/200000", "1"));
    expect_cheap("remove in front", &removed, REMOVE("/0"),
                 REMOVE("/0") "," REMOVE("/200000"));
    expect_cheap("copy and look", &copied, COPY("/a", "/b"),
                 COPY("/a", "/b") "," TEST("/b/9", "1"));
    expect_cheap("edit and copy", &edited, COPY("/a", "/b"),
                 ADD("/a/0", "1") "," COPY("/a", "/b"));

    struct blob zeros = nest("0", "", "", 1 << 20);
    zeros.data[0] = '1';
    expect_cheap("long number", &zeros, TEST("", "1e1048575"),
                 TEST("", "1e1048575"));

    struct blob spaces = nest(" ", "true", " ", 1 << 19);
    expect_cheap("white space", &spaces, TEST("", "true"), TEST("", "true"));

    struct blob nested = nest("{\"a\":[0,", "1", "]}", 32);
    struct blob padded = nest(" ", "", " ", 1 << 19), deep = BLOB_EMPTY;
    memcpy(padded.data, "[1", 2);
    padded.data[padded.size - 1] = ']';
    blob_printf(&deep, "%.*s%.*s%.*s", 8 * 31, nested.data, (int)padded.size,
                padded.data, 2 * 31, nested.data + nested.size - 2 * 31);
    blob_free(&nested);
    blob_free(&padded);
    expect_cheap("deep", &deep, TEST("/a/1/a/1/a/1/a/1/a/1/a/1/a/0", "0"),
                 COPY("/a", "/b") "," TEST(
                     "/b/1/a/1/a/1/a/1/a/1/a/1/a/1/a/1/a/1/a/0", "0"));

    struct blob names = nest("", "{\"\":0", "", 1);
    for (int i = 0; i < 90000; i++)
        blob_printf(&names, ",\"%u\":0", i);
    blob_append_byte(&names, '}');
    expect_cheap("add and remove", &names, ADD("/n", "1"),
                 REMOVE("/n") "," ADD("/n", "1"));
}

/* A random place: mostly one that exists in node. */
static void append_path(struct json_generator *from, json_t *node,
                        struct blob *out)
{
    static const char *const odd[] = {"/a", "/b", "/-", "/0", "/1", "/zz", ""};

    while (json_generator_below(from, 4) != 0) {
        size_t size = json_object_size(node) + json_array_size(node);

        if (size == 0 || json_generator_below(from, 6) == 0)
            break;
        size_t index = json_generator_below(from, (uint32_t)size);
        if (json_is_array(node)) {
            blob_printf(out, "/%zu", index);
            node = json_array_get(node, index);
            continue;
        }
        void *member = json_object_iter(node);
        for (; index > 0; index--)
            member = json_object_iter_next(node, member);
        const char *name = json_object_iter_key(member);
        blob_append_byte(out, '/');
        for (; *name != '\0'; name++) {
            if (*name == '~' || *name == '/')
                blob_append_text(out, *name == '~' ? "~0" : "~1");
            else
                blob_append_byte(out, *name);
        }
        node = json_object_iter_value(member);
    }
    if (json_generator_below(from, 3) == 0)
        blob_append_text(out, odd[json_generator_below(from, COUNT(odd))]);
}

static void append_operation(struct json_generator *from, json_t *document,
                             struct blob *out)
{
    static const char *const ops[] = {"add",  "add",  "remove", "replace",
                                      "move", "copy", "test"};
    struct blob path = BLOB_EMPTY, source = BLOB_EMPTY;
    const char *op = ops[json_generator_below(from, COUNT(ops))];

    append_path(from, document, &path);
    append_path(from, document, &source);
    blob_printf(out, "{\"op\":\"%s\",\"path\":", op);
    blob_append_json(out, blob_view(&path));
    blob_append_text(out, ",\"from\":");
    blob_append_json(out, blob_view(&source));
    blob_append_text(out, ",\"value\":");
    json_generator_value(from, 2, out);
    blob_append_byte(out, '}');
    blob_free(&path);
    blob_free(&source);
}

/* One patch of a few operations; counts into tries[applied or not]. */
static void compare_once(struct json_generator *from, unsigned *tries)
{
    struct blob text = BLOB_EMPTY, patch = BLOB_EMPTY, out = BLOB_EMPTY;
    uint32_t operations = 1 + json_generator_below(from, 4);

    json_generator_value(from, 4, &text);
    json_t *document = json_reference_load(blob_view(&text));
    for (uint32_t i = 0; i < operations && document != NULL; i++) {
        blob_append_byte(&patch, i == 0 ? '[' : ',');
        append_operation(from, document, &patch);
    }
    blob_append_byte(&patch, ']');
    json_t *changes = json_reference_load(blob_view(&patch));

    if (document != NULL && changes != NULL) {
        struct outcome outcome =
            apply(blob_view(&text), blob_view(&patch), SIZE_MAX, &out);
        if (outcome.status != KIST_INVALID) {
            document = json_reference_patch(document, changes);
            json_t *result = json_reference_load(blob_view(&out));
            bool same = document == NULL ? outcome.status != KIST_OK
                                         : json_equal(document, result) != 0;
            cr_expect(same, "%.*s by %.*s: %s, gave %.*s", (int)text.size,
                      text.data, (int)patch.size, patch.data,
                      outcome.fault.reason, (int)out.size, out.data);
            tries[document != NULL]++;
            json_decref(result);
        }
    }
    json_decref(document);
    json_decref(changes);
    blob_free(&text);
    blob_free(&patch);
    blob_free(&out);
}

Test(json_patch, a_plain_patch_over_jansson_agrees_on_100000_patches,
     .timeout = 60)
{
    struct json_generator from = json_generator_new(6902);
    unsigned tries[2] = {0};

    for (unsigned i = 0; i < 100000; i++)
        compare_once(&from, tries);
    cr_expect(gt(uint, tries[0], 10000), "%u failed", tries[0]);
    cr_expect(gt(uint, tries[1], 10000), "%u applied", tries[1]);
}
