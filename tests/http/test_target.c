/* Methods, paths, keys and query parameters, good and odd ones. */
#include "tests/http/scene.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

TestSuite(target, .init = scene_open, .fini = scene_close, .timeout = 60);

static void expect_key_refused(const char *target)
{
    ask(text("PUT %s", target), "", "1");
    expect_problem(400, "invalid-key");
    ask(text("GET %s", target), "", NULL);
    expect_problem(400, "invalid-key");
    expect_open();
}

Test(target, an_empty_key_is_refused)
{
    expect_key_refused("/kv/");
    expect_nothing_stored();
}

Test(target, slashes_are_part_of_a_key)
{
    ask("GET /kv", "", NULL);
    expect_status(200);
    ask("GET /kv//a", "", NULL);
    expect_problem(404, "not-found");
    ask("PUT /kv//a", "", "1");
    expect_status(201);
    expect_value("/kv//a", "1");
    expect_absent("/kv/a");
    ask("GET //kv/a", "", NULL);
    expect_problem(404, "no-such-path");

    ask("PUT /kv/a/b", "", "2");
    expect_status(201);
    expect_value("/kv/a%2Fb", "2");
    expect_value("/kv/a%2fb", "2");
    ask("PUT /kv/a%2Fb", "", "3");
    expect_status(204);
    expect_value("/kv/a/b", "3");
}

Test(target, a_key_with_dot_segments_is_refused)
{
    static const char *const targets[] = {"/kv/%2e%2e",
                                          "/kv/..",
                                          "/kv/%2e",
                                          "/kv/.",
                                          "/kv/a/../b",
                                          "/kv/a/./b",
                                          "/kv/%2e%2e%2fadmin",
                                          "/kv/a/..",
                                          "/kv/a%2f%2e%2e",
                                          "/kv/.%2E/a",
                                          "/kv//..",
                                          "/kv/../kv/a"};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        expect_key_refused(targets[i]);
    expect_nothing_stored();
}

Test(target, dots_that_are_no_segment_are_allowed)
{
    static const char *const targets[] = {"/kv/...", "/kv/a..b", "/kv/.a",
                                          "/kv/a.",  "/kv/..a",  "/kv/a/...b"};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        ask(text("PUT %s", targets[i]), "", "1");
        expect_status(201);
    }
}

Test(target, a_key_is_decoded_exactly_once)
{
    ask_for(201, "PUT /kv/%252e", "", "1");
    expect_value("/kv/%252e", "1");
    expect_absent("/kv/a%252e");
    ask("GET /kv?prefix=%252e", "", NULL);
    cr_expect(strstr(text("%.*s", (int)scene.answer.body.size,
                          scene.answer.body.data),
                     "\"%2e\"") != NULL);
}

Test(target, control_bytes_in_a_key_are_refused)
{
    static const char *const targets[] = {"/kv/a%00b",    "/kv/%00",
                                          "/kv/a%0d%0ab", "/kv/%1f",
                                          "/kv/%7f",      "/kv/a%09b"};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        expect_key_refused(targets[i]);
    expect_nothing_stored();
}

Test(target, a_key_that_is_not_utf_8_is_refused)
{
    static const char *const targets[] = {"/kv/%ff",          "/kv/%c0%af",
                                          "/kv/%ed%a0%80",    "/kv/%c3",
                                          "/kv/%f4%90%80%80", "/kv/a%80"};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        expect_key_refused(targets[i]);
    expect_nothing_stored();
}

Test(target, a_broken_percent_escape_is_refused)
{
    static const char *const targets[] = {"/kv/%", "/kv/%2", "/kv/%zz",
                                          "/kv/a%2", "/kv/%%20"};

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        ask(text("PUT %s", targets[i]), "", "1");
        expect_status(400);
    }
    expect_nothing_stored();
}

Test(target, eight_bit_bytes_in_a_path_are_a_key_or_refused)
{
    ask("PUT /kv/\xc3\xa9", "", "1");
    if (scene.answer.status == 201)
        expect_value("/kv/%C3%A9", "1");
    else
        expect_status(400);
    ask("PUT /kv/\xff", "", "1");
    expect_status(400);
}

Test(target, two_spellings_of_a_letter_are_two_keys)
{
    ask_for(201, "PUT /kv/%C3%A9", "", "1");
    ask_for(201, "PUT /kv/e%CC%81", "", "2");
    expect_value("/kv/%C3%A9", "1");
    expect_value("/kv/e%CC%81", "2");
}

