#include "api/target.h"

#include "api/router.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

static enum target_fault split(const char *raw, const char *path,
                               const char *query)
{
    struct view found_path, found_query;
    enum target_fault fault =
        target_split(view_of(raw), &found_path, &found_query);

    if (fault == TARGET_FINE) {
        cr_expect(view_is(found_path, path), "%s: %.*s", raw,
                  (int)found_path.size, found_path.data);
        if (query == NULL)
            cr_expect(found_query.data == NULL, "%s", raw);
        else
            cr_expect(found_query.data != NULL && view_is(found_query, query),
                      "%s", raw);
    }
    return fault;
}

Test(target, a_target_is_a_path_and_maybe_a_query)
{
    cr_assert(split("/", "/", NULL) == TARGET_FINE);
    cr_assert(split("/kv/a", "/kv/a", NULL) == TARGET_FINE);
    cr_assert(split("/kv?", "/kv", "") == TARGET_FINE);
    cr_assert(split("/kv?a=1?b", "/kv", "a=1?b") == TARGET_FINE);
    cr_assert(split("*", "*", NULL) == TARGET_FINE);
    cr_assert(split("http://h:1/kv/a?b", "/kv/a", "b") == TARGET_FINE);
    cr_assert(split("HTTP://h", "/", NULL) == TARGET_FINE);
    cr_assert(split("//kv/a", "//kv/a", NULL) == TARGET_FINE);
}

Test(target, what_is_no_path_is_refused)
{
    cr_assert(split("", NULL, NULL) == TARGET_MALFORMED);
    cr_assert(split("kv/a", NULL, NULL) == TARGET_MALFORMED);
    cr_assert(split("**", NULL, NULL) == TARGET_MALFORMED);
    cr_assert(split("host:80", NULL, NULL) == TARGET_MALFORMED);
    cr_assert(split("http://h?a", NULL, NULL) == TARGET_MALFORMED);
    cr_assert(split("/a b", NULL, NULL) == TARGET_BYTES);
    cr_assert(split("/a\tb", NULL, NULL) == TARGET_BYTES);
    cr_assert(split("/a\x7f", NULL, NULL) == TARGET_BYTES);
    cr_assert(split("/a#b", NULL, NULL) == TARGET_FRAGMENT);
}

/* Fills the room to its end, so that a byte too many is noticed. */
static enum target_fault key(const char *raw, struct view *out_key)
{
    static char room[4096];

    cr_assert(lt(sz, strlen(raw), sizeof(room)));
    return target_key(view_of(raw), room, out_key);
}

static void expect_key(const char *raw, const char *expected)
{
    struct view found;

    cr_expect(key(raw, &found) == TARGET_FINE, "%s", raw);
    cr_expect(view_is(found, expected), "%s: %.*s", raw, (int)found.size,
              found.data);
}

Test(target, a_key_is_decoded_exactly_once)
{
    expect_key("a", "a");
    expect_key("a/b", "a/b");
    expect_key("a%2Fb", "a/b");
    expect_key("a%2fb", "a/b");
    expect_key("/a", "/a");
    expect_key("a//b/", "a//b/");
    expect_key("%252e", "%2e");
    expect_key("a+b", "a+b");
    expect_key("%C3%A4", "\xc3\xa4");
    expect_key("\xc3\xa4", "\xc3\xa4");
    expect_key("a&b=c", "a&b=c");
    expect_key("...", "...");
    expect_key(".a", ".a");
    expect_key("a..", "a..");
}

