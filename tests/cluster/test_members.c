/* What a cluster does while its members change. */
#include "tests/cluster/nodes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

TestSuite(members, .fini = close_cluster, .timeout = 180);

/* A barrier between rings is one between loops, too. */
static const char *const plain[] = {"--loops", "3", NULL};

enum { KEYS = 200 };

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

static void commit(const struct node *node, const char *change)
{
    char what[80];

    snprintf(what, sizeof(what), "POST /cluster/plan/commit?plan=%s",
             draft(node, change));
    expect(node, 202, what, "");
}

/* {"join": "d=..."}, or whatever comes before the name. */
static const char *change_with(const char *before, const struct node *node)
{
    static char change[120];

    snprintf(change, sizeof(change), "{%s\"%s=%s\"}", before, node->name,
             node->listen);
    return change;
}

/* Of the ring that the node is at. */
static json_int_t epoch_of(const struct node *node)
{
    json_t *page;
    json_int_t epoch;

    cr_assert(eq(uint, ask(node, "GET /cluster", "", NULL), 200));
    page = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    epoch = json_integer_value(
        json_object_get(json_object_get(page, "ring"), "epoch"));
    json_decref(page);
    return epoch;
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
    put(d, 1, "\"new\"");
    UNTIL(ask(&nodes[0], "GET /kv/key-1", "", NULL) == 200 &&
          view_is(blob_view(&answer.body), "\"new\""));
    kistd_kill(&nodes[0].kistd);
    for (unsigned i = 2; i < 2 * KEYS; i++)
        UNTIL(ask(d, text("GET /kv/key-%u", i), "", NULL) == 200);
    cr_expect(count_of(d) > 0);
}
