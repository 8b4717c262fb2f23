#include "api/json_check.h"
#include "tests/api/json_generator.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct verdict {
    enum kist_status status;
    enum json_type type;
    struct json_fault fault;
};

static struct verdict whole(struct view text)
{
    struct verdict verdict = {.fault.reason = ""};

    verdict.status = json_check(text, &verdict.fault, &verdict.type);
    return verdict;
}

/* Chunks of size bytes each, after a first one of the given size. */
static struct verdict chunked(struct view text, size_t first, size_t size)
{
    struct verdict verdict = {.fault.reason = ""};
    struct json_check check;
    size_t at = 0, step = first;

    json_check_init(&check);
    while (at < text.size && verdict.status == KIST_OK) {
        if (step > text.size - at)
            step = text.size - at;
        /* A copy on the heap: reading past a chunk is then seen. */
        char *chunk = malloc(step + 1);
        cr_assert(chunk != NULL);
        memcpy(chunk, text.data + at, step);
        verdict.status = json_check_feed(&check, (struct view){chunk, step});
        free(chunk);
        at += step;
        step = size;
    }
    if (verdict.status == KIST_OK)
        verdict.status = json_check_finish(&check, &verdict.type);
    if (verdict.status == KIST_INVALID)
        verdict.fault = check.fault;
    json_check_clear(&check);
    return verdict;
}

static bool same(struct verdict a, struct verdict b)
{
    return a.status == b.status && a.type == b.type &&
           a.fault.offset == b.fault.offset &&
           strcmp(a.fault.reason, b.fault.reason) == 0;
}

/* Judge the text whole and cut at every place; all must agree. */
static struct verdict judge(struct view text)
{
    struct verdict verdict = whole(text);

    for (size_t first = 0; first <= text.size && text.size < 600; first++)
        cr_expect(same(verdict, chunked(text, first, SIZE_MAX)),
                  "%.*s cut at %zu", (int)text.size, text.data, first);
    cr_expect(same(verdict, chunked(text, 1, 1)), "%.*s bytewise",
              (int)text.size, text.data);
    return verdict;
}

/* count times piece, then what is given behind it. */
static struct blob repeat(const char *piece, size_t count, const char *behind)
{
    struct blob text = BLOB_EMPTY;

    for (size_t i = 0; i < count; i++)
        blob_append_text(&text, piece);
    blob_append_text(&text, behind);
    cr_assert(not(text.failed));
    return text;
}

Test(json_check, every_kind_of_value_passes_and_is_typed)
{
    static const struct {
        const char *text;
        enum json_type type;
    } cases[] = {
        {"5", JSON_IS_NUMBER},
        {"\"x\"", JSON_IS_STRING},
        {"true", JSON_IS_BOOLEAN},
        {"false", JSON_IS_BOOLEAN},
        {"null", JSON_IS_NULL},
        {"{}", JSON_IS_OBJECT},
        {"[]", JSON_IS_ARRAY},
        {" \t\r\n[ 1 , 2 ] \n", JSON_IS_ARRAY},
        {"{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}", JSON_IS_OBJECT},
        {"{\"\":1}", JSON_IS_OBJECT},
        {"123456789012345678901234567890", JSON_IS_NUMBER},
        {"1e400", JSON_IS_NUMBER},
        {"-0", JSON_IS_NUMBER},
        {"-0.0E-0", JSON_IS_NUMBER},
        {"0.1234567890123456789012345678901234567890", JSON_IS_NUMBER},
        {"10", JSON_IS_NUMBER},
        {"\"\\u0000\"", JSON_IS_STRING},
        {"{\"\\u0000\":1,\"\\u0000\\u0000\":2}", JSON_IS_OBJECT},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\uABCD\\uabcd\"", JSON_IS_STRING},
        {"\"\\uD83D\\uDE00\"", JSON_IS_STRING},
        {"\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \x7f\"", JSON_IS_STRING},
        {"\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"", JSON_IS_STRING},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct verdict verdict = judge(view_of(cases[i].text));

        cr_expect(eq(int, verdict.status, KIST_OK), "%s: %s", cases[i].text,
                  verdict.fault.reason);
        cr_expect(eq(int, verdict.type, cases[i].type), "%s", cases[i].text);
    }
}

