#include "storage/hlc.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(hlc, it_never_repeats_and_never_goes_back)
{
    static const uint64_t wall[] = {1000, 1000, 1001, 400, 400, 1002};
    struct version last = VERSION_NONE;
    struct hlc hlc;

    hlc_init(&hlc, 1, 0);
    for (size_t i = 0; i < sizeof(wall) / sizeof(wall[0]); i++) {
        struct version next = hlc_next(&hlc, wall[i]);

        cr_expect(gt(int, version_compare(next, last), 0), "step %zu", i);
        last = next;
    }
    cr_expect(eq(u64, version_ms(last), 1002));
}

Test(hlc, a_full_counter_carries_into_the_milliseconds)
{
    struct version last = VERSION_NONE;
    struct hlc hlc;

    hlc_init(&hlc, 1, 0);
    for (int i = 0; i < 70000; i++) {
        struct version next = hlc_next(&hlc, 5);

        cr_assert(gt(int, version_compare(next, last), 0));
        last = next;
    }
    cr_expect(eq(u64, version_ms(last), 6));
}

Test(hlc, a_restart_with_the_wall_set_back_begins_above_the_lease)
{
    struct hlc before, after;
    struct version last;

    hlc_init(&before, 1, 0);
    last = hlc_next(&before, 1000000);
    uint64_t lease_ms = hlc_lease_due(&before, last);
    cr_assert(eq(u64, lease_ms, 1000000 + HLC_LEASE_MS));
    hlc_lease_written(&before, lease_ms);

    last = hlc_next(&before, 1000000 + HLC_LEASE_MS - 1);
    cr_assert(eq(u64, hlc_lease_due(&before, last), 0));

    hlc_init(&after, 1, lease_ms);
    cr_assert(gt(int, version_compare(hlc_next(&after, 5), last), 0));
    cr_expect(eq(u64, hlc_ahead_ms(&after, 5), lease_ms - 5));
}

Test(hlc, what_was_seen_is_passed_unless_it_is_far_ahead)
{
    struct version near = {(uint64_t)(1000 + HLC_FUTURE_MS) << 16, 9};
    struct version far = {(uint64_t)(1001 + HLC_FUTURE_MS) << 16, 9};
    struct hlc hlc;

    hlc_init(&hlc, 1, 0);
    cr_expect(not(hlc_observe(&hlc, far, 1000)));
    cr_expect(eq(u64, version_ms(hlc_next(&hlc, 1000)), 1000));
    cr_expect(hlc_observe(&hlc, near, 1000));
    cr_expect(gt(int, version_compare(hlc_next(&hlc, 1000), near), 0));
}
