/* What a cluster does while its members change. */
#include "tests/cluster/nodes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(members, .fini = close_cluster, .timeout = 180);

/* A barrier between rings is one between loops, too. */
static const char *const plain[] = {"--loops", "3", NULL};

static const char *const two_copies[] = {"--loops", "3", "--replicas", "2",
                                         NULL};
static const char *const slow[] = {
    "--loops", "3", "--transfer-bytes-per-second", "16KiB", NULL};
static const char *const hasty[] = {"--deletion-grace",
                                    "1s",
                                    "--anti-entropy-period",
                                    "500ms",
                                    "--write-timeout",
                                    "500ms",
                                    "--loops",
                                    "3",
                                    NULL};

enum { KEYS = 200, SHORT = 20 };

/* The id of the draft. */
static const char *draft(const struct node *node, const char *change)
{
    static char id[20];
    json_t *page;

    expect(node, 200, "POST /cluster/plan", change);
    page = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    snprintf(id, sizeof(id), "%s",
             json_string_value(json_object_get(page, "plan")));
    json_decref(page);
    return id;
}

/* Of the ring that the node is at. */
static json_int_t epoch_of(const struct node *node)
{
    json_t *page;
    json_int_t epoch;

    expect(node, 200, "GET /cluster", NULL);
    page = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    epoch = json_integer_value(
        json_object_get(json_object_get(page, "ring"), "epoch"));
    json_decref(page);
    return epoch;
}

static void commit(const struct node *node, const char *change)
{
    json_int_t before = epoch_of(node);
    char what[80];

    snprintf(what, sizeof(what), "POST /cluster/plan/commit?plan=%s",
             draft(node, change));
    if (ask(node, what, "", "") == 504) /* The answer is late. */
        UNTIL(epoch_of(node) > before);
    else
        cr_assert(answer.status == 202, "%u: %.*s", answer.status,
                  (int)answer.body.size, answer.body.data);
}

/* {"join": "d=..."}, or whatever comes before the name. */
static const char *change_with(const char *before, const struct node *node)
{
    static char change[120];

    snprintf(change, sizeof(change), "{%s\"%s=%s\"}", before, node->name,
             node->listen);
    return change;
}

static void put_keys(unsigned from)
{
    for (unsigned i = from; i < from + KEYS; i++)
        put(&nodes[i % NODES], i, text("%u", i));
}

static void expect_keys(const struct node *node, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        expect(node, 200, text("GET /kv/key-%u", i), NULL);
        cr_assert(view_is(blob_view(&answer.body), text("%u", i)));
    }
}

/* How many of the keys the node has a copy of, and no other than those. */
static unsigned count_of(const struct node *node)
{
    return (unsigned)number_at(node, "GET /kv?count=1&r=1", "count");
}

/* Of /metrics. */
static double series(const struct node *node, const char *name)
{
    const char *at;
    size_t size = strlen(name);
    double value = 0;

    expect(node, 200, "GET /metrics", NULL);
    blob_append_byte(&answer.body, '\0');
    at = strstr(answer.body.data, name);
    while (at != NULL && (at[-1] != '\n' || at[size] != ' '))
        at = strstr(at + 1, name);
    cr_assert(at != NULL, "%s is not there", name);
    sscanf(at + size, "%lf", &value);
    return value;
}

Test(members, a_fourth_node_joins_and_gets_its_share)
{
    const struct node *d;

    open_cluster(plain);
    put_keys(0);
    d = open_spare(0, plain);
    cr_expect(eq(uint, ask(d, "GET /readyz", "", NULL), 503));
    cr_expect(eq(uint, ask(d, "GET /kv/key-1", "", NULL), 503));
    commit(&nodes[1], change_with("\"join\": ", d));
    put_keys(KEYS); /* Meanwhile. */
    for (unsigned n = 0; n <= NODES; n++)
        UNTIL(epoch_of(&nodes[n]) == 3);
    UNTIL(is_ready(d));
    expect_keys(d, 2 * KEYS);
    expect(d, 200, "GET /cluster/ring?key=key-1", NULL);
    cr_expect(series(&nodes[0], "kist_peer_up{peer=\"d\"}") == 1);
    put(d, 1, "\"new\"");
    UNTIL(ask(&nodes[0], "GET /kv/key-1", "", NULL) == 200 &&
          view_is(blob_view(&answer.body), "\"new\""));
    kistd_kill(&nodes[0].kistd);
    for (unsigned i = 2; i < 2 * KEYS; i++)
        UNTIL(ask(d, text("GET /kv/key-%u", i), "", NULL) == 200);
    cr_expect(count_of(d) > 0);
}

