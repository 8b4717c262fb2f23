/* What a cluster does when its nodes come and go. */
#include "tests/cluster/nodes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

TestSuite(cluster, .fini = close_cluster, .timeout = 180);

static const char *const plain[] = {NULL};
static const char *const only_comparing[] = {
    "--hint-bytes", "0", "--anti-entropy-period", "500ms", "--write-timeout",
    "500ms",        NULL};
static const char *const two_copies[] = {"--replicas", "2", NULL};
static const char *const only_hints[] = {"--anti-entropy-period", "1d", NULL};

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
        expect(&nodes[(i + 1) % NODES], 200, "GET /kv/key-1", NULL);
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
    expect(&nodes[0], 201, "PUT /kv/key-2?w=1", "2");
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

static bool logged(const struct node *node, const char *part)
{
    struct blob log = kistd_log(&node->kistd);
    bool found = memmem(log.data, log.size, part, strlen(part)) != NULL;

    blob_free(&log);
    return found;
}

static bool counts(const struct node *node, const char *series)
{
    char none[64];

    snprintf(none, sizeof(none), "\n%s 0\n", series);
    return ask(node, "GET /metrics", "", NULL) == 200 && answer_has(series) &&
           !answer_has(none);
}

Test(cluster, a_member_with_another_secret_is_told_of_on_both_sides)
{
    open_cluster(plain);
    cr_expect(not(counts(&nodes[0], "kist_peer_unauthorized_total")));
    kistd_kill(&nodes[2].kistd);
    set_secret("a-secret-of-somebody-else");
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    for (unsigned n = 0; n < NODES; n++) {
        UNTIL(logged(&nodes[n], "peer.unauthorized"));
        UNTIL(counts(&nodes[n], "kist_peer_unauthorized_total"));
    }
    put(&nodes[0], 1, "1");
}

/* Of its disk there is less than this free, and more than this in all. */
static const char *more_than_is_free(const struct node *node)
{
    static char bytes[24];
    struct statvfs disk;

    cr_assert(eq(int, statvfs(node->kistd.directory, &disk), 0));
    snprintf(bytes, sizeof(bytes), "%llu",
             (unsigned long long)(disk.f_blocks + disk.f_bavail) / 2 *
                 disk.f_frsize);
    return bytes;
}

static void restart_full(struct node *node)
{
    const char *flags[FLAGS];
    size_t n = 0;

    kistd_kill(&node->kistd);
    for (; node->flags[n] != NULL; n++)
        flags[n] = node->flags[n];
    flags[n++] = "--disk-reserve-bytes";
    flags[n++] = more_than_is_free(node);
    flags[n] = NULL;
    kistd_start(&node->kistd, flags);
}

Test(cluster, a_node_with_a_full_disk_reads_what_it_cannot_keep)
{
    open_cluster(only_hints);
    restart_full(&nodes[2]);
    UNTIL(ask(&nodes[0], "GET /cluster", "", NULL) == 200 &&
          answer_has("\"store\":\"read_only\""));
    for (unsigned i = 0; i < 10; i++)
        put(&nodes[0], i, text("%u", i));
    for (unsigned i = 0; i < 10; i++) {
        UNTIL(ask(&nodes[2], text("GET /kv/key-%u", i), "", NULL) != 503);
        cr_assert(eq(uint, answer.status, 200));
        cr_assert(view_is(blob_view(&answer.body), text("%u", i)));
    }
    cr_expect(ge(uint, ask(&nodes[2], "PUT /kv/key-1", "", "1"), 500));
    cr_expect(answer_has("\"not_applied\""));
}
