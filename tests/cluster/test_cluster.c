/*
 * Each test has three nodes, each on data of its own. They listen to each
 * other at an address of the loopback that is this process's alone, so no port
 * is anybody else's, also while its node is down. All nodes own all keys
 * (three copies), and a read of one copy (r=1) is answered from the node's
 * own: that is how the tests look at each copy.
 */
#include "base/clock.h"
#include "tests/support/give_up.h"
#include "tests/support/http.h"
#include "tests/support/kistd.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NODES = 3, FIRST_PORT = 7701, PATIENCE_S = 40, FLAGS = 24 };

static struct node {
    struct kistd kistd;
    char name[2];
    char listen[40];
    const char *flags[FLAGS];
} nodes[NODES];

static char peers[160];
static char secret_file[128];
static char address[32];
static struct http_answer answer;

/* Setting up. */

static void write_secret(const char *secret)
{
    FILE *file;

    snprintf(secret_file, sizeof(secret_file), "%s/secret",
             nodes[0].kistd.directory);
    file = fopen(secret_file, "w");
    if (file == NULL || fprintf(file, "%s\n", secret) < 0)
        give_up("cannot write %s", secret_file);
    fclose(file);
}

static void choose_addresses(void)
{
    unsigned pid = (unsigned)getpid();
    int at = 0;

    snprintf(address, sizeof(address), "127.%u.%u.%u", 64 + (pid >> 16) % 64,
             (pid >> 8) % 256, pid % 256);
    for (unsigned i = 0; i < NODES; i++) {
        snprintf(nodes[i].name, sizeof(nodes[i].name), "%c", 'a' + (char)i);
        snprintf(nodes[i].listen, sizeof(nodes[i].listen), "%s:%u", address,
                 FIRST_PORT + i);
        at += snprintf(peers + at, sizeof(peers) - (size_t)at, "%s%s=%s",
                       i > 0 ? "," : "", nodes[i].name, nodes[i].listen);
    }
}

/* extra: name and value, one after the other; ends with NULL. */
static void set_flags(struct node *node, const char *const extra[])
{
    const char *flags[] = {
        "--node-id",  node->name,           "--peers",  peers, "--peer-listen",
        node->listen, "--peer-secret-file", secret_file};
    size_t n = sizeof(flags) / sizeof(flags[0]);

    memcpy(node->flags, flags, sizeof(flags));
    for (size_t i = 0; extra[i] != NULL; i++)
        node->flags[n++] = extra[i];
    cr_assert(n < FLAGS);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* One request on a connection of its own. The status; 0: no answer. */
static unsigned ask(const struct node *node, const char *what,
                    const char *headers, const char *body)
{
    struct http http;

    http_open(&http, node->kistd.port);
    http_ask(&http, what, headers,
             body != NULL ? view_of(body) : (struct view){NULL, 0}, &answer);
    http_close(&http);
    return answer.status;
}

/* Ask until it is so, or the test has failed. */
#define UNTIL(condition)                                                       \
    do {                                                                       \
        uint64_t begin_ns = clock_mono_ns();                                   \
                                                                               \
        while (!(condition)) {                                                 \
            cr_assert(clock_mono_ns() - begin_ns <                             \
                          PATIENCE_S * UINT64_C(1000000000),                   \
                      "not within %d s: %s; last answer %u: %.*s", PATIENCE_S, \
                      #condition, answer.status, (int)answer.body.size,        \
                      answer.body.data);                                       \
            nap();                                                             \
        }                                                                      \
    } while (0)

static bool is_ready(const struct node *node)
{
    return ask(node, "GET /readyz", "", NULL) == 200;
}

/* It has heard that all of them take writes. */
static bool counts_on_all(const struct node *node)
{
    struct view rest;
    unsigned good = 0;

    if (ask(node, "GET /cluster", "", NULL) != 200)
        return false;
    rest = blob_view(&answer.body);
    for (const char *at;
         (at = memmem(rest.data, rest.size, "\"good\":true", 11)) != NULL;
         good++)
        rest = view_from(rest, (size_t)(at - rest.data) + 11);
    return good == NODES;
}

static void open_cluster(const char *const extra[])
{
    choose_addresses();
    for (unsigned i = 0; i < NODES; i++)
        kistd_prepare(&nodes[i].kistd, NULL);
    write_secret("correct-horse-battery-staple");
    for (unsigned i = 0; i < NODES; i++) {
        set_flags(&nodes[i], extra);
        kistd_start(&nodes[i].kistd, nodes[i].flags);
    }
    for (unsigned i = 0; i < NODES; i++) {
        UNTIL(is_ready(&nodes[i]));
        UNTIL(counts_on_all(&nodes[i]));
    }
}

static void close_cluster(void)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (kistd_runs(&nodes[i].kistd))
            cr_expect(eq(int, kistd_stop(&nodes[i].kistd), 0));
        kistd_remove(&nodes[i].kistd);
    }
    http_answer_free(&answer);
}

