/* Which media types a client wants, and how much: RFC 9110 12.5.1. */
#include "api/accept.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

TestSuite(accept, .timeout = 10);

struct wish {
    const char *accept;
    const char *media_type;
    unsigned quality;
};

/* The example of the RFC, what Prometheus 2.42 sends, and broken ones. */
#define RFC                                                                    \
    "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "               \
    "text/plain;format=fixed;q=0.4, */*;q=0.5"
#define PROMETHEUS                                                             \
    "application/openmetrics-text;version=1.0.0,"                              \
    "application/openmetrics-text;version=0.0.1;q=0.75,"                       \
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

static const struct wish wishes[] = {
    {"", "text/plain", 1000},
    {"  ", "text/plain", 1000},
    {"*/*", "text/plain", 1000},
    {"text/html", "text/plain", 0},
    {"Text/Plain", "text/plain", 1000},
    {"text/*;q=0.5", "text/plain", 500},
    {"TEXT/*", "text/plain", 1000},
    {"tex/*", "text/plain", 0},
    {"text/plain;q=0, */*", "text/plain", 0},
    {"text/plain;q=0, */*", "text/html", 1000},
    {"text/plain; Q=0.025", "text/plain", 25},
    {"text/plain;q=1.", "text/plain", 1000},
    {RFC, "text/plain", 1000},
    {RFC, "text/html", 300},
    {RFC, "image/jpeg", 500},
    {PROMETHEUS, "application/openmetrics-text", 1000},
    {PROMETHEUS, "text/plain", 500},
    {PROMETHEUS, "application/json", 100},
    {"a/b;x=\"1,text/plain;q=1\\\",\", text/plain;q=0.2", "text/plain", 200},
    {"text/plain;q=2", "text/plain", 0},
    {"text/plain;q=0.1234", "text/plain", 0},
    {"text/plain;q=.5", "text/plain", 0},
    {"text/plain;q=", "text/plain", 0},
    {"text/plain;q=0,5", "text/plain", 0},
    {",,;,text/plain;;q=0.5;,", "text/plain", 500},
    {"text/plain;x=\"", "text/plain", 1000},
    {"text", "text/plain", 0},
};

Test(accept, each_media_type_gets_the_quality_of_its_closest_range)
{
    for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes); i++) {
        const struct wish *wish = &wishes[i];
        cr_expect(eq(uint,
                     accept_quality(view_of(wish->accept), wish->media_type),
                     wish->quality),
                  "%s in `%s`", wish->media_type, wish->accept);
    }
}

Test(accept, no_header_accepts_everything)
{
    cr_assert(
        eq(uint, accept_quality((struct view){NULL, 0}, "text/plain"), 1000));
}