struct refused {
    const char *text;
    size_t offset;
    const char *reason; /* A part of it. */
};

static void expect_refused(const struct refused *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct verdict verdict = judge(view_of(cases[i].text));

        cr_expect(eq(int, verdict.status, KIST_INVALID), "%s", cases[i].text);
        cr_expect(eq(sz, verdict.fault.offset, cases[i].offset), "%s",
                  cases[i].text);
        cr_expect(strstr(verdict.fault.reason, cases[i].reason) != NULL,
                  "%s: %s", cases[i].text, verdict.fault.reason);
    }
}

Test(json_check, structure_that_is_broken_is_refused_and_named)
{
    static const struct refused cases[] = {
        {"", 0, "the text is empty"},
        {" \r\n", 3, "nothing but white space"},
        {"[1,]", 3, "a comma is followed by ]"},
        {"{\"a\":1,}", 7, "a comma is followed by }"},
        {"{,}", 1, "a member name in double quotes"},
        {"{\"a\":}", 5, "missing before }"},
        {"{\"a\"}", 4, "not followed by a colon"},
        {"{\"a\" 1}", 5, "not followed by a colon"},
        {"{a:1}", 1, "a member name in double quotes"},
        {"'a'", 0, "not in single ones"},
        {"[,1]", 1, "missing before a comma"},
        {"[1,,1]", 3, "missing before a comma"},
        {"[1 2]", 3, "a comma or ]"},
        {"[1}", 2, "a comma or ]"},
        {"{\"a\":1]", 6, "a comma or }"},
        {"{\"a\":1 \"b\":2}", 7, "a comma or }"},
        {"[", 1, "before the ]"},
        {"[{\"a\":1", 7, "before the }"},
        {"{}{}", 2, "after the end"},
        {"1 2", 2, "after the end"},
        {"]", 0, "missing before ]"},
        {"// no\n1", 0, "comments"},
        {"1 /* no */", 2, "after the end"},
        {"# no", 0, "comments"},
        {"\xef\xbb\xbf{}", 0, "byte order mark"},
        {"nul", 3, "inside a word"},
        {"nulL", 3, "only words"},
        {"True", 0, "small letters"},
        {"undefined", 0, "a value is expected"},
    };

    expect_refused(cases, COUNT(cases));
}

Test(json_check, numbers_follow_the_grammar)
{
    static const struct refused cases[] = {
        {"NaN", 0, "NaN and Infinity"},
        {"Infinity", 0, "NaN and Infinity"},
        {"-Infinity", 1, "minus sign"},
        {".5", 0, "point"},
        {"1.", 2, "point"},
        {"[1.]", 3, "point"},
        {"01", 1, "leading zero"},
        {"-01", 2, "leading zero"},
        {"00", 1, "leading zero"},
        {"+1", 0, "begin with +"},
        {"0x10", 1, "after the end"},
        {"1e", 2, "exponent"},
        {"1e+", 3, "exponent"},
        {"1e1.5", 3, "after the end"},
        {"1.2.3", 3, "after the end"},
        {"-", 1, "minus sign"},
        {"--1", 1, "minus sign"},
        {"1_000", 1, "after the end"},
    };

    expect_refused(cases, COUNT(cases));
}

