/* Values in files: received in pieces, served from there, replaced whole. */
#include "tests/http/scene.h"
#include "tests/support/large_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* The largest that stays in its record; and what several buffers take. */
enum { INLINE = 65536, BIG = (3 << 20) + 17 };

#define BYTES "Content-Type: application/octet-stream\r\n"
#define JSON  "Content-Type: application/json\r\n"

static void open_roomy(void)
{
    scene_open();
    scene.slack_kib = 24 * 1024; /* Pages of files and buffers stay around. */
}

TestSuite(large, .init = open_roomy, .fini = scene_close, .timeout = 60);

/* The item says that its value was left out. */
static bool is_left_out(const json_t *item)
{
    const json_t *large = json_object_get(item, "large");

    return json_is_true(large) && json_object_get(item, "value") == NULL &&
           json_object_get(item, "base64") == NULL;
}

/* A JSON string of size bytes. */
static struct view json_text(size_t size)
{
    char *bytes = room(size);

    memset(bytes, 'a', size);
    bytes[0] = bytes[size - 1] = '"';
    return (struct view){bytes, size};
}

static const char *data(void)
{
    return text("%s/data", scene.kistd.directory);
}

static size_t count_files(const char *data)
{
    return large_files_count(data, "incoming") + large_files_count(data, NULL);
}

/* Files are removed behind the answers' backs, so wait for it. */
static void expect_files(size_t count)
{
    const char *path = data();
    size_t now = count_files(path);

    for (int i = 0; i < 100 && now != count; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        now = count_files(path);
    }
    cr_expect(eq(sz, now, count), "files of large values");
}

static void put(unsigned status, const char *target, struct view value)
{
    ask_bytes(text("PUT %s", target), BYTES, value);
    expect_status(status);
}

static void put_chunked(const char *target, const char *headers,
                        struct view value, size_t piece)
{
    struct blob all = BLOB_EMPTY;

    blob_printf(&all,
                "PUT %s HTTP/1.1\r\nHost: a\r\n%s"
                "Transfer-Encoding: chunked\r\n\r\n",
                target, headers);
    for (size_t at = 0; at < value.size; at += piece) {
        struct view some = view_from(value, at);

        if (some.size > piece)
            some.size = piece;
        blob_printf(&all, "%zx\r\n", some.size);
        blob_append(&all, some);
        blob_append_text(&all, "\r\n");
    }
    blob_append_text(&all, "0\r\n\r\n");
    send_raw_bytes(blob_view(&all));
    blob_free(&all);
}

Test(large, a_value_comes_back_byte_for_byte)
{
    struct view value = noise(BIG, 1);

    put(201, "/kv/a", value);
    etag();
    expect_open();
    expect_value_bytes("/kv/a", value);
    ASK("GET /kv/a");
    expect_header("Content-Type", "application/octet-stream");
    expect_header("Accept-Ranges", "bytes");
    expect_header("Content-Length", text("%d", BIG));
    expect_files(1);
}

Test(large, the_border_is_exact)
{
    for (int more = -1; more <= 1; more++) {
        struct view value = noise((size_t)(INLINE + more), 2);

        put(201, text("/kv/whole%d", more), value);
        expect_value_bytes(text("/kv/whole%d", more), value);
        put_chunked(text("/kv/pieces%d", more), BYTES, value, 1000);
        expect_status(201);
        expect_value_bytes(text("/kv/pieces%d", more), value);
    }
    expect_files(2);
}

Test(large, chunks_of_any_size_make_the_same_value)
{
    struct view value = noise(400001, 3);
    static const size_t pieces[] = {317, 8192, 65536, 65537, 300000, 400001};

    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        put_chunked(text("/kv/%zu", pieces[i]), BYTES, value, pieces[i]);
        expect_status(201);
        expect_value_bytes(text("/kv/%zu", pieces[i]), value);
    }
}