Test(target, keys_that_are_not_allowed_are_named)
{
    static const struct {
        const char *raw;
        enum target_fault fault;
    } keys[] = {
        {"", TARGET_KEY_EMPTY},           {"%", TARGET_KEY_ESCAPE},
        {"a%2", TARGET_KEY_ESCAPE},       {"%zz", TARGET_KEY_ESCAPE},
        {"%2z", TARGET_KEY_ESCAPE},       {"a%00b", TARGET_KEY_CONTROL},
        {"a%0d%0ab", TARGET_KEY_CONTROL}, {"%7f", TARGET_KEY_CONTROL},
        {"%ff", TARGET_KEY_ENCODING},     {"%c0%af", TARGET_KEY_ENCODING},
        {".", TARGET_KEY_DOTS},           {"..", TARGET_KEY_DOTS},
        {"%2e", TARGET_KEY_DOTS},         {"%2e%2E", TARGET_KEY_DOTS},
        {"a/../b", TARGET_KEY_DOTS},      {"a/./b", TARGET_KEY_DOTS},
        {"a/..", TARGET_KEY_DOTS},        {"../a", TARGET_KEY_DOTS},
        {"%2e%2e%2fa", TARGET_KEY_DOTS},
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct view found;
        enum target_fault fault = key(keys[i].raw, &found);

        cr_expect(fault == keys[i].fault, "%s: %d", keys[i].raw, (int)fault);
        cr_expect(target_fault_detail(fault)[0] != '\0');
        cr_expect(problem_row(target_fault_problem(fault))->code == 400);
    }
}

Test(target, a_key_has_at_most_1024_bytes_after_decoding)
{
    char raw[3 * 1025 + 1] = "";
    struct view found;

    for (int i = 0; i < 1024; i++)
        memcpy(raw + i * 3, "%41", 4);
    cr_assert(key(raw, &found) == TARGET_FINE);
    cr_assert(eq(sz, found.size, 1024));
    memcpy(raw + 1024 * 3, "%41", 4);
    cr_assert(key(raw, &found) == TARGET_KEY_LONG);
    cr_assert(target_fault_problem(TARGET_KEY_LONG) == PROBLEM_KEY_TOO_LONG);
}

#define ALLOWED (TAKES(PARAMETER_TTL) | TAKES(PARAMETER_PREFIX))

static struct {
    struct view parameters[PARAMETERS];
    struct view name;
    char room[256];
} query;

static enum target_fault read_query(const char *raw)
{
    memset(&query, 0, sizeof(query));
    return target_query(view_of(raw), ALLOWED, query.room, query.parameters,
                        &query.name);
}

Test(target, parameters_are_decoded_with_plus_as_a_space)
{
    cr_assert(read_query("ttl=5&prefix=a+b%2B%26%3D") == TARGET_FINE);
    cr_assert(view_is(query.parameters[PARAMETER_TTL], "5"));
    cr_assert(view_is(query.parameters[PARAMETER_PREFIX], "a b+&="));
    cr_assert(read_query("%74tl=a=b") == TARGET_FINE);
    cr_assert(view_is(query.parameters[PARAMETER_TTL], "a=b"));
    cr_assert(read_query("&ttl&") == TARGET_FINE);
    cr_assert(query.parameters[PARAMETER_TTL].data != NULL);
    cr_assert(eq(sz, query.parameters[PARAMETER_TTL].size, 0));
    cr_assert(query.parameters[PARAMETER_PREFIX].data == NULL);
    cr_assert(read_query("") == TARGET_FINE);
}

Test(target, parameters_that_are_unknown_doubled_or_malformed_are_named)
{
    cr_assert(read_query("tll=5") == TARGET_PARAMETER_UNKNOWN);
    cr_assert(view_is(query.name, "tll"));
    cr_assert(read_query("limit=5") == TARGET_PARAMETER_UNKNOWN);
    cr_assert(read_query("TTL=5") == TARGET_PARAMETER_UNKNOWN);
    cr_assert(read_query("=5") == TARGET_PARAMETER_UNKNOWN);
    cr_assert(read_query("ttl=1&ttl=1") == TARGET_PARAMETER_TWICE);
    cr_assert(view_is(query.name, "ttl"));
    cr_assert(read_query("ttl=%") == TARGET_PARAMETER_ESCAPE);
    cr_assert(read_query("t%tl=1") == TARGET_PARAMETER_ESCAPE);
}
