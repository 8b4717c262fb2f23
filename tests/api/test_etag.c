/* Entity tags: RFC 9110, 8.8.3 and 13.1. */
#include "api/etag.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define ONE   "00000000000000010000000000000002"
#define OTHER "00000000000000030000000000000004"

TestSuite(etag, .timeout = 10);

struct list {
    const char *header;
    enum kist_status status;
    size_t strong; /* Tags of ours, compared strongly ... */
    size_t weak;   /* ... and weakly. */
};

static const struct list lists[] = {
    {"\"" ONE "\"", KIST_OK, 1, 1},
    {"W/\"" ONE "\"", KIST_OK, 0, 1},
    {"\"" ONE "\", \"" OTHER "\"", KIST_OK, 2, 2},
    {"\"" ONE "\",W/\"" OTHER "\"", KIST_OK, 1, 2},
    {"\t\"" ONE "\" \t,\t \"" OTHER "\" ", KIST_OK, 2, 2},
    /* Legal and somebody else's: it matches nothing. */
    {"\"\"", KIST_OK, 0, 0},
    {"\"xyzzy\"", KIST_OK, 0, 0},
    {"\"a,b\", \"" ONE "\"", KIST_OK, 1, 1},
    {"\"\xc3\xa9\"", KIST_OK, 0, 0},
    {"\"0000000000000001000000000000000A\"", KIST_OK, 0, 0},
    {"\"00000000000000000000000000000000\"", KIST_OK, 0, 0},
    /* Empty elements are what merged headers leave behind: RFC 9110, 5.6.1. */
    {"\"" ONE "\",", KIST_OK, 1, 1},
    {", ,\"" ONE "\",, \"" OTHER "\" , ,", KIST_OK, 2, 2},
    /* Malformed. */
    {"", KIST_INVALID, 0, 0},
    {" ", KIST_INVALID, 0, 0},
    {",", KIST_INVALID, 0, 0},
    {ONE, KIST_INVALID, 0, 0},
    {"\"" ONE, KIST_INVALID, 0, 0},
    {"\"", KIST_INVALID, 0, 0},
    {"w/\"" ONE "\"", KIST_INVALID, 0, 0},
    {"W/ \"" ONE "\"", KIST_INVALID, 0, 0},
    {"W/", KIST_INVALID, 0, 0},
    {"\"a b\"", KIST_INVALID, 0, 0},
    {"\"a\tb\"", KIST_INVALID, 0, 0},
    {"\"a\x7f\"", KIST_INVALID, 0, 0},
    {"\"" ONE "\" \"" OTHER "\"", KIST_INVALID, 0, 0},
    {"\"" ONE "\";\"" OTHER "\"", KIST_INVALID, 0, 0},
    {"*, \"" ONE "\"", KIST_INVALID, 0, 0},
    {"\"" ONE "\", *", KIST_INVALID, 0, 0},
    {"**", KIST_INVALID, 0, 0},
};

static void expect_list(const struct list *list,
                        enum etag_comparison comparison, size_t count)
{
    struct condition condition;
    bool any = true;
    enum kist_status status =
        etag_read_list(view_of(list->header), comparison, &any, &condition);

    cr_expect(eq(int, status, list->status), "`%s`", list->header);
    cr_expect(not(any), "`%s`", list->header);
    if (status == KIST_OK)
        cr_expect(eq(sz, condition.count, count), "`%s`", list->header);
}

Test(etag, each_list_gives_the_tags_that_are_ours)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        expect_list(&lists[i], ETAG_STRONG, lists[i].strong);
        expect_list(&lists[i], ETAG_WEAK, lists[i].weak);
    }
}

Test(etag, the_tags_keep_their_order_and_their_digits)
{
    struct condition condition;
    bool any;

    cr_assert(etag_read_list(VIEW_LITERAL("\"" OTHER "\",\"" ONE "\""),
                             ETAG_STRONG, &any, &condition) == KIST_OK);
    cr_expect(version_equal(condition.versions[0], (struct version){3, 4}));
    cr_expect(version_equal(condition.versions[1], (struct version){1, 2}));
}

Test(etag, a_star_alone_means_any)
{
    struct condition condition;
    bool any = false;

    cr_assert(etag_read_list(VIEW_LITERAL("*"), ETAG_STRONG, &any,
                             &condition) == KIST_OK);
    cr_expect(any);
    cr_expect(eq(sz, condition.count, 0));
}

Test(etag, one_tag_more_than_fits_is_too_large)
{
    struct blob header = BLOB_EMPTY;
    struct condition condition;
    bool any;

    for (int i = 0; i < CONDITION_VERSIONS; i++)
        blob_append_text(&header, "\"" ONE "\",W/\"" ONE "\",\"foreign\",");
    cr_expect(etag_read_list(blob_view(&header), ETAG_STRONG, &any,
                             &condition) == KIST_OK);
    cr_expect(eq(sz, condition.count, CONDITION_VERSIONS));
    blob_append_text(&header, "\"" ONE "\"");
    cr_expect(etag_read_list(blob_view(&header), ETAG_STRONG, &any,
                             &condition) == KIST_TOO_LARGE);
    blob_free(&header);
}

Test(etag, if_range_takes_one_strong_tag_of_ours)
{
    static const char *const others[] = {
        "",
        "*",
        "W/\"" ONE "\"",
        "\"xyzzy\"",
        "\"" ONE "\",\"" OTHER "\"",
        "\"" ONE "\" ",
        "Sat, 31 Jan 2026 09:15:02 GMT",
    };
    struct version version = VERSION_NONE;

    cr_expect(etag_read_one(VIEW_LITERAL("\"" ONE "\""), &version));
    cr_expect(version_equal(version, (struct version){1, 2}));
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        cr_expect(not(etag_read_one(view_of(others[i]), &version)), "`%s`",
                  others[i]);
}
