/*
 * Values that lie in files, in a cluster: the owners fetch them from whoever
 * took them, and a node without one reads it from those who have it.
 */
#include "tests/cluster/nodes.h"

#include "tests/support/give_up.h"
#include "tests/support/large_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define MIB          ((size_t)1024 * 1024)
#define OCTET_STREAM "Content-Type: application/octet-stream\r\n"

static struct blob value; /* The one of the test. */

static void tear_down(void)
{
    blob_free(&value);
    close_cluster();
}

TestSuite(large, .fini = tear_down, .timeout = 180);

static const char *const plain[] = {NULL};
static const char *const two_copies[] = {"--replicas", "2", NULL};
static const char *const only_hints[] = {"--anti-entropy-period", "1d", NULL};
static const char *const only_comparing[] = {
    "--hint-bytes", "0", "--anti-entropy-period", "500ms", "--write-timeout",
    "500ms",        NULL};
static const char *const hasty[] = {"--write-timeout", "1s", NULL};

/* Never the same twice, for what is cut or mixed up to be seen. */
static void make_value(uint64_t seed, size_t size)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

    blob_clear(&value);
    cr_assert(blob_reserve_exactly(&value, size) == KIST_OK);
    for (size_t i = 0; i < size; i += sizeof(state)) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(value.data + i, &state,
               size - i < sizeof(state) ? size - i : sizeof(state));
    }
    value.size = size;
}

/* A sanitizer takes ten times as long. */
static size_t much(size_t size)
{
    return kistd_is_sanitized(&nodes[0].kistd) ? size / 8 : size;
}

static unsigned send_value(const struct node *node, const char *what,
                           const char *headers)
{
    struct http http;

    http_open(&http, node->kistd.port);
    http.patience_ms = 60000;
    http_ask(&http, what, headers, blob_view(&value), &answer);
    http_close(&http);
    return answer.status;
}

/* As insist(). */
static unsigned put_value(const struct node *node, const char *what,
                          const char *headers)
{
    UNTIL(send_value(node, what, headers) != 503 && answer.status != 504);
    return answer.status;
}

static void must_put(const struct node *node, const char *what)
{
    unsigned status = put_value(node, what, OCTET_STREAM);

    cr_assert(status == 201 || status == 204, "%s: %u: %.*s", what, status,
              (int)answer.body.size, answer.body.data);
}

static bool is_value(const struct node *node, const char *what)
{
    return insist(node, what, "", NULL) == 200 &&
           view_equal(blob_view(&answer.body), blob_view(&value));
}

static size_t files(const struct node *node, const char *folder)
{
    char data[128];

    snprintf(data, sizeof(data), "%s/data", node->kistd.directory);
    return large_files_count(data, folder);
}

static size_t peak_kib(const struct node *node)
{
    char path[64], line[256];
    size_t kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)node->kistd.pid);
    file = fopen(path, "r");
    if (file == NULL)
        give_up("no %s", path);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoul(line + 6, NULL, 10);
    fclose(file);
    return kib;
}

/* The timeout is that of a write that gets nowhere: this one goes on. */
Test(large, all_owners_get_it_byte_for_byte_in_little_memory)
{
    open_cluster(hasty);
    make_value(1, much(100 * MIB));
    must_put(&nodes[0], "PUT /kv/a?w=all");
    for (unsigned n = 0; n < NODES; n++) {
        cr_expect(is_value(&nodes[n], "GET /kv/a?r=1"));
        cr_expect(eq(sz, files(&nodes[n], NULL), 1));
        cr_expect(eq(sz, files(&nodes[n], "incoming"), 0));
        if (!kistd_is_sanitized(&nodes[n].kistd))
            cr_expect(lt(sz, peak_kib(&nodes[n]), 64 * 1024));
    }
    expect(&nodes[1], 204, "DELETE /kv/a?w=all", NULL);
    for (unsigned n = 0; n < NODES; n++)
        UNTIL(files(&nodes[n], NULL) == 0);
}

