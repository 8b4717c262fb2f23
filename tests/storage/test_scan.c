#include "storage/scan.h"

#include "tests/storage/node.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

static struct node node;

static void set_up(void)
{
    static const char *const keys[] = {"a",   "a/1", "a/2/x", "a/2/y",
                                       "a/3", "b",   "b/1",   "c"};

    node_open(&node);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct write write = node_put(keys[i], "v");
        cr_assert(node_write(&node, &write) == KIST_OK);
    }
    struct write dead = node_put("a/2/dead", "v");
    dead.next.expiry_ms = 1;
    cr_assert(node_write(&node, &dead) == KIST_OK);
}

static void tear_down(void)
{
    node_close(&node);
}

TestSuite(scan, .init = set_up, .fini = tear_down, .timeout = 30);

struct listing {
    struct blob text;
    size_t limit;
};

static bool add_key(void *ctx, struct view key, const struct record *record)
{
    struct listing *listing = ctx;

    (void)record;
    blob_append(&listing->text, key);
    blob_append_byte(&listing->text, ' ');
    return --listing->limit > 0;
}

static bool add_prefix(void *ctx, struct view prefix)
{
    struct listing *listing = ctx;

    blob_append_byte(&listing->text, '*');
    return add_key(ctx, prefix, NULL);
}

/* All of the range in pages of `page` items and slices of `steps` records. */
static void expect_listing(const struct scan_range *range, size_t page,
                           size_t steps, const char *expected)
{
    struct listing listing = {BLOB_EMPTY, 0};
    struct scan_visitor visitor = {&listing, add_key, add_prefix};
    struct blob position = BLOB_EMPTY;
    bool done = false;

    while (!done) {
        struct scan scan;

        cr_assert(scan_init(&scan, node.store, range) == KIST_OK);
        if (position.size > 0)
            cr_assert(scan_resume(&scan, blob_view(&position)) == KIST_OK);
        listing.limit = page;
        while (listing.limit > 0 && !scan.done)
            cr_assert(scan_run(&scan, &visitor, 1000, steps) == KIST_OK);
        done = scan.done;
        blob_clear(&position);
        blob_append(&position, scan_position(&scan));
        scan_clear(&scan);
    }
    blob_append_byte(&listing.text, '\0');
    cr_expect(eq(str, listing.text.data, (char *)expected));
    blob_free(&listing.text);
    blob_free(&position);
}

static void expect_always(struct scan_range range, const char *expected)
{
    expect_listing(&range, 1000, 1000, expected);
    expect_listing(&range, 1, 1000, expected);
    expect_listing(&range, 2, 1, expected);
}

Test(scan, keys_come_in_order_of_their_bytes_in_any_slicing)
{
    expect_always((struct scan_range){0}, "a a/1 a/2/x a/2/y a/3 b b/1 c ");
    expect_always((struct scan_range){.reverse = true},
                  "c b/1 b a/3 a/2/y a/2/x a/1 a ");
}

Test(scan, a_prefix_and_bounds_cut_the_range_in_both_directions)
{
    expect_always((struct scan_range){.prefix = view_of("a/")},
                  "a/1 a/2/x a/2/y a/3 ");
    expect_always((struct scan_range){.prefix = view_of("a/"), .reverse = true},
                  "a/3 a/2/y a/2/x a/1 ");
    expect_always(
        (struct scan_range){.start = view_of("a/2"), .end = view_of("b/1")},
        "a/2/x a/2/y a/3 b ");
    expect_always((struct scan_range){.start = view_of("a/2"),
                                      .end = view_of("b/1"),
                                      .reverse = true},
                  "b a/3 a/2/y a/2/x ");
    expect_always((struct scan_range){.prefix = view_of("zz")}, "");
    expect_always(
        (struct scan_range){.start = view_of("b"), .end = view_of("a")}, "");
}

Test(scan, a_delimiter_folds_what_lies_behind_it)
{
    expect_always((struct scan_range){.delimiter = view_of("/")},
                  "a *a/ b *b/ c ");
    expect_always(
        (struct scan_range){.delimiter = view_of("/"), .reverse = true},
        "c *b/ b *a/ a ");
    expect_always(
        (struct scan_range){.prefix = view_of("a/"), .delimiter = view_of("/")},
        "a/1 *a/2/ a/3 ");
}