Test(large, what_is_pipelined_behind_it_is_served)
{
    struct view value = noise(BIG, 4);
    struct blob all = BLOB_EMPTY;

    blob_printf(&all,
                "PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
                "Content-Length: %d\r\n\r\n",
                BIG);
    blob_append(&all, value);
    blob_append_text(&all, "GET /kv/a HTTP/1.1\r\nHost: a\r\n\r\n"
                           "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    send_raw_bytes(blob_view(&all));
    blob_free(&all);
    expect_status(201);
    hear();
    expect_status(200);
    expect_body_bytes(value);
    hear();
    expect_status(200);
    expect_open();
}

Test(large, a_replaced_value_takes_its_file_along)
{
    put(201, "/kv/a", noise(BIG, 5));
    put(204, "/kv/a", noise(BIG, 6));
    expect_files(1);
    put(204, "/kv/a", noise(100, 7));
    expect_files(0);
    expect_value_bytes("/kv/a", noise(100, 7));
    put(204, "/kv/a", noise(BIG, 8));
    ASK("DELETE /kv/a");
    expect_status(204);
    expect_files(0);
    expect_absent("/kv/a");
}

Test(large, a_reader_goes_on_with_the_old_bytes)
{
    enum { HUGE = 32 << 20 };
    struct view old = noise(HUGE, 9);
    struct http reader;
    struct http_answer answer = {0};
    char byte;

    put(201, "/kv/a", old);
    http_open_narrow(&reader, scene.kistd.port, 4096);
    http_send_text(&reader, "GET /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(eq(sz, http_read_raw(&reader, &byte, 1), 1));
    put(204, "/kv/a", noise(BIG, 10));
    expect_files(1);
    reader.used -= 1;
    cr_assert(http_read(&reader, HTTP_WITH_BODY, &answer));
    cr_expect(view_equal(blob_view(&answer.body), old), "the old bytes");
    http_answer_free(&answer);
    http_close(&reader);
    expect_value_bytes("/kv/a", noise(BIG, 10));
}

Test(large, ranges_are_parts_of_the_file)
{
    struct view value = noise(BIG, 11);
    const char *version;

    put(201, "/kv/a", value);
    version = text("%s", etag());
    ask("GET /kv/a", "Range: bytes=100000-299999\r\n", NULL);
    expect_status(206);
    expect_header("Content-Range", text("bytes 100000-299999/%d", BIG));
    expect_body_bytes((struct view){value.data + 100000, 200000});
    ask("GET /kv/a", "Range: bytes=-10\r\n", NULL);
    expect_status(206);
    expect_body_bytes(view_from(value, BIG - 10));
    ask("GET /kv/a", text("Range: bytes=%d-\r\n", BIG), NULL);
    expect_problem(416, "range");
    expect_header("Content-Range", text("bytes */%d", BIG));
    ask("GET /kv/a", "Range: bytes=0-1, 5-6\r\n", NULL);
    expect_status(200);
    expect_body_bytes(value);
    ask("GET /kv/a", text("Range: bytes=0-1\r\nIf-Range: %s\r\n", version),
        NULL);
    expect_status(206);
    put(204, "/kv/a", noise(BIG, 12));
    ask("GET /kv/a", text("Range: bytes=0-1\r\nIf-Range: %s\r\n", version),
        NULL);
    expect_status(200);
    expect_body_bytes(noise(BIG, 12));
}

Test(large, head_and_304_have_the_length_and_no_bytes)
{
    struct http_answer answer = {0};

    put(201, "/kv/a", noise(BIG, 13));
    ask("GET /kv/a", text("If-None-Match: %s\r\n", etag()), NULL);
    expect_status(304);
    expect_body("");
    reconnect();
    http_send_text(&scene.http, "HEAD /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(http_read(&scene.http, HTTP_HEAD_ONLY, &answer));
    cr_expect(eq(uint, answer.status, 200));
    cr_expect(view_is(http_header(&answer, "Content-Length"), text("%d", BIG)));
    http_answer_free(&answer);
    expect_open();
}

Test(large, a_condition_that_is_false_is_told_before_the_body)
{
    put(201, "/kv/a", noise(BIG, 14));
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
              "If-None-Match: *\r\nExpect: 100-continue\r\n"
              "Content-Length: 1000000\r\n\r\n");
    hear();
    expect_problem(412, "condition-failed");
    etag();
    expect_closed();
    expect_value_bytes("/kv/a", noise(BIG, 14));
    expect_files(1);
}

Test(large, the_client_is_told_to_go_on_once_there_is_a_file)
{
    struct view value = noise(BIG, 15);

    begin_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
                   "Expect: 100-continue\r\nContent-Length: %d\r\n\r\n",
                   BIG));
    hear();
    expect_status(100);
    cr_assert(http_send(&scene.http, value));
    hear();
    expect_status(201);
    expect_value_bytes("/kv/a", value);
}

