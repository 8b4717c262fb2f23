/*
 * An overlay without memory: the entry that failed left no trace, those
 * before it are there, and what was taken is freed.
 */
#include "storage/overlay.h"
#include "storage/record.h"
#include "tests/api/allocation.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(overlay_memory, .timeout = 20);

enum { KEYS = 200 }; /* Enough for the table to grow several times. */

static char keys[KEYS][8];

static enum kist_status set(struct overlay *overlay, size_t i,
                            const char *bytes)
{
    const struct record record = {.value = view_of(bytes)};
    struct blob encoded = BLOB_EMPTY;
    enum kist_status status;

    record_encode(view_of(keys[i]), &record, &encoded);
    if (encoded.failed) {
        blob_free(&encoded);
        return KIST_NO_MEMORY;
    }
    status = overlay_set(overlay, view_of(keys[i]), &encoded);
    cr_expect(encoded.data == NULL, "key %zu", i);
    return status;
}

/* bytes: NULL where the key must not be set. */
static void expect(const struct overlay *overlay, size_t i, const char *bytes)
{
    struct record record;
    struct view found;
    bool has = overlay_find(overlay, view_of(keys[i]), &found);

    cr_expect(eq(int, has, bytes != NULL), "key %zu", i);
    if (!has || bytes == NULL)
        return;
    cr_expect(record_decode(view_of(keys[i]), found, &record) == KIST_OK);
    cr_expect(view_is(record.value, bytes), "key %zu", i);
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
        status = set(&overlay, sets / 2, sets % 2 == 0 ? "old" : "new");
    *out_fired = allocation_disarm();
    cr_expect(eq(int, status, *out_fired ? KIST_NO_MEMORY : KIST_OK));
    if (status != KIST_OK)
        sets--;
    cr_expect(eq(sz, overlay.count, sets));
    for (size_t i = 0; i < KEYS; i++)
        expect(&overlay, i,
               2 * i + 1 < sets ? "new"
               : 2 * i < sets   ? "old"
                                : NULL);

    cr_expect(eq(int, set(&overlay, KEYS - 1, "late"), KIST_OK));
    expect(&overlay, KEYS - 1, "late");
    overlay_rewind(&overlay, sets / 2);
    expect(&overlay, 0, sets >= 4 ? "new" : sets >= 2 ? "old" : NULL);
    overlay_clear(&overlay);
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
