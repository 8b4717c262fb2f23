/* Whole numbers as counters hold them. */
#include "api/integer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(integer, .timeout = 10);

static const struct {
    const char *text;
    int64_t number;
} numbers[] = {
    {"0", 0},
    {"-0", 0},
    {"1", 1},
    {"-1", -1},
    {"10", 10},
    {"9223372036854775807", INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
    {"-9223372036854775807", -INT64_MAX},
};

Test(integer, every_number_of_64_bits_is_read)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        int64_t number = 7;

        cr_expect(integer_read(view_of(numbers[i].text), &number), "%s",
                  numbers[i].text);
        cr_expect(eq(i64, number, numbers[i].number), "%s", numbers[i].text);
    }
}

Test(integer, what_json_would_not_call_a_whole_number_is_refused)
{
    static const char *const texts[] = {
        "",     "-",    "+1",  "00",
        "01",   "-00",  "-01", "--1",
        "1.0",  "1e2",  " 1",  "1 ",
        "0x10", "null", "-a",  "9223372036854775808",
        "1,0",  "1-",   "\"1", "-9223372036854775809",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int64_t number = 7;

        cr_expect(not(integer_read(view_of(texts[i]), &number)), "`%s`",
                  texts[i]);
        cr_expect(eq(i64, number, 7), "`%s`", texts[i]);
    }
}
