/* Range: parts of a value by byte. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>

static void open_with_ten_bytes(void)
{
    scene_open();
    ask_for(201, "PUT /kv/a", "Content-Type: text/plain\r\n", "0123456789");
}

TestSuite(ranges, .init = open_with_ten_bytes, .fini = scene_close,
          .timeout = 60);

static void expect_part(const char *range, const char *part, const char *place)
{
    ask("GET /kv/a", text("Range: %s\r\n", range), NULL);
    expect_status(206);
    expect_body(part);
    expect_header("Content-Range", place);
    expect_header("Content-Type", "text/plain");
    etag();
}

static void expect_whole(const char *headers)
{
    ask("GET /kv/a", headers, NULL);
    expect_status(200);
    expect_body("0123456789");
    expect_no_header("Content-Range");
}

Test(ranges, a_value_says_that_it_has_ranges)
{
    ask("GET /kv/a", "", NULL);
    expect_header("Accept-Ranges", "bytes");
}

Test(ranges, a_range_gives_its_bytes)
{
    expect_part("bytes=0-1", "01", "bytes 0-1/10");
    expect_part("bytes=-2", "89", "bytes 8-9/10");
    expect_part("bytes=5-", "56789", "bytes 5-9/10");
    expect_part("bytes=9-9", "9", "bytes 9-9/10");
    expect_part("bytes=0-99", "0123456789", "bytes 0-9/10");
    expect_part("bytes=-99", "0123456789", "bytes 0-9/10");
    expect_part("bytes=3-18446744073709551615", "3456789", "bytes 3-9/10");
    expect_open();
}

Test(ranges, a_range_that_runs_backwards_gives_the_whole_or_is_refused)
{
    ask("GET /kv/a", "Range: bytes=9-3\r\n", NULL);
    if (scene.answer.status == 200)
        expect_body("0123456789");
    else
        expect_status(400);
}

Test(ranges, a_range_behind_the_end_is_refused_with_the_size)
{
    static const char *const ranges[] = {"bytes=10-", "bytes=10-20",
                                         "bytes=-0"};

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        ask("GET /kv/a", text("Range: %s\r\n", ranges[i]), NULL);
        expect_problem(416, "range");
        expect_header("Content-Range", "bytes */10");
    }
    expect_open();
}

Test(ranges, several_ranges_give_the_whole)
{
    expect_whole("Range: bytes=0-1,3-4\r\n");
    expect_whole("Range: bytes=0-1, 3-4, -1\r\n");
}

Test(ranges, an_unknown_unit_gives_the_whole)
{
    expect_whole("Range: lines=0-1\r\n");
}

Test(ranges, a_range_of_a_changed_value_gives_the_whole)
{
    const char *old = etag();

    ask("GET /kv/a", text("Range: bytes=0-1\r\nIf-Range: %s\r\n", old), NULL);
    expect_status(206);
    expect_whole("Range: bytes=0-1\r\n"
                 "If-Range: \"0123456789abcdef0123456789abcdef\"\r\n");
    expect_whole(text("Range: bytes=0-1\r\nIf-Range: W/%s\r\n", old));
}

Test(ranges, head_knows_no_range_but_the_length)
{
    ask("HEAD /kv/a", "Range: bytes=0-1\r\n", NULL);
    cr_expect(scene.answer.status == 200 || scene.answer.status == 206);
    expect_open();
}

Test(ranges, a_known_version_wins_over_a_range)
{
    const char *now = etag();

    ask("GET /kv/a", text("Range: bytes=0-1\r\nIf-None-Match: %s\r\n", now),
        NULL);
    expect_status(304);
}
