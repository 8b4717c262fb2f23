/* What the writes of a batch in the making see of each other. */
#include "storage/overlay.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

/* A test is a process of its own. */
static struct overlay overlay;
static struct engine_batch batch;

static void tear_down(void)
{
    overlay_free(&overlay);
    engine_batch_free(&batch);
}

TestSuite(overlay, .fini = tear_down, .timeout = 10);

static void set(const char *key, const char *bytes)
{
    struct engine_place place =
        engine_batch_put(&batch, view_of(key), view_of(bytes));

    cr_assert(overlay_set(&overlay, view_of(key), place) == KIST_OK);
}

/* bytes: NULL where the key was not set. */
static void expect(const char *key, const char *bytes)
{
    struct engine_place found;
    bool has = overlay_find(&overlay, view_of(key), &found);

    cr_assert(eq(int, has, bytes != NULL), "%s", key);
    if (has)
        cr_expect(view_is(engine_batch_at(&batch, found), bytes), "%s", key);
}

Test(overlay, the_last_entry_of_a_key_counts)
{
    expect("a", NULL);
    set("a", "1");
    set("b", "2");
    expect("a", "1");
    set("a", "3");
    expect("a", "3");
    expect("b", "2");
    expect("ab", NULL);
    expect("", NULL);
}

Test(overlay, an_empty_record_says_that_there_is_none)
{
    set("a", "1");
    set("a", "");
    expect("a", "");
}

Test(overlay, keys_are_compared_by_all_their_bytes)
{
    struct engine_place record = {0}, found;

    cr_assert(overlay_set(&overlay, VIEW_LITERAL("a\0b"), record) == KIST_OK);
    cr_expect(not(overlay_find(&overlay, VIEW_LITERAL("a\0c"), &found)));
    cr_expect(not(overlay_find(&overlay, VIEW_LITERAL("a"), &found)));
    cr_expect(overlay_find(&overlay, VIEW_LITERAL("a\0b"), &found));
}

Test(overlay, going_back_shows_what_was_there_before)
{
    size_t before, within;

    set("a", "1");
    before = overlay.count;
    set("a", "2");
    set("b", "3");
    within = overlay.count;
    set("a", "");
    set("c", "4");

    overlay_rewind(&overlay, within);
    expect("a", "2");
    expect("b", "3");
    expect("c", NULL);
    overlay_rewind(&overlay, before);
    expect("a", "1");
    expect("b", NULL);
    overlay_rewind(&overlay, before);
    expect("a", "1");
    set("b", "5");
    expect("b", "5");
    overlay_rewind(&overlay, 0);
    expect("a", NULL);
    expect("b", NULL);
}

Test(overlay, cleared_it_is_as_new)
{
    set("a", "1");
    overlay_clear(&overlay);
    cr_expect(eq(sz, overlay.count, 0));
    expect("a", NULL);
    set("a", "2");
    expect("a", "2");
    overlay_clear(&overlay);
    overlay_clear(&overlay);
}

Test(overlay, it_goes_back_among_thousands_of_keys)
{
    static char keys[5000][8];

    for (size_t i = 0; i < 5000; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        set(keys[i], "old");
    }
    for (size_t i = 0; i < 5000; i += 2)
        set(keys[i], "new");
    for (size_t i = 0; i < 5000; i++)
        expect(keys[i], i % 2 == 0 ? "new" : "old");
    overlay_rewind(&overlay, 5000);
    for (size_t i = 0; i < 5000; i++)
        expect(keys[i], "old");
    overlay_rewind(&overlay, 2500);
    for (size_t i = 0; i < 5000; i++)
        expect(keys[i], i < 2500 ? "old" : NULL);
}
