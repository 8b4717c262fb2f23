/* The Range header: RFC 9110, 14.1.2. */
#include "api/range.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(range, .timeout = 10);

struct wish {
    const char *header;
    uint64_t size;
    enum range_kind kind;
    uint64_t first;
    uint64_t count;
};

static const struct wish wishes[] = {
    /* The examples of the RFC, for a value of 10000 bytes. */
    {"bytes=0-499", 10000, RANGE_PART, 0, 500},
    {"bytes=500-999", 10000, RANGE_PART, 500, 500},
    {"bytes=-500", 10000, RANGE_PART, 9500, 500},
    {"bytes=9500-", 10000, RANGE_PART, 9500, 500},
    {"bytes=0-0,-1", 10000, RANGE_WHOLE, 0, 0}, /* Several: not served. */
    {"bytes= 0-0, 4500-", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=500-600,601-999", 10000, RANGE_WHOLE, 0, 0},
    /* Ends. */
    {"bytes=0-", 10, RANGE_PART, 0, 10},
    {"bytes=0-9", 10, RANGE_PART, 0, 10},
    {"bytes=0-10", 10, RANGE_PART, 0, 10},
    {"bytes=9-9", 10, RANGE_PART, 9, 1},
    {"bytes=9-", 10, RANGE_PART, 9, 1},
    {"bytes=3-18446744073709551615", 10, RANGE_PART, 3, 7},
    {"bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=10-10", 10, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=18446744073709551615-", 10, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
    /* From the end. */
    {"bytes=-1", 10, RANGE_PART, 9, 1},
    {"bytes=-10", 10, RANGE_PART, 0, 10},
    {"bytes=-11", 10, RANGE_PART, 0, 10},
    {"bytes=-18446744073709551615", 10, RANGE_PART, 0, 10},
    {"bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0},
    /* Malformed: as if it were not there. */
    {"", 10, RANGE_WHOLE, 0, 0},
    {"bytes", 10, RANGE_WHOLE, 0, 0},
    {"bytes=", 10, RANGE_WHOLE, 0, 0},
    {"bytes=-", 10, RANGE_WHOLE, 0, 0},
    {"bytes=5", 10, RANGE_WHOLE, 0, 0},
    {"bytes=5-4", 10, RANGE_WHOLE, 0, 0},
    {"bytes=0--4", 10, RANGE_WHOLE, 0, 0},
    {"bytes=+0-4", 10, RANGE_WHOLE, 0, 0},
    {"bytes=0x0-4", 10, RANGE_WHOLE, 0, 0},
    {"bytes=a-b", 10, RANGE_WHOLE, 0, 0},
    {"bytes=0-4,", 10, RANGE_WHOLE, 0, 0},
    {"bytes=0 - 4", 10, RANGE_WHOLE, 0, 0},
    {"bytes=0-18446744073709551616", 10, RANGE_WHOLE, 0, 0},
    {"bytes=18446744073709551616-", 10, RANGE_WHOLE, 0, 0},
    {"bytes 0-4", 10, RANGE_WHOLE, 0, 0},
    {"items=0-4", 10, RANGE_WHOLE, 0, 0},
    /* Names of units do not tell their case apart (14.1). */
    {"Bytes=0-4", 10, RANGE_PART, 0, 5},
    {"BYTES=-4", 10, RANGE_PART, 6, 4},
    {"bytes= 0-4 ", 10, RANGE_PART, 0, 5},
};

Test(range, each_header_gives_its_part_of_the_value)
{
    for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++) {
        const struct wish *wish = &wishes[i];
        uint64_t first = 0, count = 0;

        cr_expect(
            eq(int,
               range_read(view_of(wish->header), wish->size, &first, &count),
               wish->kind),
            "`%s`", wish->header);
        cr_expect(eq(u64, first, wish->first), "`%s`", wish->header);
        cr_expect(eq(u64, count, wish->count), "`%s`", wish->header);
    }
}

Test(range, no_header_means_the_whole_value)
{
    uint64_t first, count;

    cr_expect(eq(int, range_read((struct view){NULL, 0}, 10, &first, &count),
                 RANGE_WHOLE));
}