Test(large, what_cannot_be_stored_is_told_before_the_body)
{
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
              "Expect: 100-continue\r\nContent-Length: 1073741825\r\n\r\n");
    hear();
    expect_problem(413, "body-too-large");
    expect_closed();
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" JSON
              "Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n");
    hear();
    expect_problem(413, "body-too-large");
    expect_named("1048576");
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
              "Content-Encoding: gzip\r\n"
              "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    hear();
    expect_problem(415, "media-type");
    begin_raw("PUT /kv/a?ttl=0 HTTP/1.1\r\nHost: a\r\n" BYTES
              "Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    hear();
    expect_problem(400, "invalid-parameter");
    expect_nothing_stored();
    expect_files(0);
}

Test(large, what_the_disk_has_no_room_for_is_told_before_the_body)
{
    static const char *const flags[] = {"--max-value-bytes", "1TiB", NULL};
    struct statvfs disk;

    scene_open_with(flags);
    cr_assert(eq(int, statvfs(scene.kistd.directory, &disk), 0));
    if ((uint64_t)disk.f_bavail * disk.f_frsize > UINT64_C(1) << 39)
        cr_skip_test("the disk has room for it");
    begin_raw("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
              "Expect: 100-continue\r\nContent-Length: 1099511627776\r\n\r\n");
    hear();
    expect_problem(507, "disk-full");
    expect_closed();
    put(201, "/kv/a", noise(BIG, 36)); /* It failed alone. */
}

Test(large, an_unknown_length_is_limited_on_the_way)
{
    static const char *const flags[] = {"--max-value-bytes", "2MiB", NULL};

    scene_open_with(flags);
    scene.slack_kib = 24 * 1024;
    put_chunked("/kv/a", BYTES, noise((2 << 20) + 1, 16), 50000);
    expect_problem(413, "body-too-large");
    expect_named("2097152");
    put_chunked("/kv/a", BYTES, noise(2 << 20, 17), 50000);
    expect_status(201);
    expect_files(1);
}

Test(large, a_body_cut_midway_leaves_nothing)
{
    struct view value = noise(BIG, 18);

    put(201, "/kv/a", value);
    for (size_t sent = 1; sent < BIG; sent = sent * 7 + 1000) {
        begin_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
                       "Content-Length: %d\r\n\r\n",
                       BIG));
        cr_assert(http_send(&scene.http, (struct view){value.data, sent}));
        reconnect();
    }
    expect_files(1);
    expect_value_bytes("/kv/a", value);
    ASK("GET /kv?count=1");
    expect_body("{\"count\":1}");
}

Test(large, a_stop_midway_ends_in_order)
{
    static const char *const flags[] = {"--shutdown-grace", "200ms", NULL};

    scene_open_with(flags);
    scene.slack_kib = 24 * 1024;
    begin_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
                   "Content-Length: %d\r\n\r\n",
                   BIG));
    cr_assert(http_send(&scene.http, noise(1 << 20, 19)));
    cr_expect(eq(int, kistd_stop(&scene.kistd), 0));
    kistd_start(&scene.kistd, flags);
    reconnect();
    expect_nothing_stored();
    expect_files(0);
}