Test(large, whoever_takes_it_two_copies_are_acknowledged_and_three_come)
{
    open_cluster(plain);
    for (unsigned n = 0; n < NODES; n++) {
        make_value(n, 300000 + n);
        must_put(&nodes[n], text("PUT /kv/key-%u", n));
        cr_expect(
            view_is(http_header(&answer, "Kist-Durable"), "sync;nodes=2") ||
            view_is(http_header(&answer, "Kist-Durable"), "sync;nodes=3"));
        for (unsigned m = 0; m < NODES; m++)
            cr_assert(is_value(&nodes[m], text("GET /kv/key-%u", n)));
        for (unsigned m = 0; m < NODES; m++)
            UNTIL(is_value(&nodes[m], text("GET /kv/key-%u?r=1", n)));
    }
}

/* Each key has two owners of three nodes. */
Test(large, a_node_without_a_copy_takes_it_and_gives_it)
{
    struct blob all = BLOB_EMPTY;
    size_t count = 0;

    open_cluster(two_copies);
    make_value(1, 3 * MIB + 17);
    blob_append(&all, blob_view(&value));
    for (unsigned i = 0; i < 6; i++)
        must_put(&nodes[i % NODES], text("PUT /kv/key-%u?w=all", i));
    for (unsigned i = 0; i < 6; i++)
        for (unsigned n = 0; n < NODES; n++) {
            cr_expect(is_value(&nodes[n], text("GET /kv/key-%u", i)));
            cr_expect(eq(uint,
                         ask(&nodes[n], text("GET /kv/key-%u", i),
                             "Range: bytes=1048570-2097160\r\n", NULL),
                         206));
            cr_expect(view_equal(blob_view(&answer.body),
                                 (struct view){all.data + 1048570, 1048591}));
            cr_expect(eq(uint,
                         ask(&nodes[n], text("GET /kv/key-%u", i),
                             "Range: bytes=0-9\r\n"
                             "Want-Content-Digest: sha-256=1\r\n",
                             NULL),
                         206));
            cr_expect(http_header(&answer, "Content-Digest").size > 0);
            cr_expect(eq(sz, answer.body.size, 10));
        }
    for (unsigned n = 0; n < NODES; n++)
        count += files(&nodes[n], NULL);
    cr_expect(eq(sz, count, 12)); /* Who took it and owns it not, has none. */
    blob_free(&all);
}

Test(large, it_is_replaced_and_ends_as_any_value)
{
    open_cluster(plain);
    make_value(1, 200000);
    must_put(&nodes[0], "PUT /kv/a?w=all");
    make_value(2, 250000);
    cr_expect(eq(uint,
                 put_value(&nodes[1], "PUT /kv/a?w=all",
                           OCTET_STREAM "Prefer: return=representation\r\n"),
                 200));
    cr_expect(view_equal(blob_view(&answer.body), blob_view(&value)));
    for (unsigned n = 0; n < NODES; n++) {
        cr_expect(is_value(&nodes[n], "GET /kv/a"));
        UNTIL(files(&nodes[n], NULL) == 1);
    }
    expect(&nodes[2], 204, "PUT /kv/a?w=all", "1");
    for (unsigned n = 0; n < NODES; n++)
        UNTIL(files(&nodes[n], NULL) == 0);
    must_put(&nodes[2], "PUT /kv/a?w=all&ttl=1");
    for (unsigned n = 0; n < NODES; n++)
        UNTIL(ask(&nodes[n], "GET /kv/a?r=1", "", NULL) == 404);
}

Test(large, sent_again_with_its_version_it_is_the_same_file)
{
    char line[128];

    open_cluster(plain);
    make_value(1, 200000);
    must_put(&nodes[0], "PUT /kv/a?w=all");
    snprintf(line, sizeof(line), OCTET_STREAM "Kist-Version: %.*s\r\n",
             (int)http_header(&answer, "Kist-Version").size,
             http_header(&answer, "Kist-Version").data);
    for (unsigned n = 0; n < NODES; n++)
        cr_expect(eq(uint, put_value(&nodes[n], "PUT /kv/a?w=all", line), 204));
    for (unsigned n = 0; n < NODES; n++) {
        cr_expect(is_value(&nodes[n], "GET /kv/a?r=1"));
        UNTIL(files(&nodes[n], NULL) == 1);
    }
}

