/* Preferences: RFC 7240. */
#include "api/prefer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(prefer, .timeout = 10);

struct wish {
    const char *header;
    bool representation;
    bool waits;
    unsigned wait_s;
};

static const struct wish wishes[] = {
    {"", false, false, 0},
    {"return=representation", true, false, 0},
    {"return=minimal", false, false, 0},
    {"Return = representation", true, false, 0},
    {"return=\"representation\"", true, false, 0},
    {"wait=0", false, true, 0},
    {"wait=30", false, true, 30},
    {"WAIT=30", false, true, 30},
    {"wait=\"30\"", false, true, 30},
    {"wait=300", false, true, 300},
    {"wait=301", false, true, 300},
    {"wait=18446744073709551615", false, true, 300},
    {"return=representation, wait=5", true, true, 5},
    {" wait=5 ; x=y ,\treturn=representation;z", true, true, 5},
    {"respond-async, wait=10", false, true, 10}, /* Of the RFC, 4.3. */
    {",,wait=5,,", false, true, 5},
    /* What is unknown or malformed counts as not written. */
    {"wait", false, false, 0},
    {"wait=", false, false, 0},
    {"wait=-1", false, false, 0},
    {"wait=1.5", false, false, 0},
    {"wait=18446744073709551616", false, false, 0},
    {"wait=5s", false, false, 0},
    {"return", false, false, 0},
    {"return=everything", false, false, 0},
    {"xwait=5, returns=representation", false, false, 0},
    {"priority=5; wait=10", false, false, 0},
    /* The first of several counts (section 2). */
    {"return=minimal, return=representation", false, false, 0},
    {"return=representation, return=minimal", true, false, 0},
    {"wait=5, wait=10", false, true, 5},
    /* What stands in quotes is a value and no preference. */
    {"foo=\"a, wait=5\"", false, false, 0},
    {"foo=\"a; b\", wait=5", false, true, 5},
    {"foo=\"\\\", wait=5\", return=representation", true, false, 0},
    {"foo=\"wait=5, return=representation", false, false, 0},
};

Test(prefer, each_header_gives_the_preferences_that_are_honoured)
{
    for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++) {
        const struct wish *wish = &wishes[i];
        struct prefer prefer = prefer_read(view_of(wish->header));

        cr_expect(eq(int, prefer.representation, wish->representation), "`%s`",
                  wish->header);
        cr_expect(eq(int, prefer.waits, wish->waits), "`%s`", wish->header);
        cr_expect(eq(uint, prefer.wait_s, wish->wait_s), "`%s`", wish->header);
    }
}

Test(prefer, no_header_prefers_nothing)
{
    struct prefer prefer = prefer_read((struct view){NULL, 0});

    cr_expect(not(prefer.representation));
    cr_expect(not(prefer.waits));
}