Test(large, json_is_checked_to_its_last_byte)
{
    struct view good = json_text(900000);
    char *bad = room(900000);

    ask_bytes("PUT /kv/a", JSON, good);
    expect_status(201);
    expect_value_bytes("/kv/a", good);
    ASK("GET /kv/a");
    expect_header("Kist-Type", "string");
    memcpy(bad, good.data, good.size);
    bad[good.size - 1] = 'a';
    ask_bytes("PUT /kv/a", JSON, (struct view){bad, good.size});
    expect_problem(400, "invalid-json");
    expect_open();
    ask_bytes("PUT /kv/a", "", (struct view){bad, good.size});
    expect_problem(415, "media-type");
    bad[100] = '\n';
    put_chunked("/kv/a", JSON, (struct view){bad, good.size}, 10000);
    expect_problem(400, "invalid-json");
    ask_bytes("PUT /kv/a", JSON, view_of(many(100000, ' ')));
    expect_problem(400, "empty-body");
    expect_value_bytes("/kv/a", good);
    expect_files(1);
}

Test(large, without_a_type_json_is_found)
{
    ask_bytes("PUT /kv/a", "", json_text(200000));
    expect_status(201);
    ASK("GET /kv/a");
    expect_header("Content-Type", "application/json");
    expect_header("Kist-Type", "string");
    expect_body_bytes(json_text(200000));
}

Test(large, the_value_is_given_back_where_it_is_preferred)
{
    struct view value = noise(BIG, 20);

    ask_bytes("PUT /kv/a", BYTES "Prefer: return=representation\r\n", value);
    expect_status(200);
    expect_header("Preference-Applied", "return=representation");
    expect_body_bytes(value);
    etag();
}

Test(large, a_taken_value_is_given_and_gone)
{
    struct view value = noise(BIG, 21);

    put(201, "/kv/a", value);
    ASK("POST /kv/a?op=take");
    expect_status(200);
    expect_body_bytes(value);
    expect_absent("/kv/a");
    expect_files(0);
}

Test(large, its_expiry_changes_and_the_file_stays)
{
    struct view value = noise(BIG, 22);

    put(201, "/kv/a?ttl=1000", value);
    ASK("POST /kv/a?op=touch&ttl=2000");
    expect_status(204);
    ASK("POST /kv/a?op=persist");
    expect_status(204);
    expect_no_header("Kist-Expires");
    expect_value_bytes("/kv/a", value);
    expect_files(1);
    ASK("POST /kv/a?op=touch&ttl=1");
    expect_status(204);
    expect_files(0);
    expect_absent("/kv/a");
}

/* [1, 1, ... ] of somewhat more than size bytes. */
static struct view ones(size_t size)
{
    struct blob array = BLOB_EMPTY;

    blob_append_text(&array, "[7");
    while (array.size < size)
        blob_append_text(&array, ",1");
    blob_append_byte(&array, ']');
    return view_of(text_of(&array));
}

Test(large, parts_of_json_are_read_and_changed)
{
    struct view array = ones(200000);

    ask_bytes("PUT /kv/a", JSON, array);
    expect_status(201);
    ASK("GET /kv/a?ptr=/0");
    expect_status(200);
    expect_body("7");
    expect_header("Kist-Type", "number");
    ASK("GET /kv/a?ptr=/x");
    expect_problem(404, "no-such-part");
    ask("PATCH /kv/a", "Content-Type: application/json-patch+json\r\n",
        "[{\"op\":\"replace\",\"path\":\"/0\",\"value\":8}]");
    expect_status(204);
    ASK("GET /kv/a?ptr=/0");
    expect_body("8");
    ask("POST /kv/a?op=append", JSON, "9");
    expect_status(204);
    ASK("GET /kv/a");
    cr_expect(eq(sz, scene.answer.body.size, array.size + 2));
    ASK("POST /kv/a?op=incr");
    expect_problem(409, "wrong-type");
    expect_files(0); /* What edits make is kept in the record. */
}

