/*
 * Memory is bounded by configuration: not by the size of values, by the
 * number of keys, or by how slowly a client reads.
 *
 * The bound is what a start takes and the sum of the budgets set here, not a
 * number found by trying.
 */
#include "tests/support/give_up.h"
#include "tests/support/http.h"
#include "tests/support/kistd.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BODIES_MIB = 2 * 32,
    QUEUE_MIB = 32,
    BUFFERS_MIB = 2 * 4,
    CACHE_MIB = 8 + 16, /* Of blocks, and of records. */
};

/* Allocator waste and stacks; the engine's tables that are open. */
enum { SLACK_MIB = 48 };

static const char *const flags[] = {"--body-memory",
                                    "32MiB",
                                    "--commit-queue-bytes",
                                    "32MiB",
                                    "--block-cache-bytes",
                                    "8MiB",
                                    "--cache-bytes",
                                    "16MiB",
                                    "--write-buffer-bytes",
                                    "4MiB",
                                    NULL};

static struct kistd kistd;

static void open_bounded(void)
{
    kistd_prepare(&kistd, NULL);
    kistd_start(&kistd, flags);
    if (kistd_is_sanitized(&kistd)) {
        kistd_remove(&kistd);
        cr_skip_test("a sanitizer's memory says nothing");
    }
}

static void close_bounded(void)
{
    if (kistd.pid != 0 && kistd_stop(&kistd) != 0)
        give_up("kistd did not end well");
    kistd_remove(&kistd);
}

TestSuite(memory, .init = open_bounded, .fini = close_bounded, .timeout = 120);

static size_t bound_kib(void)
{
    return kistd.rss_kib +
           (BODIES_MIB + QUEUE_MIB + BUFFERS_MIB + CACHE_MIB + SLACK_MIB) *
               (size_t)1024;
}

/*
 * While it is written, a value is its body, its record, part of the engine's
 * batch, and in two of the engine's tables.
 */
enum { ENGINE_COPIES = 4 };

/* Looks at the memory until told to stop; the most it saw. */
struct watch {
    pthread_t thread;
    atomic_bool stop;
    size_t most_kib;
    size_t bound_kib;
};

