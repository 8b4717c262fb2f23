/*
 * An overlay without memory: the entry that failed left no trace, those
 * before it are there, and all is freed.
 */
#include "storage/overlay.h"
#include "tests/api/allocation.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(overlay_memory, .timeout = 20);

enum { KEYS = 600 }; /* Enough for the table to grow several times. */

enum { OLD, NEW, LATE, NOWHERE };

static char keys[KEYS][8];

static enum kist_status set(struct overlay *overlay, size_t i, size_t place)
{
    return overlay_set(overlay, view_of(keys[i]),
                       (struct engine_place){place, 1});
}

/* place: NOWHERE where the key must not be set. */
static void expect(const struct overlay *overlay, size_t i, size_t place)
{
    struct engine_place found = {NOWHERE, 0};
    bool has = overlay_find(overlay, view_of(keys[i]), &found);

    cr_expect(eq(int, has, place != NOWHERE), "key %zu", i);
    cr_expect(eq(sz, found.offset, place), "key %zu", i);
}

/* Each key is set twice in a row; the n-th allocation from here fails. */
static void fail_at(unsigned nth, enum allocation_failure failure,
                    bool *out_fired)
{
    struct overlay overlay = {0};
    enum kist_status status = KIST_OK;
    size_t sets = 0;

    allocation_arm(nth, failure);
    for (; sets < 2 * KEYS && status == KIST_OK; sets++)
        status = set(&overlay, sets / 2, sets % 2 == 0 ? OLD : NEW);
    *out_fired = allocation_disarm();
    cr_expect(eq(int, status, *out_fired ? KIST_NO_MEMORY : KIST_OK));
    if (status != KIST_OK)
        sets--;
    cr_expect(eq(sz, overlay.count, sets));
    for (size_t i = 0; i < KEYS; i++)
        expect(&overlay, i,
               2 * i + 1 < sets ? NEW
               : 2 * i < sets   ? OLD
                                : NOWHERE);

    cr_expect(eq(int, set(&overlay, KEYS - 1, LATE), KIST_OK));
    expect(&overlay, KEYS - 1, LATE);
    overlay_rewind(&overlay, sets / 2);
    expect(&overlay, 0, sets >= 4 ? NEW : sets >= 2 ? OLD : NOWHERE);
    overlay_free(&overlay);
    cr_expect(eq(long, allocation_live(), 0), "allocation %u", nth);
}

static void fail_each(enum allocation_failure failure)
{
    bool fired = true;

    for (size_t i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
    for (unsigned nth = 0; fired; nth++)
        fail_at(nth, failure, &fired);
}

Test(overlay_memory, one_failure_leaves_no_trace)
{
    fail_each(ALLOCATION_FAILS_ONCE);
}

Test(overlay_memory, lasting_failure_leaves_no_trace)
{
    fail_each(ALLOCATION_FAILS_FROM_THEN_ON);
}