static void fill(char *value, size_t size)
{
    memset(value, 'x', size);
    value[0] = value[size - 2] = '"';
    value[size - 1] = '\0';
}

/* So much that a slow transfer is not over before it is disturbed. */
static void put_large(unsigned count)
{
    static char value[4096];

    fill(value, sizeof(value));
    for (unsigned i = 0; i < count; i++)
        put(&nodes[i % 2], i, value);
}

static void expect_problem(const struct node *node, const char *what,
                           const char *body, unsigned status, const char *word)
{
    expect(node, status, what, body);
    cr_assert(answer_has(word), "%s: %.*s", what, (int)answer.body.size,
              answer.body.data);
}

Test(members, a_draft_says_how_much_would_move)
{
    static char value[1 << 20];
    const struct node *a;
    json_int_t bytes, keys;
    json_t *page;

    memset(value, '7', sizeof(value) - 1); /* A number, in a file. */
    open_cluster(plain);
    a = &nodes[0];
    expect(a, 201, "PUT /kv/large?w=all", value);
    draft(a, change_with("\"join\": ", open_spare(0, plain)));
    page = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    keys = json_integer_value(json_object_get(page, "keys"));
    bytes = json_integer_value(json_object_get(page, "bytes"));
    json_decref(page);
    cr_expect(keys <= 1);
    /* Three quarters of it. */
    cr_expect(bytes >= 786431 && bytes < 1048576, "%lld", (long long)bytes);
}

Test(members, what_cannot_be_planned_is_refused)
{
    const char *plan = "POST /cluster/plan";
    const struct node *a;
    struct node *d;

    open_cluster(plain);
    a = &nodes[0];
    expect_problem(a, "GET /cluster/plan", NULL, 404, "no-plan");
    expect_problem(a, "DELETE /cluster/plan", NULL, 404, "no-plan");
    expect_problem(a, "POST /cluster/plan/commit?plan=1", "", 404, "no-plan");
    expect_problem(a, "POST /cluster/plan/commit?plan=x", "", 400, "plan=");
    expect_problem(a, plan, "[]", 400, "invalid-json");
    expect_problem(a, plan, "{\"join\": \"d\"}", 400, "NAME=HOST:PORT");
    expect_problem(a, plan, "{\"leave\": \"b\", \"join\": \"d=x:1\"}", 400,
                   "invalid-json");
    expect_problem(a, plan, "{\"leave\": \"x\"}", 422, "no member");
    expect_problem(a, plan, "{\"leave\": \"b\"}", 422, "Fewer members");
    expect_problem(a, plan, "{\"join\": \"d=127.0.0.1:1\"}", 422,
                   "Nobody answers");
    expect_problem(a, plan, change_with("\"join\": ", &nodes[1]), 422,
                   "already");
    d = open_spare(0, plain);
    d->name[0] = 'x';
    expect_problem(a, plan, change_with("\"join\": ", d), 422, "--node-id");
    d->name[0] = 'd';
    draft(a, change_with("\"join\": ", d));
    expect_problem(a, "POST /cluster/plan/commit?plan=1", "", 409,
                   "plan-outdated");
    expect_problem(&nodes[1], "GET /cluster/plan", NULL, 404, "no-plan");
    expect(a, 204, "DELETE /cluster/plan", NULL);
    expect_problem(a, "GET /cluster/plan", NULL, 404, "no-plan");
    expect_problem(d, "GET /cluster/plan", NULL, 503, "no member");
    cr_expect(epoch_of(a) == 1);
}