static void *watch_memory(void *argument)
{
    struct watch *watch = argument;

    while (!atomic_load(&watch->stop)) {
        size_t now = kistd_rss_kib(&kistd);

        watch->most_kib = now > watch->most_kib ? now : watch->most_kib;
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return NULL;
}

static void watch_start(struct watch *watch)
{
    *watch = (struct watch){.bound_kib = bound_kib()};
    if (pthread_create(&watch->thread, NULL, watch_memory, watch) != 0)
        give_up("no thread");
}

static void watch_end(struct watch *watch)
{
    atomic_store(&watch->stop, true);
    pthread_join(watch->thread, NULL);
    printf("# at start %zu KiB, most %zu KiB, bound %zu KiB\n", kistd.rss_kib,
           watch->most_kib, watch->bound_kib);
    cr_expect(le(sz, watch->most_kib, watch->bound_kib), "resident KiB");
}

/* A mebibyte of [{},{},...]: the worst for who builds a tree of it. */
static struct blob many_objects(void)
{
    struct blob body = BLOB_EMPTY;

    blob_append_byte(&body, '[');
    while (body.size < (1 << 20) - 4)
        blob_append_text(&body, "{},");
    blob_append_text(&body, "1]");
    return body;
}

struct uploads {
    const char *what;
    const char *headers;
    struct view body;
    atomic_int taken, busy, other;
};

static void *upload(void *argument)
{
    struct uploads *uploads = argument;
    struct http http;
    struct http_answer answer = {0};

    for (int i = 0; i < 4; i++) {
        http_open(&http, kistd.port);
        http_ask(&http, uploads->what, uploads->headers, uploads->body,
                 &answer);
        if (answer.status == 503)
            atomic_fetch_add(&uploads->busy, 1);
        else if (answer.status >= 200 && answer.status < 300)
            atomic_fetch_add(&uploads->taken, 1);
        else
            atomic_fetch_add(&uploads->other, 1);
        http_close(&http);
    }
    http_answer_free(&answer);
    return NULL;
}

enum { PARALLEL = 50 };

static void upload_in_parallel(struct uploads *uploads)
{
    pthread_t threads[PARALLEL];
    struct watch watch;

    watch_start(&watch);
    watch.bound_kib += ENGINE_COPIES * QUEUE_MIB * 1024;
    for (int i = 0; i < PARALLEL; i++)
        if (pthread_create(&threads[i], NULL, upload, uploads) != 0)
            give_up("no thread");
    for (int i = 0; i < PARALLEL; i++)
        pthread_join(threads[i], NULL);
    watch_end(&watch);
    printf("# %d taken, %d refused for now\n", atomic_load(&uploads->taken),
           atomic_load(&uploads->busy));
    cr_expect(eq(int, atomic_load(&uploads->other), 0));
    cr_expect(gt(int, atomic_load(&uploads->taken), 0));
}

Test(memory, fifty_documents_of_a_mebibyte_stay_within_the_bound)
{
    struct blob body = many_objects();
    struct uploads uploads = {.what = "PUT /kv/a",
                              .headers = "Content-Type: application/json\r\n",
                              .body = blob_view(&body)};

    upload_in_parallel(&uploads);
    blob_free(&body);
}

enum { HELD_SIZE = 8 << 20 };

struct held {
    pthread_t thread;
    pthread_barrier_t *all_sent, *go_on;
    const char *value;
    unsigned status;
};

/* Sends all but the last byte, and that when everybody has come so far. */
static void *hold_upload(void *argument)
{
    struct held *held = argument;
    struct http http;
    struct http_answer answer = {0};

    http_open(&http, kistd.port);
    http_send_text(&http, "PUT /kv/c HTTP/1.1\r\nHost: a\r\n"
                          "Content-Type: text/plain\r\n"
                          "Content-Length: 8388608\r\n\r\n");
    http_send(&http, (struct view){held->value, HELD_SIZE - 1});
    pthread_barrier_wait(held->all_sent);
    pthread_barrier_wait(held->go_on);
    http_send(&http, (struct view){held->value, 1});
    http_read(&http, HTTP_WITH_BODY, &answer);
    held->status = answer.status;
    http_answer_free(&answer);
    http_close(&http);
    return NULL;
}

/* 400 MiB on their way at the same moment: only --body-memory is kept. */
Test(memory, fifty_bodies_on_their_way_stay_within_the_bound)
{
    static struct held helds[PARALLEL];
    pthread_barrier_t all_sent, go_on;
    char *value = malloc(HELD_SIZE);
    int taken = 0;

    cr_assert(ne(ptr, value, NULL));
    memset(value, 'x', HELD_SIZE);
    pthread_barrier_init(&all_sent, NULL, PARALLEL + 1);
    pthread_barrier_init(&go_on, NULL, PARALLEL + 1);
    for (int i = 0; i < PARALLEL; i++) {
        helds[i] = (struct held){
            .all_sent = &all_sent, .go_on = &go_on, .value = value};
        if (pthread_create(&helds[i].thread, NULL, hold_upload, &helds[i]) != 0)
            give_up("no thread");
    }
    pthread_barrier_wait(&all_sent);
    size_t rss_kib = kistd_rss_kib(&kistd);
    pthread_barrier_wait(&go_on);
    for (int i = 0; i < PARALLEL; i++) {
        pthread_join(helds[i].thread, NULL);
        taken += helds[i].status == 201 || helds[i].status == 204;
        cr_expect(helds[i].status == 201 || helds[i].status == 204 ||
                      helds[i].status == 503,
                  "every client is told, not %u", helds[i].status);
    }
    printf("# %zu KiB for 400 MiB, bound %zu KiB; %d taken\n", rss_kib,
           bound_kib(), taken);
    cr_expect(le(sz, rss_kib, bound_kib()), "resident KiB");
    cr_expect(gt(int, taken, 0));
    free(value);
}

Test(memory, fifty_batches_of_many_objects_stay_within_the_bound)
{
    struct blob value = many_objects();
    struct blob body = BLOB_EMPTY;

    blob_append_text(&body, "{\"operations\":[{\"op\":\"put\",\"key\":\"b\","
                            "\"value\":");
    value.size -= 200; /* Room for the envelope within a mebibyte. */
    while (value.data[value.size - 1] != '}')
        value.size--;
    blob_append(&body, blob_view(&value));
    blob_append_text(&body, "]}]}");
    struct uploads uploads = {.what = "POST /batch",
                              .headers = "Content-Type: application/json\r\n",
                              .body = blob_view(&body)};
    upload_in_parallel(&uploads);
    blob_free(&value);
    blob_free(&body);
}

/*
 * Values in files: 64 clients send 8 MiB each at once, then 64 read one of
 * them slowly. 512 MiB on the way, and none of it is kept in memory.
 */
enum { FILE_CLIENTS = 64, FILE_SIZE = 8 << 20 };

static void *upload_file(void *argument)
{
    struct uploads *uploads = argument;
    struct http http;
    struct http_answer answer = {0};
    static _Atomic int number;

    http_open(&http, kistd.port);
    http.patience_ms = 60000;
    char what[32];

    snprintf(what, sizeof what, "PUT /kv/f%d", atomic_fetch_add(&number, 1));
    http_ask(&http, what, uploads->headers, uploads->body, &answer);
    atomic_fetch_add(answer.status == 201 ? &uploads->taken : &uploads->other,
                     1);
    http_close(&http);
    http_answer_free(&answer);
    return NULL;
}

Test(memory, many_values_in_files_come_and_go_in_their_buffers)
{
    /* Twice 256 KiB each, the connections, and what a thread's heap keeps. */
    size_t bound = kistd.rss_kib + FILE_CLIENTS * (512 + 64) + 24 * 1024;
    pthread_t threads[FILE_CLIENTS];
    struct http readers[FILE_CLIENTS];
    struct watch watch;
    struct uploads uploads = {.headers =
                                  "Content-Type: application/octet-stream\r\n",
                              .body = {calloc(1, FILE_SIZE), FILE_SIZE}};
    char piece[4096];

    cr_assert(ne(ptr, (void *)(uintptr_t)uploads.body.data, NULL));
    watch_start(&watch);
    watch.bound_kib = bound;
    for (int i = 0; i < FILE_CLIENTS; i++)
        if (pthread_create(&threads[i], NULL, upload_file, &uploads) != 0)
            give_up("no thread");
    for (int i = 0; i < FILE_CLIENTS; i++)
        pthread_join(threads[i], NULL);
    cr_expect(eq(int, atomic_load(&uploads.taken), FILE_CLIENTS));
    for (int i = 0; i < FILE_CLIENTS; i++) {
        http_open_narrow(&readers[i], kistd.port, 4096);
        http_send_text(&readers[i], "GET /kv/f0 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (int turn = 0; turn < 20; turn++)
        for (int i = 0; i < FILE_CLIENTS; i++)
            cr_assert(
                gt(sz, http_read_raw(&readers[i], piece, sizeof piece), 0));
    watch_end(&watch);
    for (int i = 0; i < FILE_CLIENTS; i++)
        http_close(&readers[i]);
    free((void *)(uintptr_t)uploads.body.data);
}

static void put_many_keys(unsigned batches)
{
    struct http http;
    struct http_answer answer = {0};

    http_open(&http, kistd.port);
    for (unsigned batch = 0; batch < batches; batch++) {
        struct blob body = BLOB_EMPTY;

        for (unsigned i = 0; i < 5000; i++)
            blob_printf(&body,
                        "{\"op\":\"put\",\"key\":\"k/%u/%u\",\"value\":"
                        "\"%0100u\"}\n",
                        batch, i, batch * 5000 + i);
        http_ask(&http, "POST /batch?durability=async",
                 "Content-Type: application/x-ndjson\r\n", blob_view(&body),
                 &answer);
        cr_assert(eq(uint, answer.status, 200), "%.*s", (int)answer.body.size,
                  answer.body.data);
        blob_free(&body);
    }
    http_answer_free(&answer);
    http_close(&http);
}

static const char export_request[] = "GET /kv?values=1 HTTP/1.1\r\nHost: a\r\n"
                                     "Accept: application/x-ndjson\r\n\r\n";

Test(memory, an_export_for_slow_readers_stays_within_the_bound)
{
    enum { READERS = 40 };
    struct http readers[READERS];
    struct watch watch;
    char piece[4096];

    put_many_keys(20);
    watch_start(&watch);
    for (int i = 0; i < READERS; i++) {
        http_open_narrow(&readers[i], kistd.port, 4096);
        http_send_text(&readers[i], export_request);
    }
    /* Each takes a little, none the end. */
    for (int turn = 0; turn < 50; turn++)
        for (int i = 0; i < READERS; i++)
            cr_assert(
                gt(sz, http_read_raw(&readers[i], piece, sizeof piece), 0));
    watch_end(&watch);
    for (int i = 0; i < READERS; i++)
        http_close(&readers[i]);
}

Test(memory, a_whole_export_has_every_key_and_stays_within_the_bound)
{
    struct http http;
    struct http_answer answer = {0};
    struct watch watch;
    size_t lines = 0;

    put_many_keys(20);
    watch_start(&watch);
    http_open(&http, kistd.port);
    http_send_text(&http, export_request);
    cr_assert(http_read(&http, HTTP_WITH_BODY, &answer));
    watch_end(&watch);
    for (size_t i = 0; i < answer.body.size; i++)
        lines += answer.body.data[i] == '\n';
    cr_expect(eq(sz, lines, 100000));
    http_answer_free(&answer);
    http_close(&http);
}

Test(memory, readers_of_large_values_stay_within_the_bound)
{
    enum { READERS = 30 };
    struct http http, readers[READERS];
    struct http_answer answer = {0};
    struct watch watch;
    size_t size = 8 << 20;
    char *value = malloc(size);

    cr_assert(ne(ptr, value, NULL));
    memset(value, 'x', size);
    http_open(&http, kistd.port);
    http_ask(&http, "PUT /kv/a", "Content-Type: text/plain\r\n",
             (struct view){value, size}, &answer);
    cr_assert(eq(uint, answer.status, 201));
    free(value);
    watch_start(&watch);
    for (int i = 0; i < READERS; i++) {
        http_open_narrow(&readers[i], kistd.port, 4096);
        http_send_text(&readers[i], "GET /kv/a HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (int i = 0; i < READERS; i++) {
        char piece[4096];

        cr_expect(gt(sz, http_read_raw(&readers[i], piece, sizeof piece), 0));
    }
    watch_end(&watch);
    http_ask(&http, "GET /livez", "", (struct view){NULL, 0}, &answer);
    cr_expect(eq(uint, answer.status, 200));
    for (int i = 0; i < READERS; i++)
        http_close(&readers[i]);
    http_answer_free(&answer);
    http_close(&http);
}
