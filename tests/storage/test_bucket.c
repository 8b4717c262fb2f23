#include "storage/bucket.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

enum { COUNT = 1000 };

static struct record record_at(unsigned i)
{
    return (struct record){.version = {i + 1, 7}, .tombstone = i % 3 == 0};
}

static void add(struct bucket_sum *sum, unsigned i, bool subtract)
{
    struct bucket_secret secret = bucket_secret_of(42);
    struct record record = record_at(i);
    char key[16];

    snprintf(key, sizeof(key), "key %u", i);
    if (subtract)
        bucket_subtract(sum, &secret, view_of(key), &record);
    else
        bucket_add(sum, &secret, view_of(key), &record);
}

Test(bucket, the_order_does_not_matter)
{
    struct bucket_sum up = {0}, down = {0};

    for (unsigned i = 0; i < COUNT; i++) {
        add(&up, i, false);
        add(&down, COUNT - 1 - i, false);
    }
    cr_expect(bucket_sum_equal(up, down));
}

/* Carries and borrows between the halves come up about half of the time. */
Test(bucket, what_is_taken_out_leaves_no_trace)
{
    struct bucket_sum sum = {0};

    for (unsigned i = 0; i < COUNT; i++)
        add(&sum, i, false);
    cr_expect(not(bucket_sum_equal(sum, (struct bucket_sum){0})));
    for (unsigned i = 0; i < COUNT; i++)
        add(&sum, i * 7 % COUNT, true);
    cr_expect(bucket_sum_equal(sum, (struct bucket_sum){0}));
}

Test(bucket, every_part_of_a_record_counts_that_copies_share)
{
    struct bucket_secret secret = bucket_secret_of(42);
    struct view key = VIEW_LITERAL("ada");
    struct record base = {.version = {5, 6}};
    struct record others[] = {
        {.version = {4, 6}},
        {.version = {5, 5}},
        {.version = {5, 6}, .tombstone = true},
        {.version = {5, 6}, .expiry_ms = 1},
    };
    struct bucket_sum sum = {0};

    bucket_add(&sum, &secret, key, &base);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct bucket_sum other = {0};

        bucket_add(&other, &secret, key, &others[i]);
        cr_expect(not(bucket_sum_equal(sum, other)), "%zu", i);
    }
    struct bucket_sum other_key = {0};
    bucket_add(&other_key, &secret, VIEW_LITERAL("adb"), &base);
    cr_expect(not(bucket_sum_equal(sum, other_key)));
}

Test(bucket, another_cluster_has_other_numbers)
{
    struct bucket_secret secret = bucket_secret_of(43);
    struct bucket_sum here = {0}, there = {0};
    struct record record = record_at(1);

    add(&here, 1, false);
    bucket_add(&there, &secret, VIEW_LITERAL("key 1"), &record);
    cr_expect(not(bucket_sum_equal(here, there)));
}

/* Stored and sent: another release must compute the same. */
Test(bucket, its_numbers_stay_what_they_are)
{
    struct bucket_sum sum = {0};

    add(&sum, 1, false);
    cr_expect(eq(u64, sum.high, 0xc287a701268c694a), "%#lx", sum.high);
    cr_expect(eq(u64, sum.low, 0x83253d283e388ce9), "%#lx", sum.low);
}