/* A condition cannot hold in a cluster: the body is not waited for. */
Test(large, what_a_cluster_refuses_it_refuses_before_the_body)
{
    struct http http;

    open_cluster(plain);
    http_open(&http, nodes[0].kistd.port);
    cr_assert(http_send_text(&http,
                             "PUT /kv/a HTTP/1.1\r\nHost: k\r\n" OCTET_STREAM
                             "Content-Length: 10000000\r\n"
                             "Expect: 100-continue\r\n"
                             "If-None-Match: *\r\n\r\n"));
    cr_assert(http_read(&http, HTTP_WITH_BODY, &answer));
    cr_expect(eq(uint, answer.status, 409));
    cr_expect(answer_has("needs-strong"));
    http_close(&http);
}

Test(large, without_a_node_it_is_written_and_hints_bring_it)
{
    open_cluster(only_hints);
    kistd_kill(&nodes[2].kistd);
    make_value(1, 5 * MIB);
    must_put(&nodes[0], "PUT /kv/a");
    UNTIL(number_at(&nodes[0], "GET /cluster/hints", "pending") > 0);
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(is_value(&nodes[2], "GET /kv/a?r=1"));
    UNTIL(number_at(&nodes[0], "GET /cluster/hints", "pending") == 0);
}

Test(large, without_hints_comparing_brings_it)
{
    open_cluster(only_comparing);
    kistd_kill(&nodes[2].kistd);
    make_value(1, 2 * MIB);
    for (unsigned i = 0; i < 10; i++)
        must_put(&nodes[i % 2], text("PUT /kv/key-%u", i));
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    for (unsigned i = 0; i < 10; i++)
        UNTIL(is_value(&nodes[2], text("GET /kv/key-%u?r=1", i)));
    cr_expect(eq(sz, files(&nodes[2], NULL), 10));
}

/* The head and a half of the body. */
static void begin_put(struct http *http, const struct node *node,
                      const char *key)
{
    char head[256];

    snprintf(head, sizeof(head),
             "PUT /kv/%s HTTP/1.1\r\nHost: k\r\n" OCTET_STREAM
             "Content-Length: %zu\r\n\r\n",
             key, value.size);
    http_open(http, node->kistd.port);
    http->patience_ms = 60000;
    cr_assert(http_send_text(http, head));
    cr_assert(http_send(http, (struct view){value.data, value.size / 2}));
}

Test(large, an_owner_that_dies_within_an_upload_gets_it_later)
{
    struct http http;

    open_cluster(plain);
    make_value(1, 8 * MIB);
    begin_put(&http, &nodes[0], "a");
    kistd_kill(&nodes[2].kistd);
    cr_assert(http_send(&http, view_from(blob_view(&value), value.size / 2)));
    cr_assert(http_read(&http, HTTP_WITH_BODY, &answer));
    cr_expect(eq(uint, answer.status, 201), "%.*s", (int)answer.body.size,
              answer.body.data);
    http_close(&http);
    cr_expect(is_value(&nodes[1], "GET /kv/a"));
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(is_value(&nodes[2], "GET /kv/a?r=1"));
}

Test(large, who_takes_it_and_dies_leaves_nothing)
{
    struct http http;

    open_cluster(plain);
    make_value(1, 8 * MIB);
    begin_put(&http, &nodes[0], "a");
    UNTIL(files(&nodes[0], "incoming") == 1);
    kistd_kill(&nodes[0].kistd);
    http_close(&http);
    UNTIL(ask(&nodes[1], "GET /kv/a", "", NULL) == 404);
    kistd_start(&nodes[0].kistd, nodes[0].flags);
    UNTIL(files(&nodes[0], "incoming") == 0);
    for (unsigned n = 0; n < NODES; n++)
        cr_expect(eq(sz, files(&nodes[n], NULL), 0));
}

/* It took the connection, and is not known to be away yet. */
Test(large, an_owner_that_stalls_holds_nobody_up)
{
    uint64_t stalled_ns;

    open_cluster(plain);
    make_value(1, 2 * MIB);
    cr_assert(eq(int, kill(nodes[2].kistd.pid, SIGSTOP), 0));
    stalled_ns = clock_mono_ns();
    must_put(&nodes[0], "PUT /kv/a");
    cr_expect(is_value(&nodes[1], "GET /kv/a?r=1"));
    cr_expect(clock_mono_ns() - stalled_ns < UINT64_C(10000000000));
    cr_assert(eq(int, kill(nodes[2].kistd.pid, SIGCONT), 0));
    UNTIL(is_value(&nodes[2], "GET /kv/a?r=1"));
}