TestSuite(cluster, .fini = close_cluster, .timeout = 180);

static const char *const plain[] = {NULL};
static const char *const only_comparing[] = {
    "--hint-bytes", "0", "--anti-entropy-period", "500ms", "--write-timeout",
    "500ms",        NULL};
static const char *const two_copies[] = {"--replicas", "2", NULL};
static const char *const only_hints[] = {"--anti-entropy-period", "1d", NULL};

/* What is stored. */

static const char *text(const char *format, unsigned number)
{
    static char texts[8][64];
    static unsigned turn;
    char *room = texts[turn++ % 8];

    snprintf(room, sizeof(texts[0]), format, number);
    return room;
}

static bool has(const struct node *node, unsigned key, const char *value)
{
    return ask(node, text("GET /kv/key-%u?r=1", key), "", NULL) == 200 &&
           view_is(blob_view(&answer.body), value);
}

static bool has_not(const struct node *node, unsigned key)
{
    return ask(node, text("GET /kv/key-%u?r=1", key), "", NULL) == 404;
}

static void put(const struct node *node, unsigned key, const char *value)
{
    unsigned status = ask(node, text("PUT /kv/key-%u", key), "", value);

    cr_assert(status == 201 || status == 204, "%u: %.*s", status,
              (int)answer.body.size, answer.body.data);
}

static bool answer_has(const char *part)
{
    return memmem(answer.body.data, answer.body.size, part, strlen(part)) !=
           NULL;
}

static json_int_t number_at(const struct node *node, const char *page,
                            const char *name)
{
    json_t *document;
    json_int_t number;

    cr_assert(eq(uint, ask(node, page, "", NULL), 200));
    document = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    if (!json_is_integer(json_object_get(document, name)))
        give_up("%s has no %s", page, name);
    number = json_integer_value(json_object_get(document, name));
    json_decref(document);
    return number;
}

static void expect(const struct node *node, unsigned status, const char *what,
                   const char *body)
{
    unsigned got = ask(node, what, "", body);

    cr_assert(got == status, "%s: %u: %.*s", what, got, (int)answer.body.size,
              answer.body.data);
}

/* The tests. */

Test(cluster, what_one_node_takes_all_nodes_have)
{
    open_cluster(plain);
    for (unsigned i = 0; i < 30; i++)
        put(&nodes[i % NODES], i, text("%u", i));
    for (unsigned i = 0; i < 30; i++)
        for (unsigned n = 0; n < NODES; n++)
            UNTIL(has(&nodes[n], i, text("%u", i)));
}

Test(cluster, a_node_serves_keys_of_which_it_has_no_copy)
{
    open_cluster(two_copies);
    for (unsigned i = 0; i < 30; i++)
        put(&nodes[i % NODES], i, text("%u", i));
    for (unsigned i = 0; i < 30; i++)
        for (unsigned n = 0; n < NODES; n++) {
            expect(&nodes[n], 200, text("GET /kv/key-%u", i), NULL);
            cr_assert(view_is(blob_view(&answer.body), text("%u", i)));
        }
    for (unsigned n = 0; n < NODES; n++) {
        expect(&nodes[n], 200, "GET /kv?count=1", NULL);
        cr_assert(answer_has("30"), "%.*s", (int)answer.body.size,
                  answer.body.data);
    }
}

Test(cluster, a_majority_reads_what_another_one_wrote)
{
    open_cluster(plain);
    for (unsigned i = 0; i < 30; i++) {
        put(&nodes[i % NODES], 1, text("%u", i));
        cr_assert(eq(uint,
                     ask(&nodes[(i + 1) % NODES], "GET /kv/key-1", "", NULL),
                     200));
        cr_assert(view_is(blob_view(&answer.body), text("%u", i)));
    }
}

Test(cluster, writes_go_on_without_a_node_which_gets_them_when_it_is_back)
{
    open_cluster(only_hints);
    put(&nodes[0], 1, "\"old\"");
    UNTIL(has(&nodes[2], 1, "\"old\""));
    kistd_kill(&nodes[2].kistd);
    put(&nodes[0], 1, "\"new\"");
    put(&nodes[1], 2, "\"other\"");
    UNTIL(number_at(&nodes[0], "GET /cluster/hints", "pending") > 0);

    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(has(&nodes[2], 1, "\"new\""));
    UNTIL(has(&nodes[2], 2, "\"other\""));
    UNTIL(number_at(&nodes[0], "GET /cluster/hints", "pending") == 0);
}

