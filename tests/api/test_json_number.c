#include "api/json_number.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static const struct {
    const char *a, *b;
    bool equal;
} cases[] = {
    {"1", "1", true},
    {"1", "1.0", true},
    {"1", "10e-1", true},
    {"1", "0.1e1", true},
    {"1", "0.0001e+4", true},
    {"100", "1e2", true},
    {"100", "1E+2", true},
    {"100.00", "0.1e3", true},
    {"0", "-0", true},
    {"0", "0.000e99", true},
    {"0", "0e-99999999999999999999999", true},
    {"1e400", "10e399", true},
    {"1e400", "10e398", false},
    {"123.456", "123456e-3", true},
    {"123.456", "123457e-3", false},
    {"1", "-1", false},
    {"-1", "-1.0", true},
    {"1", "10", false},
    {"1", "11", false},
    {"12", "1.2", false},
    {"0.5", "5", false},
    {"0.5", "50e-2", true},
    {"105", "15", false},
    {"1.05", "1.5", false},
    {"1e0", "1e-0", true},
    {"1e5", "1e-5", false},
    {"1e00005", "1e5", true},
    {"9007199254740993", "9007199254740992", false},
    {"0.1", "0.1000000000000000055511151231257827", false},
    {"123456789012345678901234567890", "12345678901234567890123456789e1", true},
    {"1e100000000000000000000000000000", "10e99999999999999999999999999999",
     true},
    {"1e100000000000000000000000000000", "1e99999999999999999999999999999",
     false},
    {"1e-100000000000000000000000000000", "0.1e-99999999999999999999999999999",
     true},
    {"1e99999999999999999999999999999", "1e-99999999999999999999999999999",
     false},
};

Test(json_number, equality_is_exact_and_by_value)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct view a = view_of(cases[i].a), b = view_of(cases[i].b);

        cr_expect(eq(int, json_number_equal(a, b), cases[i].equal), "%s %s",
                  cases[i].a, cases[i].b);
        cr_expect(eq(int, json_number_equal(b, a), cases[i].equal), "%s %s",
                  cases[i].b, cases[i].a);
    }
}
