/* Time to live: ttl= and Kist-Expires, and when a value is gone. */
#include "tests/http/scene.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

TestSuite(expiry, .init = scene_open, .fini = scene_close, .timeout = 60);

/* Now and some milliseconds, as RFC 3339 in UTC. */
static const char *in_ms(int64_t ms)
{
    uint64_t then = clock_wall_ms() + (uint64_t)ms;
    time_t seconds = (time_t)(then / 1000);
    struct tm parts;
    char day[32];

    gmtime_r(&seconds, &parts);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
    return text("%s.%03dZ", day, (int)(then % 1000));
}

/* The event is the value's end: ask until it came, not for ever. */
static void wait_until_gone(const char *target)
{
    for (int i = 0; i < 1000; i++) {
        ASK(text("GET %s", target));
        if (scene.answer.status == 404)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    cr_fatal("%s does not expire", target);
}

Test(expiry, a_value_tells_when_it_ends)
{
    ask_for(201, "PUT /kv/a?ttl=100", "", "1");
    ASK("GET /kv/a");
    struct view expires = header("Kist-Expires");
    cr_assert(eq(sz, expires.size, 24));
    const char *found = text("%.24s", expires.data);
    cr_expect(strcmp(found, in_ms(90 * 1000)) > 0 &&
                  strcmp(found, in_ms(101 * 1000)) < 0,
              "%s", found);
}

Test(expiry, a_value_ends_in_time)
{
    uint64_t start_ms = clock_wall_ms();

    ask_for(201, "PUT /kv/a?ttl=1", "", "1");
    const char *version = etag();
    expect_value("/kv/a", "1");
    wait_until_gone("/kv/a");
    uint64_t lived_ms = clock_wall_ms() - start_ms;
    cr_expect(ge(u64, lived_ms, 950));
    cr_expect(le(u64, lived_ms, 4000));

    ASK("GET /kv?count=1");
    expect_body("{\"count\":0}");
    ASK("DELETE /kv/a");
    expect_problem(404, "not-found");
    ask("PUT /kv/a", text("If-Match: %s\r\n", version), "2");
    expect_problem(412, "condition-failed");
    ask("PUT /kv/a", "If-None-Match: *\r\n", "3");
    expect_status(201);
    ASK("GET /kv/a");
    expect_no_header("Kist-Expires");
}

Test(expiry, an_end_is_given_as_a_moment)
{
    const char *moment = in_ms(50 * 1000);

    ask("PUT /kv/a", text("Kist-Expires: %s\r\n", moment), "1");
    expect_status(201);
    ASK("GET /kv/a");
    expect_header("Kist-Expires", moment);
    ask("PUT /kv/a", text("Kist-Expires: %s\r\n", in_ms(700)), "1");
    wait_until_gone("/kv/a");
}

Test(expiry, moments_in_other_zones_are_the_same_moments)
{
    ask("PUT /kv/a", "Kist-Expires: 2030-01-01T02:00:00+02:00\r\n", "1");
    expect_status(201);
    ASK("GET /kv/a");
    expect_header("Kist-Expires", "2030-01-01T00:00:00.000Z");
}

Test(expiry, a_moment_that_is_none_is_refused)
{
    static const char *const moments[] = {"tomorrow",
                                          "2030-13-01T00:00:00Z",
                                          "2030-02-30T00:00:00Z",
                                          "2030-01-01T24:00:00Z",
                                          "2030-01-01",
                                          "1893456000",
                                          "",
                                          "2030-01-01T00:00:00",
                                          "2001-01-01T00:00:00Z",
                                          "9999-01-01T00:00:00Z",
                                          "Tue, 01 Jan 2030 00:00:00 GMT"};

    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        ask("PUT /kv/a", text("Kist-Expires: %s\r\n", moments[i]), "1");
        cr_expect(eq(uint, scene.answer.status, 400), "%s", moments[i]);
        expect_problem(400, "invalid-header");
    }
    expect_nothing_stored();
}

Test(expiry, both_ways_at_once_are_refused)
{
    ask("PUT /kv/a?ttl=5", text("Kist-Expires: %s\r\n", in_ms(5000)), "1");
    expect_status(400);
    expect_nothing_stored();
}

Test(expiry, a_plain_put_ends_an_expiry)
{
    ask_for(201, "PUT /kv/a?ttl=100", "", "1");
    ask_for(204, "PUT /kv/a", "", "2");
    ASK("GET /kv/a");
    expect_no_header("Kist-Expires");
}

Test(expiry, a_counter_keeps_its_expiry)
{
    ask_for(201, "PUT /kv/a?ttl=100", "", "1");
    ASK("POST /kv/a?op=incr");
    expect_body("2");
    ASK("GET /kv/a");
    expect_some_header("Kist-Expires");
}

Test(expiry, a_patch_may_set_another_end)
{
    static const char merge[] =
        "Content-Type: application/merge-patch+json\r\n";

    ask_for(201, "PUT /kv/a", "", "{}");
    ask_for(204, "PATCH /kv/a?ttl=100", merge, "{\"n\":1}");
    expect_some_header("Kist-Expires");
    ask_for(204, "PATCH /kv/a",
            text("%sKist-Expires: 2035-01-31T12:00:00.500Z\r\n", merge),
            "{\"n\":2}");
    ASK("GET /kv/a");
    expect_body("{\"n\":2}");
    expect_header("Kist-Expires", "2035-01-31T12:00:00.500Z");
}

Test(expiry, an_expiry_survives_a_kill)
{
    ask_for(201, "PUT /kv/a?ttl=2", "", "1");
    ask_for(201, "PUT /kv/b?ttl=100", "", "1");
    http_close(&scene.http);
    kistd_kill(&scene.kistd);
    kistd_start(&scene.kistd, NULL);
    ASK("GET /kv/b");
    expect_some_header("Kist-Expires");
    wait_until_gone("/kv/a");
}