Test(large, a_file_that_was_lost_is_read_elsewhere_and_brought_back)
{
    char data[128];

    open_cluster(plain);
    make_value(1, 700000);
    must_put(&nodes[0], "PUT /kv/a?w=all");
    snprintf(data, sizeof(data), "%s/data", nodes[2].kistd.directory);
    large_files_lose(data);
    cr_expect(is_value(&nodes[2], "GET /kv/a?r=1"));
    UNTIL(files(&nodes[2], NULL) == 1);
    kistd_kill(&nodes[0].kistd);
    kistd_kill(&nodes[1].kistd);
    cr_expect(is_value(&nodes[2], "GET /kv/a?r=1"));
}

static unsigned count_in_answer(const char *text)
{
    struct view rest = blob_view(&answer.body);
    unsigned count = 0;

    for (const char *at;
         (at = memmem(rest.data, rest.size, text, strlen(text))) != NULL;
         count++)
        rest = view_from(rest, (size_t)(at - rest.data) + 1);
    return count;
}

/* A text of JSON that lies in a file, and is not too large to be told. */
static void make_json(size_t size)
{
    blob_clear(&value);
    blob_append_text(&value, "{\"mark\":\"");
    while (value.size < size)
        blob_append_text(&value, "large ");
    blob_append_text(&value, "\"}");
    cr_assert(not(value.failed));
}

/* Also where the node that is asked has no copy of some. */
Test(large, listings_batches_and_parts_have_its_value)
{
    open_cluster(two_copies);
    make_json(200000);
    for (unsigned i = 0; i < 6; i++)
        cr_assert(eq(uint,
                     put_value(&nodes[0], text("PUT /kv/key-%u?w=all", i),
                               "Content-Type: application/json\r\n"),
                     201));
    for (unsigned n = 0; n < NODES; n++) {
        expect(&nodes[n], 200, "GET /kv?values=1", NULL);
        cr_expect(eq(uint, count_in_answer("{\"mark\":"), 6));
        cr_assert(eq(uint,
                     ask(&nodes[n], "GET /kv?values=1",
                         "Accept: application/x-ndjson\r\n", NULL),
                     200));
        cr_expect(eq(uint, count_in_answer("{\"mark\":"), 6));
        for (unsigned i = 0; i < 6; i++) {
            cr_assert(
                eq(uint,
                   ask(&nodes[n], text("GET /kv/key-%u", i),
                       "Accept: application/vnd.kist.entry+json\r\n", NULL),
                   200));
            cr_expect(eq(uint, count_in_answer("{\"mark\":"), 1));
            expect(&nodes[n], 200, text("GET /kv/key-%u?ptr=/mark", i), NULL);
            cr_expect(eq(uint, count_in_answer("\"large "), 1));
        }
        expect(&nodes[n], 200, "POST /batch",
               "{\"operations\":[{\"op\":\"get\",\"key\":\"key-0\"},"
               "{\"op\":\"get\",\"key\":\"key-1\"},"
               "{\"op\":\"get\",\"key\":\"key-2\"},"
               "{\"op\":\"get\",\"key\":\"none\"}]}");
        cr_expect(eq(uint, count_in_answer("{\"mark\":"), 3));
    }
}

/* The text or, from there on, the number that a member of a page is. */
static const char *member_of(const struct node *node, const char *page,
                             const char *body, const char *name)
{
    static char word[32];
    const char *at;

    cr_assert(eq(uint, ask(node, page, "", body), 200));
    blob_append_byte(&answer.body, '\0');
    at = strstr(answer.body.data, name);
    if (at == NULL)
        return "0"; /* As the epoch of who has no ring yet. */
    snprintf(word, sizeof(word), "%.16s", at + strlen(name));
    return word;
}

/* It has all of it by the time that it is an owner, and not a moment later. */
Test(large, a_new_owner_has_its_files_before_it_votes)
{
    char change[120], commit[80];
    const struct node *d;

    open_cluster(plain);
    make_value(1, 300000);
    for (unsigned i = 0; i < 8; i++)
        must_put(&nodes[0], text("PUT /kv/key-%u?w=all", i));
    kistd_kill(&nodes[2].kistd);
    d = open_spare(0, plain);
    snprintf(change, sizeof(change),
             "{\"replace\": \"c\", \"with\": \"%s=%s\"}", d->name, d->listen);
    snprintf(commit, sizeof(commit), "POST /cluster/plan/commit?plan=%s",
             member_of(&nodes[0], "POST /cluster/plan", change, "\"plan\":\""));
    expect(&nodes[0], 202, commit, "");
    UNTIL(atoi(member_of(d, "GET /cluster", NULL, "\"epoch\":")) == 3);
    cr_expect(eq(sz, files(d, NULL), 8));
    for (unsigned i = 0; i < 8; i++)
        cr_expect(is_value(d, text("GET /kv/key-%u?r=1", i)));
}