Test(cluster, without_hints_comparing_brings_what_was_missed)
{
    open_cluster(only_comparing);
    put(&nodes[0], 0, "\"old\"");
    put(&nodes[0], 1, "\"dead soon\"");
    UNTIL(has(&nodes[2], 1, "\"dead soon\""));
    kistd_kill(&nodes[2].kistd);
    put(&nodes[0], 0, "\"new\"");
    expect(&nodes[1], 204, "DELETE /kv/key-1", NULL);
    for (unsigned i = 10; i < 40; i++)
        put(&nodes[i % 2], i, text("%u", i));

    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(has(&nodes[2], 0, "\"new\""));
    UNTIL(has_not(&nodes[2], 1));
    for (unsigned i = 10; i < 40; i++)
        UNTIL(has(&nodes[2], i, text("%u", i)));
    for (unsigned n = 0; n < NODES; n++) {
        cr_expect(has(&nodes[n], 0, "\"new\""));
        cr_expect(has_not(&nodes[n], 1));
        cr_expect(has(&nodes[n], 25, "25"));
    }
    cr_expect(number_at(&nodes[0], "GET /cluster/hints", "added") == 0);
}

Test(cluster, without_a_majority_nothing_is_written_and_it_is_said)
{
    open_cluster(plain);
    kistd_kill(&nodes[1].kistd);
    kistd_kill(&nodes[2].kistd);
    UNTIL(ask(&nodes[0], "PUT /kv/key-1", "", "1") == 503);
    cr_expect(answer_has("not_applied"));
    cr_expect(eq(uint, ask(&nodes[0], "PUT /kv/key-2?w=1", "", "2"), 201));
    cr_expect(has(&nodes[0], 2, "2"));
}

Test(cluster, a_node_that_starts_again_is_the_member_it_was)
{
    open_cluster(plain);
    put(&nodes[0], 1, "1");
    for (unsigned n = 0; n < NODES; n++)
        cr_assert(eq(int, kistd_stop(&nodes[n].kistd), 0));
    for (unsigned n = 0; n < NODES; n++)
        kistd_start(&nodes[n].kistd, nodes[n].flags);
    for (unsigned n = 0; n < NODES; n++)
        UNTIL(is_ready(&nodes[n]));
    UNTIL(ask(&nodes[2], "GET /kv/key-1?r=3", "", NULL) == 200);
    UNTIL(ask(&nodes[1], "PUT /kv/key-1?w=3", "", "2") == 204);
}

/* A request to the address where peers are served. */
static unsigned ask_peers(const char *what, const char *headers)
{
    char request[512];
    int size = snprintf(request, sizeof(request),
                        "%s HTTP/1.1\r\nHost: k\r\nConnection: close\r\n"
                        "%sContent-Length: 4\r\n\r\nbody",
                        what, headers);
    struct http http;

    http_open_at(&http, address, FIRST_PORT);
    cr_assert(http_send(&http, (struct view){request, (size_t)size}));
    cr_assert(http_read(&http, HTTP_WITH_BODY, &answer));
    http_close(&http);
    return answer.status;
}

Test(cluster, peers_and_clients_are_served_apart)
{
    open_cluster(plain);
    cr_expect(eq(uint, ask(&nodes[0], "POST /peer/1", "", "body"), 404));
    cr_expect(eq(uint, ask_peers("PUT /kv/key-1", ""), 404));
    cr_expect(eq(uint, ask_peers("POST /peer/1", ""), 401));
    cr_expect(eq(uint,
                 ask_peers("POST /peer/1", "Authorization: Bearer guess\r\n"),
                 401));
    cr_expect(eq(uint,
                 ask_peers("POST /peer/1", "Authorization: Bearer "
                                           "correct-horse-battery-staplE\r\n"),
                 401));
    cr_expect(eq(uint,
                 ask_peers("POST /peer/1", "Authorization: Bearer "
                                           "correct-horse-battery-staple\r\n"),
                 200));
}

Test(cluster, a_node_tells_who_is_there_and_where_a_key_lies)
{
    open_cluster(plain);
    cr_assert(eq(uint, ask(&nodes[0], "GET /cluster", "", NULL), 200));
    json_t *page = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    cr_expect(eq(sz, json_array_size(json_object_get(page, "members")), NODES));
    cr_expect(json_integer_value(json_object_get(json_object_get(page, "ring"),
                                                 "replicas")) == 3);
    json_decref(page);
    cr_assert(
        eq(uint, ask(&nodes[0], "GET /cluster/ring?key=a", "", NULL), 200));
    page = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    cr_expect(eq(sz, json_array_size(json_object_get(page, "owners")), 3));
    json_decref(page);
    cr_expect(eq(uint, ask(&nodes[0], "GET /cluster/ring", "", NULL), 400));
    UNTIL(ask(&nodes[0], "GET /metrics", "", NULL) == 200 &&
          answer_has("kist_peer_up{peer=\"b\"} 1"));
}
