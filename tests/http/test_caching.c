/* The object cache, from outside: who is answered from it, and never wrong. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <string.h>

#define HIT    "kist; hit"
#define STORED "kist; fwd=uri-miss; stored"
#define FRESH  "Cache-Control: no-cache\r\n"

TestSuite(caching, .init = scene_open, .fini = scene_close, .timeout = 60);

static void expect_hit(const char *target, const char *value)
{
    ask_for(200, text("GET %s", target), "", NULL);
    expect_body(value);
    expect_header("Cache-Status", HIT);
}

/* The engine agrees with what is answered from the cache. */
static void expect_both(const char *target, const char *value)
{
    expect_hit(target, value);
    ask_for(200, text("GET %s", target), FRESH, NULL);
    expect_body(value);
}

static void expect_gone(const char *target)
{
    ask_for(404, text("GET %s", target), "", NULL);
    ask_for(404, text("GET %s", target), FRESH, NULL);
    ask_for(404, text("GET %s", target), "", NULL);
    expect_header("Cache-Status", HIT);
}

Test(caching, what_was_put_is_a_hit)
{
    ask_for(201, "PUT /kv/a", "", "1");
    expect_no_header("Cache-Status");
    expect_hit("/kv/a", "1");
    ask_for(200, "HEAD /kv/a", "", NULL);
    expect_header("Cache-Status", HIT);
    ask_for(204, "PUT /kv/a", "", "2");
    expect_hit("/kv/a", "2");
    ask_for(204, "PUT /kv/a?durability=async", "", "3");
    expect_both("/kv/a", "3");
}

Test(caching, what_was_read_is_a_hit)
{
    ask_for(404, "GET /kv/a", "", NULL);
    expect_header("Cache-Status", STORED);
    ask_for(404, "GET /kv/a", "", NULL);
    expect_header("Cache-Status", HIT);
    ask_for(201, "PUT /kv/a", "", "1");
    expect_hit("/kv/a", "1");
}

Test(caching, an_answer_of_any_form_tells_where_it_is_from)
{
    ask_for(201, "PUT /kv/a", "", "{\"n\":[1,2]}");
    ask_for(200, "GET /kv/a", "", NULL);
    const char *tag = text("If-None-Match: %s\r\n", etag());

    ask_for(304, "GET /kv/a", tag, NULL);
    expect_header("Cache-Status", HIT);
    ask_for(200, "GET /kv/a?ptr=/n/1", "", NULL);
    expect_header("Cache-Status", HIT);
    expect_body("2");
    ask_for(206, "GET /kv/a", "Range: bytes=1-3\r\n", NULL);
    expect_header("Cache-Status", HIT);
    expect_body("\"n\"");
    ask_for(200, "GET /kv/a", "Accept: application/vnd.kist.entry+json\r\n",
            NULL);
    expect_header("Cache-Status", HIT);
}

Test(caching, no_cache_reads_the_engine_and_refreshes)
{
    static const char *const spellings[] = {
        FRESH, "cache-control: max-age=0, No-Cache\r\n",
        "Cache-Control: max-age=0\r\nCache-Control: no-cache\r\n"};

    ask_for(201, "PUT /kv/a", "", "1");
    for (size_t i = 0; i < 3; i++) {
        ask_for(200, "GET /kv/a", spellings[i], NULL);
        expect_header("Cache-Status", "kist; fwd=request; stored");
        expect_body("1");
    }
    ask_for(200, "GET /kv/a", "Cache-Control: max-age=0\r\n", NULL);
    expect_header("Cache-Status", HIT);
    ask_for(200, "GET /kv/a", "Cache-Control: x=\"no-cache\"\r\n", NULL);
    expect_header("Cache-Status", HIT);
}

Test(caching, each_way_to_write_is_seen)
{
    ask_for(201, "PUT /kv/a", "", "{\"n\":1}");
    expect_both("/kv/a", "{\"n\":1}");
    ask_for(204, "PATCH /kv/a",
            "Content-Type: application/merge-patch+json\r\n", "{\"n\":2}");
    expect_both("/kv/a", "{\"n\":2}");
    ask_for(200, "POST /kv/n?op=incr", "", "");
    expect_both("/kv/n", "1");
    ask_for(200, "POST /kv/n?op=incr", "", "");
    expect_both("/kv/n", "2");

    ask_for(200, "POST /batch", "Content-Type: application/json\r\n",
            "{\"operations\":["
            "{\"op\":\"put\",\"key\":\"b\",\"value\":1},"
            "{\"op\":\"put\",\"key\":\"a\",\"value\":3},"
            "{\"op\":\"put\",\"key\":\"b\",\"value\":2},"
            "{\"op\":\"delete\",\"key\":\"n\"}]}");
    expect_both("/kv/a", "3");
    expect_both("/kv/b", "2");
    expect_gone("/kv/n");

    ask_for(204, "DELETE /kv/a", "", NULL);
    expect_gone("/kv/a");
    ask_for(200, "DELETE /kv?prefix=b&confirm=1", "", NULL);
    expect_gone("/kv/b");
    ask_for(201, "PUT /kv/b", "If-None-Match: *\r\n", "4");
    expect_both("/kv/b", "4");
}

Test(caching, a_refused_write_changes_nothing)
{
    ask_for(201, "PUT /kv/a", "", "1");
    ask_for(412, "PUT /kv/a", "If-None-Match: *\r\n", "2");
    ask_for(200, "POST /batch?atomic=1", "Content-Type: application/json\r\n",
            "{\"operations\":[{\"op\":\"put\",\"key\":\"b\",\"value\":1}]}");
    ask_for(412, "POST /batch?atomic=1", "Content-Type: application/json\r\n",
            "{\"operations\":["
            "{\"op\":\"put\",\"key\":\"b\",\"value\":2},"
            "{\"op\":\"put\",\"key\":\"a\",\"value\":2,\"if_absent\":true}]}");
    expect_both("/kv/a", "1");
    expect_both("/kv/b", "1");
}

/* Dead as soon as its time is over, swept a little later: 404 throughout. */
Test(caching, an_expired_value_is_not_served)
{
    ask_for(201, "PUT /kv/a?ttl=1", "", "1");
    expect_hit("/kv/a", "1");
    ask("GET /kv/a", "Prefer: wait=10\r\nIf-None-Match: *\r\n", NULL);
    expect_status(404);
    ask_for(404, "GET /kv/a", "", NULL);
    ask_for(404, "GET /kv/a", FRESH, NULL);
    ask_for(404, "GET /kv/a", "", NULL);
}

Test(caching, a_value_that_is_waited_for_comes_from_the_cache)
{
    ask_for(201, "PUT /kv/a", "", "1");
    ask_for(200, "GET /kv/a", "Prefer: wait=5\r\n", NULL);
    expect_header("Cache-Status", HIT);
}

static void open_without(void)
{
    scene_open_with((const char *const[]){"--cache-bytes=0", NULL});
}

TestSuite(no_cache, .init = open_without, .fini = scene_close, .timeout = 60);

Test(no_cache, a_node_without_a_cache_says_so)
{
    ask_for(201, "PUT /kv/a", "", "1");
    ask_for(200, "GET /kv/a", "", NULL);
    expect_body("1");
    expect_header("Cache-Status", "kist; fwd=bypass");
    ask_for(404, "GET /kv/none", FRESH, NULL);
    expect_header("Cache-Status", "kist; fwd=bypass");
}