Test(target, a_plus_is_a_plus_in_a_path_and_a_space_in_a_query)
{
    ask_for(201, "PUT /kv/a+b", "", "1");
    ask_for(201, "PUT /kv/a%20b", "", "2");
    expect_value("/kv/a%2Bb", "1");
    ask("GET /kv?prefix=a+b&values=1", "", NULL);
    json_t *items = json_object_get(document(), "items");
    cr_assert(eq(sz, json_array_size(items), 1));
    cr_expect(eq(str,
                 (char *)json_string_value(
                     json_object_get(json_array_get(items, 0), "key")),
                 "a b"));
    ask("GET /kv?prefix=a%2Bb", "", NULL);
    items = json_object_get(document(), "items");
    cr_assert(eq(sz, json_array_size(items), 1));
    cr_expect(eq(str,
                 (char *)json_string_value(
                     json_object_get(json_array_get(items, 0), "key")),
                 "a+b"));
}

Test(target, a_key_of_1024_bytes_fits_and_one_more_does_not)
{
    const char *longest = many(1024, 'k');

    ask(text("PUT /kv/%s", longest), "", "1");
    expect_status(201);
    expect_value(text("/kv/%s", longest), "1");
    ask(text("PUT /kv/%sx", longest), "", "1");
    expect_problem(414, "key-too-long");
    expect_named("1024");
    ask(text("GET /kv/%sx", longest), "", NULL);
    expect_problem(414, "key-too-long");
    expect_open();
}

Test(target, a_key_is_measured_after_decoding)
{
    struct blob target = BLOB_EMPTY;

    blob_append_text(&target, "PUT /kv/");
    for (int i = 0; i < 1024; i++)
        blob_append_text(&target, "%6b");
    blob_append_byte(&target, '\0');
    ask(target.data, "", "1");
    expect_status(201);
    blob_free(&target);
    expect_value(text("/kv/%s", many(1024, 'k')), "1");
}

Test(target, a_fragment_in_the_target_is_refused)
{
    ask("PUT /kv/a#frag", "", "1");
    expect_status(400);
    ask("GET /livez#frag", "", NULL);
    expect_status(400);
    expect_nothing_stored();
}

Test(target, a_target_in_absolute_form_means_its_path_or_is_refused)
{
    ask("PUT http://kist/kv/a", "", "1");
    if (scene.answer.status == 201)
        expect_value("/kv/a", "1");
    else
        expect_status(400);
    ask("GET ftp://kist/livez", "", NULL);
    cr_expect(scene.answer.status == 400 || scene.answer.status == 404);
}

Test(target, an_unknown_query_parameter_is_refused)
{
    ask("PUT /kv/a?tll=60", "", "1");
    expect_problem(400, "invalid-parameter");
    expect_named("tll");
    ask("GET /kv/a?x", "", NULL);
    expect_problem(400, "invalid-parameter");
    ask("DELETE /kv/a?force=1", "", NULL);
    expect_problem(400, "invalid-parameter");
    ask("GET /kv?prefx=a", "", NULL);
    expect_problem(400, "invalid-parameter");
    ask("GET /livez?x=1", "", NULL);
    expect_problem(400, "invalid-parameter");
    expect_open();
    expect_nothing_stored();
}

Test(target, a_parameter_of_another_request_is_refused)
{
    ask("GET /kv/a?ttl=5", "", NULL);
    expect_problem(400, "invalid-parameter");
    ask("PUT /kv/a?prefix=b", "", "1");
    expect_problem(400, "invalid-parameter");
    ask("PUT /kv/a?op=incr", "", "1");
    expect_problem(400, "invalid-parameter");
    expect_nothing_stored();
}

Test(target, a_parameter_given_twice_is_refused)
{
    ask("PUT /kv/a?ttl=5&ttl=6", "", "1");
    expect_problem(400, "invalid-parameter");
    ask("PUT /kv/a?ttl=5&tt%6c=5", "", "1");
    expect_problem(400, "invalid-parameter");
    ask("GET /kv?limit=1&limit=1", "", NULL);
    expect_problem(400, "invalid-parameter");
    expect_nothing_stored();
}

Test(target, a_token_in_a_query_is_refused_and_not_logged)
{
    ask("GET /kv/a?token=s3cr3t", "", NULL);
    cr_expect(scene.answer.status == 400 || scene.answer.status == 401);
    struct blob log = kistd_log(&scene.kistd);
    cr_expect(memmem(log.data, log.size, "s3cr3t", 6) == NULL);
    blob_free(&log);
}

