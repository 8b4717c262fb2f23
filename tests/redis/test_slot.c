#include "storage/redis_slot.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

Test(redis_slot, is_where_redis_puts_a_key)
{
    static const struct {
        const char *key;
        unsigned slot;
    } cases[] = {
        {"foo", 12182},        {"{user}a", 5474}, {"{user}b", 5474},
        {"a{user}b{x}", 5474}, {"user", 5474},
    };

    cr_expect(eq(uint, redis_slot_crc16(view_of("123456789")), 0x31C3));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect(eq(uint, redis_slot(view_of(cases[i].key)), cases[i].slot),
                  "%s", cases[i].key);
}

Test(redis_slot, of_a_tag_that_is_none_is_that_of_the_whole_key)
{
    static const char *const keys[] = {"{}x", "{x", "x}", "}{", "x{}{user}"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_expect(eq(uint, redis_slot(view_of(keys[i])),
                     redis_slot_crc16(view_of(keys[i])) % REDIS_SLOTS),
                  "%s", keys[i]);
    cr_expect(eq(uint, redis_slot((struct view){NULL, 0}), 0));
}

Test(redis_slot, tags_lie_in_the_first_slot_of_their_shard)
{
    struct redis_slot_tags tags;

    redis_slot_find_tags(&tags);
    for (unsigned i = 0; i < REDIS_SLOT_SHARDS; i++) {
        char name[40];

        snprintf(name, sizeof name, "kist{%u}:any {key}", tags.tags[i]);
        cr_expect(
            eq(uint, redis_slot(view_of(name)), i * REDIS_SLOT_SHARD_SLOTS));
    }
    /* All that is stored is named by them: they must never change. */
    cr_expect(eq(uint, tags.tags[0], 3560));
    cr_expect(eq(uint, tags.tags[255], 21503));
}