Test(json_check, strings_are_utf8_without_bare_control_bytes)
{
    static const struct refused cases[] = {
        {"\"\xff\"", 1, "UTF-8"},
        {"\"\xc0\xaf\"", 1, "UTF-8"},
        {"\"\xed\xa0\x80\"", 2, "UTF-8"},
        {"\"\xf4\x90\x80\x80\"", 2, "UTF-8"},
        {"\"\xe0\x80\x80\"", 2, "UTF-8"},
        {"\"\xf0\x80\x80\x80\"", 2, "UTF-8"},
        {"\"\xc3\"", 2, "UTF-8"},
        {"\"\xe2\x82\"", 3, "UTF-8"},
        {"\"\xe2\x82", 3, "inside a string"},
        {"\"\x80\"", 1, "UTF-8"},
        {"\"a\nb\"", 2, "control"},
        {"\"\x1f\"", 1, "control"},
        {"\"\t\"", 1, "control"},
        {"\"\\x\"", 2, "backslash"},
        {"\"\\u12G4\"", 5, "hexadecimal"},
        {"\"\\ud800\"", 7, "half of a surrogate"},
        {"\"\\udc00\"", 6, "half of a surrogate"},
        {"\"\\ud800\\n\"", 8, "half of a surrogate"},
        {"\"\\ud800\\ud800\"", 12, "half of a surrogate"},
        {"\"\\ud800\\u0061\"", 12, "half of a surrogate"},
        {"\"\\ud800x\"", 7, "half of a surrogate"},
        {"\"abc", 4, "inside a string"},
        {"\"abc\\", 5, "inside a string"},
        {"\"abc\\u00", 8, "inside a string"},
    };

    expect_refused(cases, COUNT(cases));

    struct verdict raw_nul = judge((struct view){"\"\0\"", 3});
    cr_expect(eq(int, raw_nul.status, KIST_INVALID));
    cr_expect(eq(int, judge((struct view){"1\0", 2}).status, KIST_INVALID));
}

Test(json_check, a_name_may_stand_once_in_an_object_however_it_is_spelled)
{
    static const struct refused cases[] = {
        {"{\"a\":1,\"a\":2}", 7, "given twice"},
        {"{\"a\":1,\"\\u0061\":2}", 7, "given twice"},
        {"{\"\\u0000\":1,\"\\u0000\":2}", 12, "given twice"},
        {"{\"\":1,\"\":2}", 6, "given twice"},
        {"{\"\\/\":1,\"/\":2}", 8, "given twice"},
        {"{\"\\u00e9\":1,\"\xc3\xa9\":2}", 12, "given twice"},
        {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}", 18, "given twice"},
        {"{\"a\":{\"b\":1,\"c\":2},\"a\":2}", 19, "given twice"},
        {"[{\"x\":{\"b\":1,\"b\":2}}]", 13, "given twice"},
    };

    expect_refused(cases, COUNT(cases));
}

Test(json_check, depth_64_passes_and_any_deeper_is_refused_cheaply)
{
    struct blob deepest = repeat("[", 64, ""), deeper = repeat("[", 65, "");
    struct blob abyss = repeat("[", 100000, "");
    struct blob objects = repeat("{\"a\":", 65, "");

    for (int i = 0; i < 64; i++)
        blob_append_byte(&deepest, ']');
    cr_expect(eq(int, judge(blob_view(&deepest)).status, KIST_OK));
    cr_expect(eq(int, judge(blob_view(&deeper)).status, KIST_INVALID));

    struct verdict verdict = judge(blob_view(&abyss));
    cr_expect(eq(int, verdict.status, KIST_INVALID));
    cr_expect(eq(sz, verdict.fault.offset, 64));
    cr_expect(eq(sz, judge(blob_view(&objects)).fault.offset, 64 * 5));
    blob_free(&deepest);
    blob_free(&deeper);
    blob_free(&abyss);
    blob_free(&objects);
}

Test(json_check, a_refusal_is_repeated_whatever_follows)
{
    struct json_check check;
    enum json_type type;

    json_check_init(&check);
    cr_expect(eq(int, json_check_feed(&check, VIEW_LITERAL("[1,")), KIST_OK));
    cr_expect(
        eq(int, json_check_feed(&check, VIEW_LITERAL("}")), KIST_INVALID));
    cr_expect(
        eq(int, json_check_feed(&check, VIEW_LITERAL("1]")), KIST_INVALID));
    cr_expect(eq(int, json_check_finish(&check, &type), KIST_INVALID));
    cr_expect(eq(sz, check.fault.offset, 3));
    json_check_clear(&check);
}