Test(large, bytes_are_appended_to_up_to_a_limit)
{
    struct view value = noise(BIG, 23);

    put(201, "/kv/a", value);
    ask("POST /kv/a?op=append", BYTES, "tail");
    expect_status(204);
    ASK("GET /kv/a");
    cr_expect(eq(sz, scene.answer.body.size, BIG + 4));
    put(204, "/kv/a", noise((16 << 20) + 1, 24));
    ask("POST /kv/a?op=append", BYTES, "tail");
    expect_problem(422, "unprocessable");
    ask("PATCH /kv/a", "Content-Type: application/merge-patch+json\r\n", "{}");
    expect_problem(422, "unprocessable");
    expect_named("1048576");
    ASK("GET /kv/a?ptr=/a");
    expect_problem(409, "wrong-type");
}

Test(large, an_entry_has_the_value_up_to_a_limit)
{
    ask_bytes("PUT /kv/a", JSON, json_text(100000));
    ask("GET /kv/a", "Accept: application/vnd.kist.entry+json\r\n", NULL);
    expect_status(200);
    cr_expect(eq(sz, json_string_length(json_object_get(document(), "value")),
                 99998));
    cr_expect(json_object_get(document(), "large") == NULL);
    put(201, "/kv/b", noise(BIG, 25));
    ask("GET /kv/b", "Accept: application/vnd.kist.entry+json\r\n", NULL);
    expect_status(200);
    cr_expect(is_left_out(document()));
    cr_expect(
        eq(i64, json_integer_value(json_object_get(document(), "size")), BIG));
}

static const json_t *item(size_t i)
{
    return json_array_get(json_object_get(document(), "items"), i);
}

Test(large, listings_carry_values_up_to_a_limit)
{
    struct blob line = BLOB_EMPTY;

    ask_bytes("PUT /kv/a", JSON, json_text(100000));
    put(201, "/kv/b", noise(BIG, 26));
    put(201, "/kv/c", noise(100000, 27));
    ASK("GET /kv");
    expect_status(200);
    cr_expect(
        eq(i64, json_integer_value(json_object_get(item(1), "size")), BIG));
    cr_expect(json_object_get(item(1), "large") == NULL);
    ASK("GET /kv?values=1");
    cr_expect(
        eq(sz, json_string_length(json_object_get(item(0), "value")), 99998));
    cr_expect(is_left_out(item(1)));
    cr_expect(
        eq(sz, json_string_length(json_object_get(item(2), "base64")), 133336));
    ask("GET /kv?values=1", "Accept: application/x-ndjson\r\n", NULL);
    expect_status(200);
    blob_append(&line, blob_view(&scene.answer.body));
    blob_append_byte(&line, '\0');
    cr_expect(strstr(line.data, "\"large\":true") != NULL);
    cr_expect(gt(sz, line.size, 233000));
    blob_free(&line);
}

Test(large, a_batch_gets_values_up_to_a_limit)
{
    const json_t *results;

    ask_bytes("PUT /kv/a", JSON, json_text(100000));
    put(201, "/kv/b", noise(BIG, 28));
    ask("POST /batch", JSON,
        "{\"operations\":[{\"op\":\"get\",\"key\":\"a\"},"
        "{\"op\":\"get\",\"key\":\"b\"},{\"op\":\"delete\",\"key\":\"b\"},"
        "{\"op\":\"get\",\"key\":\"b\"}]}");
    expect_status(200);
    results = json_object_get(document(), "results");
    cr_expect(eq(sz,
                 json_string_length(
                     json_object_get(json_array_get(results, 0), "value")),
                 99998));
    cr_expect(is_left_out(json_array_get(results, 1)));
    cr_expect(eq(i64,
                 json_integer_value(
                     json_object_get(json_array_get(results, 3), "status")),
                 404));
    expect_files(1);
}

