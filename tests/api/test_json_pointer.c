#include "api/json_check.h"
#include "api/json_pointer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* RFC 6901, section 5. */
static const char rfc_document[] = "{\n"
                                   "   \"foo\": [\"bar\", \"baz\"],\n"
                                   "   \"\": 0,\n"
                                   "   \"a/b\": 1,\n"
                                   "   \"c%d\": 2,\n"
                                   "   \"e^f\": 3,\n"
                                   "   \"g|h\": 4,\n"
                                   "   \"i\\\\j\": 5,\n"
                                   "   \"k\\\"l\": 6,\n"
                                   "   \" \": 7,\n"
                                   "   \"m~n\": 8\n"
                                   "}";

struct lookup {
    const char *text;
    const char *pointer;
    const char *part; /* NULL: there is none. */
};

/* The same place by a walk over a tree; NULL if there is none. */
static struct view walked(struct json_tree *tree, struct view text,
                          struct view pointer)
{
    struct json_pointer parsed;
    struct json_node *root, *node;
    struct blob out = BLOB_EMPTY;
    struct view copy = {NULL, 0};

    cr_assert(eq(int, json_tree_read(tree, text, &root), KIST_OK));
    cr_assert(
        eq(int, json_pointer_parse(&tree->arena, pointer, &parsed), KIST_OK));
    enum kist_status status =
        json_pointer_walk(tree, &parsed, parsed.count, root, &node);
    if (status != KIST_OK) {
        cr_expect(eq(int, status, KIST_NOT_FOUND));
        return copy;
    }
    cr_assert(eq(int, json_tree_write(node, &out), KIST_OK));
    cr_assert(
        eq(int, arena_copy(&tree->arena, blob_view(&out), &copy), KIST_OK));
    blob_free(&out);
    return copy;
}

static void expect_lookup(const struct lookup *lookup)
{
    struct view text = view_of(lookup->text);
    struct view pointer = view_of(lookup->pointer), part = {NULL, 0};
    struct json_fault fault;
    enum json_type type;
    struct json_tree tree;

    cr_assert(eq(int, json_check(text, &fault, &type), KIST_OK));
    enum kist_status status = json_pointer_find(text, pointer, &part);
    cr_expect(eq(int, status, lookup->part ? KIST_OK : KIST_NOT_FOUND),
              "%s in %s", lookup->pointer, lookup->text);
    if (lookup->part != NULL)
        cr_expect(view_is(part, lookup->part), "%s in %s gave %.*s",
                  lookup->pointer, lookup->text, (int)part.size, part.data);

    json_tree_init(&tree, text.size + pointer.size);
    struct view other = walked(&tree, text, pointer);
    cr_expect(eq(int, other.data != NULL, lookup->part != NULL), "%s in %s",
              lookup->pointer, lookup->text);
    if (lookup->part != NULL)
        cr_expect(view_is(other, lookup->part), "%s in %s by the tree",
                  lookup->pointer, lookup->text);
    json_tree_clear(&tree);
}

Test(json_pointer, the_examples_of_the_rfc_hold)
{
    static const struct lookup cases[] = {
        {rfc_document, "", rfc_document},
        {rfc_document, "/foo", "[\"bar\", \"baz\"]"},
        {rfc_document, "/foo/0", "\"bar\""},
        {rfc_document, "/", "0"},
        {rfc_document, "/a~1b", "1"},
        {rfc_document, "/c%d", "2"},
        {rfc_document, "/e^f", "3"},
        {rfc_document, "/g|h", "4"},
        {rfc_document, "/i\\j", "5"},
        {rfc_document, "/k\"l", "6"},
        {rfc_document, "/ ", "7"},
        {rfc_document, "/m~0n", "8"},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        expect_lookup(&cases[i]);
}

Test(json_pointer, arrays_have_plain_indices_and_nothing_at_dash)
{
    static const struct lookup cases[] = {
        {"[10,11,12]", "/0", "10"},
        {"[10,11,12]", "/2", "12"},
        {"[10,11,12]", "/3", NULL},
        {"[10,11,12]", "/-", NULL},
        {"[10,11,12]", "/00", NULL},
        {"[10,11,12]", "/01", NULL},
        {"[10,11,12]", "/-1", NULL},
        {"[10,11,12]", "/+1", NULL},
        {"[10,11,12]", "/1e0", NULL},
        {"[10,11,12]", "/", NULL},
        {"[10,11,12]", "/18446744073709551616", NULL},
        {"[]", "/0", NULL},
        {"{\"0\":1,\"-\":2}", "/0", "1"},
        {"{\"0\":1,\"-\":2}", "/-", "2"},
        {"[[1,[2,3]],4]", "/0/1/1", "3"},
        {"[[1,[2,3]],4]", "/1", "4"},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        expect_lookup(&cases[i]);
}

Test(json_pointer, names_are_compared_by_what_they_mean)
{
    static const struct lookup cases[] = {
        {"{\"\\u0061\":1}", "/a", "1"},
        {"{\"a\":1}", "/\\u0061", NULL},
        {"{\"\\u00e9\":1}", "/\xc3\xa9", "1"},
        {"{\"\\ud83d\\ude00\":1}", "/\xf0\x9f\x98\x80", "1"},
        {"{\"~1\":1}", "/~01", "1"},
        {"{\"/\":{\"~\":1}}", "/~1/~0", "1"},
        {"{\"a\":{\"\":{\"\":[3]}}}", "/a///0", "3"},
        {"{\"ab\":1,\"a\":2}", "/a", "2"},
        {"{\"a\":1}", "/ab", NULL},
        {"{\"a\":\"}]\\\"\",\"b\": { } , \"c\":[ 1 ]}", "/c", "[ 1 ]"},
        {"{\"a\":1}", "/a/b", NULL},
        {"\"text\"", "/0", NULL},
        {" 5 ", "", "5"},
    };

    for (size_t i = 0; i + 1 < COUNT(cases); i++)
        expect_lookup(&cases[i]);

    struct view part; /* The tree keeps the white space of a whole text. */
    cr_expect(
        eq(int, json_pointer_find(VIEW_LITERAL(" 5 "), VIEW_LITERAL(""), &part),
           KIST_OK));
    cr_expect(view_is(part, "5"));
}

Test(json_pointer, what_is_no_pointer_is_invalid)
{
    static const char *const cases[] = {"a",   "a/b", "/~",  "/~2",
                                        "/a~", "/~/", "#/a", "~0"};
    struct view part;

    for (size_t i = 0; i < COUNT(cases); i++)
        cr_expect(
            eq(int,
               json_pointer_find(VIEW_LITERAL("{}"), view_of(cases[i]), &part),
               KIST_INVALID),
            "%s", cases[i]);
}
