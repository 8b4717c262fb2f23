#include "base/siphash.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

/* SipHash-1-3 of 0, 1, 2 ... under the key 00 01 .. 0f, as published. */
Test(siphash, published_vectors_hold)
{
    static const uint64_t expected[] = {0xABAC0158050FC4DC, 0xC9F49BF37D57CA93,
                                        0x82CB9B024DC7D44D, 0x8BF80AB8E7DDF7FB};
    struct siphash_key key = {0x0706050403020100, 0x0F0E0D0C0B0A0908};
    static const char bytes[] = {0, 1, 2, 3};

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        cr_expect(eq(u64, siphash(key, (struct view){bytes, i}), expected[i]),
                  "%zu bytes", i);
}

Test(siphash, the_process_key_is_a_secret_that_stays)
{
    struct siphash_key first = siphash_process_key();
    struct siphash_key second = siphash_process_key();

    cr_expect(eq(u64, first.low, second.low));
    cr_expect(eq(u64, first.high, second.high));
    cr_expect(ne(u64, first.low, first.high));
    cr_expect(ne(u64, first.low, 0));
}