Test(members, a_member_leaves)
{
    const struct node *a, *c;

    open_cluster(two_copies);
    a = &nodes[0];
    c = &nodes[2];
    put_keys(0);
    commit(c, "{\"leave\": \"c\"}");
    for (unsigned i = 0; i < KEYS; i++) /* Meanwhile. */
        put(&nodes[i % 2], KEYS + i, text("%u", KEYS + i));
    for (unsigned n = 0; n < NODES; n++)
        UNTIL(epoch_of(&nodes[n]) == 3);
    expect(c, 503, "GET /readyz?verbose", NULL);
    cr_expect(answer_has("no member of the ring"));
    expect(c, 503, "GET /kv/key-1", NULL);
    expect_keys(a, 2 * KEYS);
    for (unsigned n = 0; n < 2; n++)
        UNTIL(count_of(&nodes[n]) == 2 * KEYS);
    expect(a, 200, "GET /metrics", NULL);
    cr_expect(not(answer_has("peer=\"c\"")), "nobody is missed");
    cr_assert(eq(int, kistd_stop(&nodes[2].kistd), 0));
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    expect(c, 503, "GET /readyz?verbose", NULL);
    cr_expect(answer_has("no member of the ring"));
    expect_keys(&nodes[1], 2 * KEYS);
}

Test(members, a_dead_member_is_replaced_by_a_fresh_node)
{
    const struct node *a, *d;

    open_cluster(plain);
    a = &nodes[0];
    put_keys(0);
    kistd_kill(&nodes[2].kistd);
    d = open_spare(0, plain);
    UNTIL(ask(a, "PUT /kv/other", "", "1") < 300);
    commit(a, change_with("\"replace\": \"c\", \"with\": ", d));
    for (unsigned i = 0; i < KEYS; i++) /* Meanwhile. */
        put(&nodes[i % 2], KEYS + i, text("%u", KEYS + i));
    UNTIL(epoch_of(a) == 3 && epoch_of(&nodes[1]) == 3 && epoch_of(d) == 3);
    UNTIL(count_of(d) == 2 * KEYS + 1);

    /* Who comes back late is told, and so is who lost its data. */
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(ask(&nodes[2], "GET /readyz?verbose", "", NULL) == 503 &&
          answer_has("no member of the ring"));
    kistd_kill(&nodes[2].kistd);
    kistd_remove(&nodes[2].kistd);
    kistd_prepare(&nodes[2].kistd, NULL);
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    UNTIL(ask(&nodes[2], "GET /readyz?verbose", "", NULL) == 503 &&
          answer_has("no member of the ring"));
    kistd_kill(&nodes[1].kistd);
    UNTIL(ask(d, "PUT /kv/key-1", "", "\"new\"") == 204);
    UNTIL(ask(a, "GET /kv/key-1", "", NULL) == 200 && answer_has("new"));
}