Test(large, a_get_in_a_batch_tells_what_it_saw_whatever_became_of_it)
{
    static const char operations[] =
        "{\"operations\":[{\"op\":\"get\",\"key\":\"a\"},"
        "{\"op\":\"delete\",\"key\":\"a\"}]}";
    const char *version;
    const json_t *seen;

    ask_bytes("PUT /kv/a", JSON, json_text(100000));
    ask("POST /batch", JSON, operations);
    seen = json_array_get(json_object_get(document(), "results"), 0);
    /* The deletion may have taken the file before it was read. */
    cr_expect(is_left_out(seen) ||
              json_string_length(json_object_get(seen, "value")) == 99998);
    ask_bytes("PUT /kv/a", JSON, json_text(100000));
    version = text("%.*s", (int)header("Kist-Version").size,
                   header("Kist-Version").data);
    expect_files(1); /* The first one's is gone. */
    large_files_lose(data());
    ask("POST /batch", JSON, operations);
    seen = json_array_get(json_object_get(document(), "results"), 0);
    cr_expect(
        eq(i64, json_integer_value(json_object_get(seen, "status")), 200));
    cr_assert(is_left_out(seen));
    cr_expect(view_is(
        view_of(json_string_value(json_object_get(seen, "version"))), version));
    expect_absent("/kv/a");
}

Test(large, a_long_poll_is_answered_with_it)
{
    struct http waiting;
    struct http_answer answer = {0};
    struct view value = noise(BIG, 29);

    http_open(&waiting, scene.kistd.port);
    http_send_text(&waiting, "GET /kv/a HTTP/1.1\r\nHost: a\r\n"
                             "Prefer: wait=30\r\n\r\n");
    put(201, "/kv/a", value);
    cr_assert(http_read(&waiting, HTTP_WITH_BODY, &answer));
    cr_expect(eq(uint, answer.status, 200));
    cr_expect(view_equal(blob_view(&answer.body), value), "the value");
    http_answer_free(&answer);
    http_close(&waiting);
}

Test(large, a_prefix_is_deleted_with_its_files)
{
    put(201, "/kv/a/1", noise(BIG, 30));
    put(201, "/kv/a/2", noise(BIG, 31));
    put(201, "/kv/b", noise(BIG, 32));
    ASK("DELETE /kv?prefix=a/&confirm=2");
    expect_status(200);
    expect_files(1);
    expect_value_bytes("/kv/b", noise(BIG, 32));
}

/* So many descriptors are for files of answers with these. */
enum { FILES = 16, LONG = 32 << 20 };

static const char *const few_files[] = {
    "--max-connections", "100", "--max-open-files", "74", "--loops", "1", NULL};

static void open_with_few_files(void)
{
    struct rlimit files = {400, 400}; /* Hardly any but the promised ones. */

    cr_assert(eq(int, setrlimit(RLIMIT_NOFILE, &files), 0));
    scene_open_with(few_files);
    scene.slack_kib = 24 * 1024;
}

/* The status of the answer, and nothing behind it. */
static unsigned read_status(struct http *http)
{
    char line[sizeof "HTTP/1.1 200"] = "";

    for (size_t at = 0; at < sizeof line - 1; at++)
        cr_assert(eq(sz, http_read_raw(http, line + at, 1), 1));
    return (unsigned)strtoul(line + strlen("HTTP/1.1 "), NULL, 10);
}

