/* Points in time as RFC 3339 and HTTP spell them. */
#include "api/moment.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <time.h>

TestSuite(moment, .timeout = 10);

#define DAY_MS UINT64_C(86400000)

struct moment {
    const char *text;
    uint64_t ms;
};

static const struct moment moments[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01T00:00:00.001Z", 1},
    {"1970-01-01T00:00:00-00:00", 0},
    {"1970-01-01t00:00:00z", 0},
    {"1970-01-01T23:59:00+23:59", 0},
    {"1969-12-31T23:30:00-01:00", 1800000}, /* Already 1970, in UTC. */
    {"1970-01-01T01:00:00+00:59", 60000},
    /* The examples of RFC 3339, 5.8. */
    {"1985-04-12T23:20:50.52Z", UINT64_C(482196050520)},
    {"1996-12-19T16:39:57-08:00", UINT64_C(851042397000)},
    {"1990-12-31T23:59:60Z", UINT64_C(662688000000)},
    {"1990-12-31T15:59:60-08:00", UINT64_C(662688000000)},
    /* Fractions: three digits count, nine are read. */
    {"2026-01-31T09:15:02.1Z", UINT64_C(1769850902100)},
    {"2026-01-31T09:15:02.12Z", UINT64_C(1769850902120)},
    {"2026-01-31T09:15:02.123999999Z", UINT64_C(1769850902123)},
    {"2026-01-31T09:15:02.000000000+00:00", UINT64_C(1769850902000)},
    {"1990-12-31T23:59:60.5Z", UINT64_C(662688000500)},
    /* Leap years, those of centuries among them. */
    {"2024-02-29T00:00:00Z", UINT64_C(1709164800000)},
    {"2000-02-29T00:00:00Z", UINT64_C(951782400000)},
    {"2038-01-19T03:14:08Z", UINT64_C(2147483648000)},
    {"9999-12-31T23:59:59.999Z", UINT64_C(253402300799999)},
};

static const char *const no_moments[] = {
    "",
    "2026",
    "2026-01-31",
    "2026-01-31T09:15Z",
    "2026-01-31T09:15:02",
    "2026-01-31 09:15:02Z",
    " 2026-01-31T09:15:02Z",
    "2026-01-31T09:15:02Z ",
    "2026-1-31T09:15:02Z",
    "+2026-01-31T09:15:02Z",
    "12026-01-31T09:15:02Z",
    "2026-01-31T09:15:02.Z",
    "2026-01-31T09:15:02,5Z",
    "2026-01-31T09:15:02.1234567890Z",
    "2026-01-31T9:15:02Z",
    "2026-01-31T+9:15:02Z",
    "2026-01-31T24:00:00Z",
    "2026-01-31T09:60:02Z",
    "2026-01-31T09:15:61Z",
    "2026-01-31T09:15:02+24:00",
    "2026-01-31T09:15:02+00:60",
    "2026-01-31T09:15:02+0100",
    "2026-01-31T09:15:02+01",
    "2026-01-31T09:15:02+01:0",
    "2026-01-31T09:15:02GMT",
    "2026-00-31T09:15:02Z",
    "2026-13-31T09:15:02Z",
    "2026-01-00T09:15:02Z",
    "2026-01-32T09:15:02Z",
    "2026-02-31T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    /* A day that does not exist has no leap second, either. */
    "2026-02-31T23:59:60Z",
    "2026-02-29T23:59:60Z",
    /* A leap second is the last one of a day in UTC. */
    "2026-01-31T09:15:60Z",
    "1990-12-31T23:59:60-08:00",
    /* Before 1970. */
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+00:01",
    "0000-01-01T00:00:00Z",
};

Test(moment, every_rfc_3339_spelling_is_read)
{
    for (size_t i = 0; i < sizeof(moments) / sizeof(*moments); i++) {
        uint64_t ms = 1;

        cr_expect(moment_from_rfc3339(view_of(moments[i].text), &ms), "%s",
                  moments[i].text);
        cr_expect(eq(u64, ms, moments[i].ms), "%s", moments[i].text);
    }
}

Test(moment, what_is_no_moment_since_1970_is_refused)
{
    for (size_t i = 0; i < sizeof(no_moments) / sizeof(*no_moments); i++) {
        uint64_t ms;

        cr_expect(not(moment_from_rfc3339(view_of(no_moments[i]), &ms)), "`%s`",
                  no_moments[i]);
    }
}

Test(moment, what_was_written_reads_back_on_each_day_of_400_years)
{
    for (uint64_t day = 0; day < 146097; day++) {
        uint64_t ms = day * DAY_MS + day * 591 % DAY_MS, back = 0;
        char text[MOMENT_SIZE];

        moment_to_rfc3339(ms, text);
        cr_assert(moment_from_rfc3339(view_of(text), &back), "%s", text);
        cr_assert(eq(u64, back, ms), "%s", text);
    }
}

Test(moment, rfc_3339_is_written_with_milliseconds)
{
    char text[MOMENT_SIZE];

    moment_to_rfc3339(UINT64_C(1769850902123), text);
    cr_expect(eq(str, text, "2026-01-31T09:15:02.123Z"));
    moment_to_rfc3339(0, text);
    cr_expect(eq(str, text, "1970-01-01T00:00:00.000Z"));
}

Test(moment, http_has_its_fixed_date_form)
{
    char text[MOMENT_SIZE];

    moment_to_http(UINT64_C(784111777000), text); /* RFC 9110, 5.6.7. */
    cr_expect(eq(str, text, "Sun, 06 Nov 1994 08:49:37 GMT"));
    moment_to_http(999, text);
    cr_expect(eq(str, text, "Thu, 01 Jan 1970 00:00:00 GMT"));
    moment_to_http(UINT64_C(1709164800000), text);
    cr_expect(eq(str, text, "Thu, 29 Feb 2024 00:00:00 GMT"));
}

/* A clock may be far off; no spelling overruns its array. */
Test(moment, dates_are_those_of_the_c_library)
{
    for (uint64_t day = 0; day < 401 * 366; day++) {
        time_t seconds = (time_t)(day * DAY_MS / 1000);
        char expected[MOMENT_SIZE], text[MOMENT_SIZE];
        struct tm at;

        gmtime_r(&seconds, &at);
        strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &at);
        moment_to_http(day * DAY_MS, text);
        cr_assert(eq(str, text, expected));
    }
}

Test(moment, the_farthest_moment_still_fits)
{
    char text[MOMENT_SIZE];

    moment_to_rfc3339(UINT64_MAX, text);
    cr_expect(lt(sz, strlen(text), MOMENT_SIZE));
    moment_to_http(UINT64_MAX, text);
    cr_expect(eq(sz, strlen(text), strlen("Sun, 06 Nov 1994 08:49:37 GMT")));
}
