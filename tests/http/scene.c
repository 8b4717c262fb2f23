#include "tests/http/scene.h"

#include "base/clock.h"
#include "tests/support/give_up.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct scene scene;

bool scene_is_redis(void)
{
    const char *engine = getenv("TEST_ENGINE");

    return engine != NULL && strcmp(engine, "redis") == 0;
}

void needs_a_store(void)
{
    if (scene_is_redis())
        cr_skip_test("nothing that Redis has");
}

/* It is as durable as a store: the same is expected of its answers. */
static void open_redis(void)
{
    static const char *const durable[] = {"--appendonly", "yes",
                                          "--appendfsync", "always", NULL};

    redis_server_start(&scene.redis, scene.kistd.directory, 0, durable);
    setenv("KIST_ENGINE", "redis", 1);
    setenv("KIST_REDIS_NODES", scene.redis.socket, 1);
}

void scene_open_with(const char *const flags[])
{
    /* Criterion opens the suite's scene first, .init = NULL or not. */
    if (scene.kistd.pid != 0)
        scene_close();
    scene = (struct scene){.http.descriptor = -1, .slack_kib = 48 * 1024};
    kistd_prepare(&scene.kistd, NULL);
    if (scene_is_redis())
        open_redis();
    kistd_start(&scene.kistd, flags);
}

void scene_open(void)
{
    scene_open_with(NULL);
}

/*
 * Closing takes kistd a turn of its loop: wait for it, but not for long.
 * Criterion does not count what fails after a test, a crash it does.
 */
static void expect_no_leak(void)
{
    enum { SLACK_FILES = 6 };
    const struct kistd *kistd = &scene.kistd;

    for (int i = 0; i < 3000 && kistd_sockets(kistd) > kistd->sockets; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    if (kistd_sockets(kistd) > kistd->sockets)
        give_up("%zu sockets, at first %zu, after: %s", kistd_sockets(kistd),
                kistd->sockets, scene.asked);
    /* The engine may have opened tables meanwhile. */
    if (kistd_descriptors(kistd) > kistd->descriptors + SLACK_FILES)
        give_up("%zu descriptors, at first %zu, after: %s",
                kistd_descriptors(kistd), kistd->descriptors, scene.asked);
    if (!kistd_is_sanitized(kistd) &&
        kistd_rss_kib(kistd) > kistd->rss_kib + scene.slack_kib)
        give_up("%zu KiB, at first %zu, after: %s", kistd_rss_kib(kistd),
                kistd->rss_kib, scene.asked);
}

struct kept {
    struct kept *next;
    char bytes[];
};

char *room(size_t size)
{
    struct kept *kept = malloc(sizeof(*kept) + size);

    if (kept == NULL)
        give_up("no memory");
    kept->next = scene.kept;
    scene.kept = kept;
    return kept->bytes;
}

struct view noise(size_t size, unsigned seed)
{
    char *bytes = room(size);
    uint32_t state = seed * 2654435761u + 1;

    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (char)(state >> 24);
    }
    return (struct view){bytes, size};
}

static void free_kept(void)
{
    while (scene.kept != NULL) {
        struct kept *next = scene.kept->next;

        free(scene.kept);
        scene.kept = next;
    }
}

void scene_close(void)
{
    http_close(&scene.http);
    if (scene.kistd.pid != 0) {
        expect_no_leak();
        if (kistd_stop(&scene.kistd) != 0)
            give_up("kistd did not end well after: %s", scene.asked);
    }
    redis_server_kill(&scene.redis);
    kistd_remove(&scene.kistd);
    http_answer_free(&scene.answer);
    json_decref(scene.document);
    free_kept();
}

void reconnect(void)
{
    http_close(&scene.http);
    http_open(&scene.http, scene.kistd.port);
}

static bool writes(const char *what)
{
    static const char *const methods[] = {"PUT ", "PATCH ", "POST ", "DELETE "};

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strncmp(what, methods[i], strlen(methods[i])) == 0)
            return true;
    return false;
}

static void remember(const char *what)
{
    snprintf(scene.asked, sizeof scene.asked, "%s", what);
    scene.is_read_only = !writes(what);
}

