/*
 * A cluster whose nodes have different engines, killed under writes.
 *
 * Each write asks for all three copies, and nothing repairs a copy: what was
 * acknowledged is in each node's own engine, or the test notices.
 */
#include "tests/cluster/nodes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { KEYS = 64, VALUE_SIZE = 3000, BETWEEN = 150, WITHOUT = 5 };

/* One thread writes, in turn each key, always a new value. */
static struct writer {
    struct http http;
    atomic_uint writes; /* That were acknowledged, */
    atomic_uint others; /* and that were not. */
    atomic_bool stops;
    unsigned number;             /* Of the last one. */
    unsigned acknowledged[KEYS]; /* The number of the write; 0: none yet. */
    unsigned last[KEYS];         /* That was tried. */
} writer;

TestSuite(engines, .fini = close_cluster, .timeout = 120);

/* Unlike that of any other write. */
static struct view value_of(unsigned number)
{
    static _Thread_local char value[VALUE_SIZE];
    int size = snprintf(value, sizeof(value), "%u ", number);

    for (size_t at = (size_t)size; at < sizeof(value); at++)
        value[at] = (char)(number * 31 + at * 7 + at / 251);
    return (struct view){value, sizeof(value)};
}

static bool write_key(unsigned number, struct http_answer *told)
{
    unsigned key = number % KEYS;
    char what[40];

    snprintf(what, sizeof(what), "PUT /kv/key-%u?w=3", key);
    writer.last[key] = number;
    http_ask(&writer.http, what, "Content-Type: application/octet-stream\r\n",
             value_of(number), told);
    if (told->status != 201 && told->status != 204)
        return false;
    writer.acknowledged[key] = number;
    return true;
}

static void *keep_writing(void *unused)
{
    struct http_answer told = {0};

    while (!atomic_load(&writer.stops))
        atomic_fetch_add(write_key(++writer.number, &told) ? &writer.writes
                                                           : &writer.others,
                         1);
    http_answer_free(&told);
    return unused;
}

static void await(atomic_uint *count, unsigned more)
{
    unsigned enough = atomic_load(count) + more;

    UNTIL(atomic_load(count) >= enough);
}

/* Of the write that the node's own copy of the key is of. */
static unsigned number_of_copy(const struct node *node, unsigned key)
{
    unsigned number = 0;

    expect(node, 200, text("GET /kv/key-%u?r=1", key), NULL);
    cr_assert(sscanf(answer.body.data, "%u ", &number) == 1);
    cr_assert(view_equal(blob_view(&answer.body), value_of(number)),
              "node %s, key %u: other bytes", node->name, key);
    return number;
}

/* Later ones may be there, whose outcome is unknown. */
static void expect_acknowledged(void)
{
    for (unsigned n = 0; n < NODES; n++)
        for (unsigned key = 0; key < KEYS; key++) {
            unsigned number = number_of_copy(&nodes[n], key);

            cr_assert(number >= writer.acknowledged[key] &&
                          number <= writer.last[key],
                      "node %s, key %u: write %u, acknowledged was %u",
                      nodes[n].name, key, number, writer.acknowledged[key]);
        }
}

/* All are whole again: what they take now is the same in each. */
static void expect_same(void)
{
    struct http_answer told = {0};

    for (unsigned i = 0; i < KEYS; i++) {
        unsigned number = ++writer.number, key = number % KEYS;
        char etag[80];

        cr_assert(write_key(number, &told));
        for (unsigned n = 0; n < NODES; n++) {
            struct view found;

            cr_assert(eq(uint, number_of_copy(&nodes[n], key), number));
            found = http_header(&answer, "ETag");
            if (n == 0)
                snprintf(etag, sizeof(etag), "%.*s", (int)found.size,
                         found.data);
            cr_assert(view_is(found, etag));
        }
    }
    http_answer_free(&told);
}

/* And there again, when all have taken writes for a while. */
static void kill_under_writes(struct node *node)
{
    await(&writer.writes, BETWEEN);
    kistd_kill(&node->kistd);
    await(&writer.others, WITHOUT);
    kistd_start(&node->kistd, node->flags);
    await(&writer.writes, BETWEEN);
}

Test(engines, nodes_of_both_that_are_killed_under_writes_lose_nothing)
{
    static const char *const unrepaired[] = {"--hint-bytes",
                                             "0",
                                             "--anti-entropy-period",
                                             "1d",
                                             "--write-timeout",
                                             "500ms",
                                             "--write-buffer-bytes",
                                             "1MiB",
                                             "--cache-bytes",
                                             "0",
                                             NULL};
    pthread_t thread;

    set_engine(1, "rocksdb");
    set_engine(2, "rocksdb");
    open_cluster(unrepaired);
    http_open(&writer.http, nodes[0].kistd.port);
    cr_assert(pthread_create(&thread, NULL, keep_writing, NULL) == 0);
    kill_under_writes(&nodes[1]);
    kill_under_writes(&nodes[2]);
    atomic_store(&writer.stops, true);
    pthread_join(thread, NULL);
    expect_acknowledged();
    expect_same();
    http_close(&writer.http);
}
