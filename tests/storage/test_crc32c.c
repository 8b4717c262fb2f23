#include "storage/crc32c.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(crc32c, gives_the_published_values)
{
    static const char zeros[32];
    struct crc32c crc;

    crc32c_init(&crc);
    cr_assert(eq(u32, crc32c_of(&crc, VIEW_LITERAL("123456789")), 0xE3069283));
    cr_assert(eq(u32, crc32c_of(&crc, (struct view){zeros, 32}), 0x8A9136AA));
    cr_assert(zero(u32, crc32c_of(&crc, VIEW_LITERAL(""))));
}