Test(members, a_change_is_given_up_and_made_later)
{
    const struct node *a, *d;

    open_cluster(slow);
    a = &nodes[0];
    put_large(60);
    d = open_spare(0, slow);
    commit(a, change_with("\"join\": ", d));
    UNTIL(epoch_of(d) == 2 && count_of(&nodes[0]) == 60);
    expect_problem(&nodes[1], "POST /cluster/plan",
                   change_with("\"join\": ", d), 409, "change-pending");
    expect(&nodes[1], 200, "GET /cluster/plan", NULL);
    cr_expect(answer_has("\"pending\""));
    for (unsigned n = 0; n <= NODES; n++) /* And d asks itself. */
        UNTIL(ask(&nodes[n], "GET /cluster/transfers", "", NULL) == 200 &&
              answer_has("\"name\":\"d\",\"answers\":true,"
                         "\"partitions\":3072") &&
              answer_has("\"seconds_left\""));
    cr_expect(series(d, "kist_transfer_partitions{state=\"all\"}") == 3072);
    cr_expect(series(a, "kist_cluster_change_pending") == 1);
    expect(&nodes[1], 204, "DELETE /cluster/plan", NULL);
    for (unsigned n = 0; n <= NODES; n++)
        UNTIL(epoch_of(&nodes[n]) == 3);
    expect(a, 200, "GET /cluster/transfers", NULL);
    cr_expect(answer_has("\"pending\":false,\"members\":[]"));
    UNTIL(ask(d, "GET /readyz?verbose", "", NULL) == 503 &&
          answer_has("no member of the ring"));
    expect(a, 204, "DELETE /kv/key-1", NULL);

    cr_assert(eq(int, kistd_stop(&nodes[3].kistd), 0));
    nodes[3].flags[11] = "0";
    kistd_start(&nodes[3].kistd, nodes[3].flags);
    commit(a, change_with("\"join\": ", d));
    for (unsigned n = 0; n <= NODES; n++)
        UNTIL(epoch_of(&nodes[n]) == 5);
    expect(d, 404, "GET /kv/key-1", NULL);
    for (unsigned i = 2; i < 60; i++)
        expect(d, 200, text("GET /kv/key-%u", i), NULL);
}

static bool logs(const struct node *node, const char *part)
{
    struct blob log = kistd_log(&node->kistd);
    bool has = memmem(log.data, log.size, part, strlen(part)) != NULL;

    blob_free(&log);
    return has;
}

Test(members, a_change_goes_on_after_restarts)
{
    const struct node *d;

    open_cluster(slow);
    put_large(60);
    d = open_spare(0, slow);
    commit(&nodes[0], change_with("\"join\": ", d));
    UNTIL(epoch_of(d) == 2);
    for (unsigned n = 0; n <= NODES; n++)
        kistd_kill(&nodes[n].kistd);
    nodes[3].flags[11] = "0"; /* As fast as it can. */
    for (unsigned n = 0; n <= NODES; n++)
        kistd_start(&nodes[n].kistd, nodes[n].flags);
    for (unsigned n = 0; n <= NODES; n++)
        UNTIL(epoch_of(&nodes[n]) == 3);
    cr_expect(logs(&nodes[1], "\"cluster.ignored\",\"setting\":\"peers\""));
    cr_expect(not(logs(d, "cluster.ignored")));
    kistd_kill(&nodes[0].kistd);
    for (unsigned i = 0; i < 60; i++)
        UNTIL(ask(d, text("GET /kv/key-%u", i), "", NULL) == 200);
}

Test(members, what_is_deleted_goes_when_all_have_it_and_stays_away)
{
    open_cluster(hasty);
    put_keys(0);
    for (unsigned n = 0; n < NODES; n++)
        UNTIL(count_of(&nodes[n]) == KEYS);
    kistd_kill(&nodes[2].kistd);
    for (unsigned i = 0; i < SHORT; i++) /* They are read by nobody. */
        UNTIL(ask(&nodes[0], text("PUT /kv/short-%u?ttl=1", i), "", "1") ==
              201);
    for (unsigned i = 0; i < KEYS / 2; i++)
        UNTIL(ask(&nodes[i % 2], text("DELETE /kv/key-%u", i), "", NULL) ==
              204);
    for (unsigned i = 0; i < 300; i++)
        nap(); /* More than the grace: time alone must not do. */
    cr_expect(series(&nodes[0], "kist_purged_records_total") == 0);
    kistd_start(&nodes[2].kistd, nodes[2].flags);
    for (unsigned n = 0; n < NODES; n++)
        UNTIL(series(&nodes[n], "kist_purged_records_total") >=
              KEYS / 2 + SHORT);
    for (unsigned n = 0; n < NODES; n++) {
        cr_expect(eq(uint, count_of(&nodes[n]), KEYS / 2));
        for (unsigned i = 0; i < KEYS / 2; i++)
            cr_expect(has_not(&nodes[n], i), "key-%u is back", i);
    }
}