Test(json_check, a_hundred_thousand_members_cost_no_more_than_their_bytes,
     .timeout = 10)
{
    struct blob text = BLOB_EMPTY;

    /* Objects inside, so that names come and go between the many. */
    blob_append_byte(&text, '{');
    for (unsigned i = 0; i < 100000; i++)
        blob_printf(&text, "\"%u\":{\"%u\":0},", i, i);
    blob_append_text(&text, "\"last\":0}");
    cr_expect(eq(int, whole(blob_view(&text)).status, KIST_OK));

    text.size--;
    blob_append_text(&text, ",\"77777\":0}");
    struct verdict verdict = whole(blob_view(&text));
    cr_expect(eq(int, verdict.status, KIST_INVALID));
    cr_expect(eq(sz, verdict.fault.offset, text.size - 10));
    blob_free(&text);
}

Test(json_check, a_mebibyte_of_escapes_or_of_empty_objects_passes)
{
    struct blob escapes = repeat("", 0, "\""), objects = repeat("", 0, "[");

    for (int i = 0; i < (1 << 20) / 6; i++)
        blob_append_text(&escapes, "\\u0041");
    blob_append_byte(&escapes, '"');
    for (int i = 0; i < (1 << 20) / 3; i++)
        blob_append_text(&objects, "{},");
    blob_append_text(&objects, "{}]");

    cr_expect(eq(int, whole(blob_view(&escapes)).status, KIST_OK));
    cr_expect(eq(int, whole(blob_view(&objects)).status, KIST_OK));
    blob_free(&escapes);
    blob_free(&objects);
}

enum opinion { ACCEPTS, REFUSES, HAS_NO_SAY };

/*
 * jansson is right except where it has limits of its own: numbers beyond
 * int64 or double, and NUL in member names. A raw NUL behind a number it
 * loses. Our depth limit it does not have.
 */
static enum opinion jansson_says(struct view text)
{
    json_error_t error;
    json_t *value = json_loadb(
        text.data, text.size,
        JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

    if (value != NULL) {
        json_decref(value);
        return memchr(text.data, '\0', text.size) == NULL ? ACCEPTS
                                                          : HAS_NO_SAY;
    }
    enum json_error_code code = json_error_code(&error);
    if (code == json_error_numeric_overflow ||
        code == json_error_null_byte_in_key)
        return HAS_NO_SAY;
    return REFUSES;
}

Test(json_check, jansson_agrees_on_200000_generated_texts, .timeout = 60)
{
    struct json_generator from = json_generator_new(8259);
    struct blob text = BLOB_EMPTY;
    unsigned accepted = 0, refused = 0;

    for (unsigned i = 0; i < 200000; i++) {
        blob_clear(&text);
        json_generator_value(&from, 1 + i % 5, &text);
        if (i % 4 != 0)
            json_generator_mutate(&from, &text);

        struct verdict verdict = whole(blob_view(&text));
        enum opinion opinion = jansson_says(blob_view(&text));
        if (opinion == HAS_NO_SAY)
            continue;
        cr_expect(eq(int, verdict.status == KIST_OK, opinion == ACCEPTS),
                  "text %u: %s: %.*s", i, verdict.fault.reason, (int)text.size,
                  text.data);
        accepted += opinion == ACCEPTS;
        refused += opinion == REFUSES;
    }
    /* Both answers must have been tried in earnest. */
    cr_expect(gt(uint, accepted, 40000), "%u", accepted);
    cr_expect(gt(uint, refused, 40000), "%u", refused);
    blob_free(&text);
}

Test(json_check, cuts_change_nothing_on_20000_generated_texts, .timeout = 60)
{
    struct json_generator from = json_generator_new(3629);
    struct blob text = BLOB_EMPTY;

    for (unsigned i = 0; i < 20000; i++) {
        blob_clear(&text);
        json_generator_value(&from, 4, &text);
        json_generator_mutate(&from, &text);

        struct verdict verdict = whole(blob_view(&text));
        size_t first = json_generator_below(&from, 40);
        cr_expect(same(verdict, chunked(blob_view(&text), first, 7)), "%.*s",
                  (int)text.size, text.data);
        cr_expect(same(verdict, chunked(blob_view(&text), 1, 1)), "%.*s",
                  (int)text.size, text.data);
    }
    blob_free(&text);
}