Test(target, a_time_to_live_out_of_range_is_refused)
{
    static const char *const lives[] = {
        "0",   "-1", "1e9",          "9223372036854775808",
        "1.5", "",   "+5",           " 5",
        "0x5", "5s", "315360001000", "99999999999999999999",
        "%00"};

    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        /* A raw blank would end the target. */
        const char *life = strcmp(lives[i], " 5") == 0 ? "%205" : lives[i];

        ask(text("PUT /kv/a?ttl=%s", life), "", "1");
        expect_problem(400, "invalid-parameter");
    }
    expect_nothing_stored();
    ask("PUT /kv/a?ttl=315360000", "", "1");
    expect_status(201);
}

Test(target, copies_that_one_node_cannot_give_are_impossible)
{
    ask("PUT /kv/a?w=2", "", "1");
    expect_problem(422, "unprocessable");
    ask("PUT /kv/a?n=3", "", "1");
    expect_problem(422, "unprocessable");
    ask("GET /kv/a?r=2", "", NULL);
    expect_problem(422, "unprocessable");
    ask("PUT /kv/a?w=x", "", "1");
    expect_problem(400, "invalid-parameter");
    expect_nothing_stored();
    ask("PUT /kv/a?w=1", "", "1");
    expect_status(201);
}

Test(target, trace_connect_and_foreign_methods_are_refused)
{
    ask("TRACE /kv/a", "", NULL);
    expect_status(405);
    expect_some_header("Allow");
    send_raw("CONNECT kist:80 HTTP/1.1\r\nHost: kist:80\r\n\r\n");
    expect_status(405);
    ask("PROPFIND /kv/a", "", NULL);
    expect_status(405);
    expect_some_header("Allow");
    ask("get /kv/a", "", NULL);
    cr_expect(scene.answer.status == 405 || scene.answer.status == 501 ||
              scene.answer.status == 400);
    send_raw("G\x01T /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_expect(scene.answer.status >= 400 || scene.answer.status == 0);
    expect_well();
}

Test(target, a_very_long_method_is_refused)
{
    send_raw(text("%s /kv/a HTTP/1.1\r\nHost: a\r\n\r\n", many(4096, 'M')));
    cr_expect(scene.answer.status == 501 || scene.answer.status == 414 ||
                  scene.answer.status == 405 || scene.answer.status == 400,
              "%u", scene.answer.status);
    expect_well();
}

static void expect_allowed(const char *method)
{
    struct view allow = header("Allow");

    cr_expect(allow.data != NULL &&
                  memmem(allow.data, allow.size, method, strlen(method)),
              "%s: Allow is %.*s", scene.asked, (int)allow.size, allow.data);
}

Test(target, options_tells_the_methods)
{
    ask("OPTIONS *", "", NULL);
    expect_status(204);
    expect_some_header("Allow");
    ask("OPTIONS /kv/x", "", NULL);
    expect_status(204);
    static const char *const methods[] = {"GET",   "HEAD", "PUT",
                                          "PATCH", "POST", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        expect_allowed(methods[i]);
    ask("OPTIONS /kv", "", NULL);
    expect_status(204);
    expect_allowed("GET");
    expect_allowed("DELETE");
    ask("OPTIONS /batch", "", NULL);
    expect_status(204);
    expect_allowed("POST");
    expect_open();
}

Test(target, a_method_that_a_path_lacks_is_refused_with_those_it_has)
{
    ask("PUT /kv", "", "1");
    expect_status(405);
    expect_allowed("GET");
    ask("DELETE /batch", "", NULL);
    expect_status(405);
    expect_allowed("POST");
    ask("POST /metrics", "", "1");
    expect_status(405);
    expect_allowed("GET");
    expect_nothing_stored();
}

Test(target, paths_that_are_not_served_are_not_there)
{
    static const char *const paths[] = {
        "/kvx",        "/KV/a",          "/peer/records", "/internal",
        "/cluster",    "/replication/1", "/admin",        "/.well-known/x",
        "/index.html", "/livez/",        "/etc/passwd",   "/%6bv/a"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        ask(text("GET %s", paths[i]), "", NULL);
        cr_expect(scene.answer.status == 404 ||
                      strcmp(paths[i], "/%6bv/a") == 0,
                  "%s: %u", paths[i], scene.answer.status);
    }
    ask("GET /nowhere", "", NULL);
    expect_problem(404, "no-such-path");
    expect_open();
}

Test(target, head_answers_like_get_without_the_body)
{
    ask("HEAD /kv/a", "", NULL);
    expect_status(404);
    cr_expect(eq(sz, scene.answer.body.size, 0));
    ask_for(201, "PUT /kv/a", "", "[1,2,3]");
    const char *version = etag();
    ask("HEAD /kv/a", "", NULL);
    expect_status(200);
    expect_header("Content-Length", "7");
    expect_header("Content-Type", "application/json");
    expect_header("ETag", version);
    expect_open();
}