/* Ask for a long value and do not take it. */
static unsigned begin_reading(struct http *reader)
{
    http_open_narrow(reader, scene.kistd.port, 4096);
    http_send_text(reader, "GET /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    return read_status(reader);
}

Test(large, slow_readers_leave_descriptors_for_everybody_else)
{
    enum { READERS = FILES + 4 };
    struct http readers[READERS];
    unsigned served = 0;

    open_with_few_files();
    put(201, "/kv/a", noise(LONG, 34));
    for (size_t i = 0; i < READERS; i++)
        served += begin_reading(&readers[i]) == 200;
    cr_expect(eq(uint, served, FILES));
    ASK("GET /kv/a");
    expect_problem(503, "busy");
    ASK("POST /kv/a?op=take");
    expect_problem(503, "busy");
    put(201, "/kv/b", noise(100, 35));
    ASK("HEAD /kv/a"); /* It was not taken, either. */
    for (size_t i = 0; i < READERS; i++)
        http_close(&readers[i]);
}

/* How many files of large values the server has open. */
static size_t open_files(void)
{
    const char *path = text("/proc/%d/fd", (int)scene.kistd.pid);
    DIR *folder = opendir(path);
    struct dirent *entry;
    size_t count = 0;

    cr_assert(folder != NULL);
    while ((entry = readdir(folder)) != NULL) {
        char target[256] = "";
        const char *name;

        if (readlinkat(dirfd(folder), entry->d_name, target,
                       sizeof target - 1) < 0)
            continue;
        name = strstr(target, "/data/large/");
        count += name != NULL && strlen(strrchr(name, '/')) > 32;
    }
    closedir(folder);
    return count;
}

/* The scrub reads each file once, so one more may be open for a moment. */
static void expect_open_files(size_t expected)
{
    enum { TRIES = 2000 };

    for (int i = 0; i < TRIES && open_files() != expected; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    cr_expect(eq(sz, open_files(), expected));
}

/* The same for one that was just put. */
static unsigned begin_representation(struct http *reader, struct view value)
{
    http_open_narrow(reader, scene.kistd.port, 4096);
    http_send_text(reader, text("PUT /kv/b HTTP/1.1\r\nHost: a\r\n" BYTES
                                "Prefer: return=representation\r\n"
                                "Content-Length: %zu\r\n\r\n",
                                value.size));
    cr_assert(http_send(reader, value));
    return read_status(reader);
}

Test(large, what_is_given_back_takes_one_descriptor_and_that_is_counted)
{
    enum { OTHERS = FILES - 2 };
    struct http readers[FILES];

    open_with_few_files();
    put(201, "/kv/a", noise(LONG, 37));
    for (size_t i = 0; i < OTHERS; i++)
        cr_assert(eq(uint, begin_reading(&readers[i]), 200));
    cr_assert(
        eq(uint, begin_representation(&readers[OTHERS], noise(LONG, 38)), 200));
    expect_open_files(OTHERS + 1);
    cr_assert(eq(uint, begin_reading(&readers[OTHERS + 1]), 200));
    ASK("GET /kv/a");
    expect_problem(503, "busy");
    for (size_t i = 0; i < FILES; i++)
        http_close(&readers[i]);
}

Test(large, buffers_are_what_body_memory_bounds)
{
    static const char *const flags[] = {"--body-memory",
                                        "2MiB",
                                        "--max-batch-bytes",
                                        "1MiB",
                                        "--max-json-bytes",
                                        "1MiB",
                                        NULL};
    enum { FIT = 4 };
    struct http all[FIT];

    scene_open_with(flags);
    scene.slack_kib = 24 * 1024;
    for (size_t i = 0; i < FIT; i++) {
        http_open(&all[i], scene.kistd.port);
        http_send_text(&all[i], text("PUT /kv/%zu HTTP/1.1\r\nHost: a\r\n" BYTES
                                     "Expect: 100-continue\r\n"
                                     "Content-Length: %d\r\n\r\n",
                                     i, BIG));
        cr_assert(http_read(&all[i], HTTP_HEAD_ONLY, &scene.answer));
        cr_expect(eq(uint, scene.answer.status, 100));
    }
    begin_raw(text("PUT /kv/a HTTP/1.1\r\nHost: a\r\n" BYTES
                   "Content-Length: %d\r\n\r\n",
                   BIG));
    hear();
    expect_problem(503, "busy");
    for (size_t i = 0; i < FIT; i++)
        http_close(&all[i]);
    expect_files(0);
    put(201, "/kv/a", noise(BIG, 33)); /* Larger than all of it. */
    expect_value_bytes("/kv/a", noise(BIG, 33));
}