void ask_bytes(const char *what, const char *headers, struct view body)
{
    if (scene.http.descriptor < 0 || scene.answer.closes || scene.http.ended)
        reconnect();
    remember(what);
    http_ask(&scene.http, what, headers, body, &scene.answer);
}

void ask(const char *what, const char *headers, const char *body)
{
    struct view none = {NULL, 0};

    ask_bytes(what, headers, body != NULL ? view_of(body) : none);
}

void ask_for(unsigned status, const char *what, const char *headers,
             const char *body)
{
    ask(what, headers, body);
    cr_assert(eq(uint, scene.answer.status, status), "%s: %.*s%.*s", what,
              (int)scene.answer.head.size, scene.answer.head.data,
              (int)scene.answer.body.size, scene.answer.body.data);
}

const char *text(const char *format, ...)
{
    va_list arguments;
    int size;
    char *made;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    made = room((size_t)size + 1);
    va_start(arguments, format);
    vsnprintf(made, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return made;
}

const char *text_of(struct blob *blob)
{
    char *made = room(blob->size + 1);

    if (blob->size > 0)
        memcpy(made, blob->data, blob->size);
    made[blob->size] = '\0';
    blob_free(blob);
    return made;
}

const char *many(size_t size, char byte)
{
    char *made = room(size + 1);

    memset(made, byte, size);
    made[size] = '\0';
    return made;
}

static void begin(struct view request)
{
    char start[sizeof scene.asked];
    size_t n = request.size < sizeof start ? request.size : sizeof start - 1;

    memcpy(start, request.data, n);
    start[n] = '\0';
    remember(start);
    reconnect();
    http_answer_free(&scene.answer);
    http_send(&scene.http, request);
}

void begin_raw(const char *request)
{
    begin(view_of(request));
}

void send_raw_bytes(struct view request)
{
    begin(request);
    hear();
}

void send_raw(const char *request)
{
    send_raw_bytes(view_of(request));
}

void hear(void)
{
    http_read(&scene.http, HTTP_WITH_BODY, &scene.answer);
}

void expect_status(unsigned status)
{
    cr_expect(
        eq(uint, scene.answer.status, status), "%s: %.*s%.*s", scene.asked,
        (int)scene.answer.head.size, scene.answer.head.data,
        (int)(scene.answer.body.size < 500 ? scene.answer.body.size : 500),
        scene.answer.body.data);
}

struct view header(const char *name)
{
    return http_header(&scene.answer, name);
}

void expect_header(const char *name, const char *value)
{
    struct view found = header(name);

    cr_expect(view_is(found, value), "%s: %s is \"%.*s\", not \"%s\"",
              scene.asked, name, (int)found.size, found.data, value);
}

void expect_some_header(const char *name)
{
    cr_expect(header(name).size > 0, "%s: no %s in %.*s", scene.asked, name,
              (int)scene.answer.head.size, scene.answer.head.data);
}

void expect_no_header(const char *name)
{
    struct view found = header(name);

    cr_expect(found.data == NULL, "%s: %s is \"%.*s\"", scene.asked, name,
              (int)found.size, found.data);
}

void expect_body_bytes(struct view body)
{
    struct view found = blob_view(&scene.answer.body);
    size_t shown = found.size < 200 ? found.size : 200;

    cr_expect(view_equal(found, body), "%s: %zu bytes of body, not %zu: %.*s",
              scene.asked, found.size, body.size, (int)shown, found.data);
}

void expect_body(const char *body)
{
    expect_body_bytes(view_of(body));
}

static bool is_version(struct view version)
{
    bool hex = version.size == 32;

    for (size_t i = 0; hex && i < version.size; i++)
        hex = isdigit(version.data[i]) ||
              (version.data[i] >= 'a' && version.data[i] <= 'f');
    return hex;
}

const char *etag(void)
{
    struct view tag = header("ETag");
    struct view version = header("Kist-Version");

    cr_expect(is_version(version), "%s: Kist-Version is %.*s", scene.asked,
              (int)version.size, version.data);
    cr_assert(tag.size == version.size + 2 && tag.data[0] == '"' &&
                  tag.data[tag.size - 1] == '"' &&
                  memcmp(tag.data + 1, version.data, version.size) == 0,
              "%s: ETag is %.*s", scene.asked, (int)tag.size, tag.data);
    return text("%.*s", (int)tag.size, tag.data);
}

static json_t *parse(struct view body)
{
    json_decref(scene.document);
    scene.document = json_loadb(body.data, body.size,
                                JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    cr_expect(scene.document != NULL, "%s: not JSON: %.*s", scene.asked,
              (int)body.size, body.data);
    return scene.document;
}

json_t *document(void)
{
    return parse(blob_view(&scene.answer.body));
}

static void expect_member(const json_t *problem, const char *name,
                          const char *value)
{
    const char *found = json_string_value(json_object_get(problem, name));

    cr_expect(found != NULL &&
                  (value == NULL ? *found != '\0' : strcmp(found, value) == 0),
              "%s: member %s is %s", scene.asked, name, found);
}

void expect_problem(unsigned status, const char *slug)
{
    expect_status(status);
    if (scene.answer.status < 400)
        return;
    expect_header("Content-Type", "application/problem+json");

    json_t *problem = document();
    expect_member(problem, "type", text("urn:kist:problem:%s", slug));
    expect_member(problem, "title", NULL);
    expect_member(problem, "detail", NULL);
    cr_expect(eq(int,
                 (int)json_integer_value(json_object_get(problem, "status")),
                 (int)status),
              "%s: member status", scene.asked);
    if (!scene.is_read_only)
        expect_member(problem, "outcome",
                      status == 504 ? "unknown" : "not_applied");
    else
        cr_expect(json_object_get(problem, "outcome") == NULL,
                  "%s: a read has no outcome", scene.asked);
    if (status == 503 || status == 429)
        expect_some_header("Retry-After");
    if (status == 405)
        expect_some_header("Allow");
}

void expect_named(const char *limit)
{
    const struct blob *body = &scene.answer.body;

    cr_expect(body->size > 0 &&
                  memmem(body->data, body->size, limit, strlen(limit)) != NULL,
              "%s: %s is not named in %.*s", scene.asked, limit,
              (int)body->size, body->data);
}

void expect_closed(void)
{
    cr_expect(scene.answer.status == 0 || scene.answer.closes,
              "%s: no Connection: close in %.*s", scene.asked,
              (int)scene.answer.head.size, scene.answer.head.data);
    cr_expect(http_closes(&scene.http, 5000),
              "%s: the connection stays open or says more", scene.asked);
}

void expect_open(void)
{
    struct http_answer answer = {0};

    cr_expect(not(scene.answer.closes), "%s: the connection is closed",
              scene.asked);
    http_ask(&scene.http, "GET /livez", "", (struct view){NULL, 0}, &answer);
    cr_expect(eq(uint, answer.status, 200), "%s: no further request",
              scene.asked);
    http_answer_free(&answer);
}

/* On a connection of its own. */
static struct http_answer aside(const char *what)
{
    struct http http;
    struct http_answer answer = {0};

    http_open(&http, scene.kistd.port);
    http_ask(&http, what, "", (struct view){NULL, 0}, &answer);
    http_close(&http);
    return answer;
}

void expect_value_bytes(const char *target, struct view value)
{
    struct http_answer answer = aside(text("GET %s", target));

    cr_expect(answer.status == 200 &&
                  view_equal(blob_view(&answer.body), value),
              "%s then holds (%u): %.*s", target, answer.status,
              (int)(answer.body.size < 200 ? answer.body.size : 200),
              answer.body.data);
    http_answer_free(&answer);
}

void expect_value(const char *target, const char *value)
{
    expect_value_bytes(target, view_of(value));
}

void expect_absent(const char *target)
{
    struct http_answer answer = aside(text("GET %s", target));

    cr_expect(eq(uint, answer.status, 404), "after %s, %s exists", scene.asked,
              target);
    http_answer_free(&answer);
}

void expect_nothing_stored(void)
{
    struct http_answer answer = aside("GET /kv?count=1");
    json_t *counted = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    json_t *count = json_object_get(counted, "count");
    bool none = json_is_integer(count) && json_integer_value(count) == 0;

    cr_expect(none, "after %s: %.*s", scene.asked, (int)answer.body.size,
              answer.body.data);
    json_decref(counted);
    http_answer_free(&answer);
}

void expect_well(void)
{
    struct http_answer answer = aside("GET /livez");

    cr_expect(eq(uint, answer.status, 200), "after %s", scene.asked);
    http_answer_free(&answer);
}