/* One of its bytes, as a disk would change it. */
static void damage_file(const struct node *node)
{
    char command[400];

    snprintf(command, sizeof(command),
             "f=$(find %s/data/large/?? -type f) && printf '!!' | dd of=$f "
             "bs=1 seek=1000 conv=notrunc status=none && "
             "rm -f %s/data/large/scrub",
             node->kistd.directory, node->kistd.directory);
    cr_assert(eq(int, system(command), 0));
}

/* Its disk is looked through again when it starts. */
Test(large, a_file_that_the_scrub_finds_damaged_is_replaced)
{
    open_cluster(plain);
    make_value(1, 700000);
    must_put(&nodes[0], "PUT /kv/a?w=all");
    kistd_kill(&nodes[2].kistd);
    damage_file(&nodes[2]);
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(files(&nodes[2], "damaged") == 1);
    UNTIL(files(&nodes[2], NULL) == 1);
    kistd_kill(&nodes[0].kistd);
    kistd_kill(&nodes[1].kistd);
    cr_expect(is_value(&nodes[2], "GET /kv/a?r=1"));
}

/*
 * Files leave a quarter more alone than the reserve that small writes leave: of
 * nine tenths of what is free there is room for those alone.
 */
static const char *reserve_too_much(const struct node *node)
{
    static char bytes[32];
    struct statvfs about;

    if (statvfs(node->kistd.directory, &about) != 0)
        give_up("no statvfs");
    snprintf(bytes, sizeof(bytes), "%llu",
             (unsigned long long)about.f_bavail * about.f_frsize / 10 * 9);
    return bytes;
}

Test(large, an_owner_without_room_does_not_vote_and_gets_it_when_there_is)
{
    const char *flags[FLAGS] = {NULL};
    size_t n = 0;

    open_cluster(only_comparing);
    make_value(1, 300000);
    for (; nodes[2].flags[n] != NULL; n++)
        flags[n] = nodes[2].flags[n];
    flags[n++] = "--disk-reserve-bytes";
    flags[n++] = reserve_too_much(&nodes[2]);
    cr_assert(n < FLAGS);
    kistd_kill(&nodes[2].kistd);
    kistd_start(&nodes[2].kistd, flags);
    must_put(&nodes[0], "PUT /kv/a");
    /* 503 where it is not known yet to be back. */
    cr_expect(
        ge(uint, send_value(&nodes[0], "PUT /kv/b?w=all", OCTET_STREAM), 503));
    cr_expect(eq(sz, files(&nodes[2], NULL), 0));
    kistd_kill(&nodes[2].kistd);
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(is_value(&nodes[2], "GET /kv/a?r=1"));
}

/* A request to the address where peers are served. */
static unsigned ask_peers(const char *headers)
{
    char request[512];
    struct http http;
    int size = snprintf(request, sizeof(request),
                        "GET /peer/1/file/%064d HTTP/1.1\r\nHost: k\r\n"
                        "%sConnection: close\r\n\r\n",
                        0, headers);

    http_open_at(&http, address, FIRST_PORT);
    cr_assert(http_send(&http, (struct view){request, (size_t)size}));
    cr_assert(http_read(&http, HTTP_WITH_BODY, &answer));
    http_close(&http);
    return answer.status;
}

Test(large, files_are_for_members_alone)
{
    open_cluster(plain);
    cr_expect(eq(uint,
                 ask(&nodes[0], text("GET /peer/1/file/%064u", 0), "", NULL),
                 404));
    cr_expect(answer_has("no-such-path"));
    cr_expect(eq(uint, ask_peers(""), 401));
    cr_expect(eq(uint,
                 ask_peers("Authorization: Bearer "
                           "correct-horse-battery-staplE\r\n"),
                 401));
    cr_expect(eq(uint,
                 ask_peers("Authorization: Bearer "
                           "correct-horse-battery-staple\r\n"),
                 404));
}
