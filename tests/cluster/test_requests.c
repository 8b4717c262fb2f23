/* What a client of a cluster asks, and what it is told. */
#include "tests/cluster/nodes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

TestSuite(requests, .fini = close_cluster, .timeout = 180);

static const char *const plain[] = {NULL};
static const char *const hasty[] = {"--write-timeout", "500ms",
                                    "--read-timeout", "500ms", NULL};

static bool header_is(const char *name, const char *value)
{
    return view_is(http_header(&answer, name), value);
}

static void freeze_others(int signal)
{
    for (unsigned n = 1; n < NODES; n++)
        cr_assert(eq(int, kill(nodes[n].kistd.pid, signal), 0));
}

Test(requests, a_receipt_says_what_was_achieved)
{
    open_cluster(plain);
    UNTIL(ask(&nodes[0], "PUT /kv/a?w=all", "", "1") < 300);
    cr_expect(header_is("Kist-Receipt", "n=3, w=3, acked=3"));
    cr_expect(header_is("Kist-Durable", "sync;nodes=3"));
    for (unsigned n = 0; n < NODES; n++) {
        expect(&nodes[n], 200, "GET /kv/a", NULL);
        cr_expect(header_is("Kist-Receipt", "n=3, r=2, answers=2"));
        expect(&nodes[n], 200, "GET /kv/a?r=one", NULL);
        cr_expect(header_is("Kist-Receipt", "n=3, r=1, answers=1"));
    }
    expect(&nodes[1], 400, "GET /kv/a?r=4", NULL);
    expect(&nodes[1], 409, "POST /kv/a?op=incr", "");
    cr_expect(answer_has("needs-strong"));
}

Test(requests, a_session_goes_from_node_to_node)
{
    char line[96];

    open_cluster(plain);
    for (unsigned i = 0; i < 30; i++) {
        put(&nodes[i % NODES], 1, text("%u", i));
        snprintf(line, sizeof(line), "Kist-After: %.*s\r\n",
                 (int)http_header(&answer, "Kist-Version").size,
                 http_header(&answer, "Kist-Version").data);
        cr_assert(
            eq(uint,
               insist(&nodes[(i + 1) % NODES], "GET /kv/key-1?r=1", line, NULL),
               200));
        cr_assert(view_is(blob_view(&answer.body), text("%u", i)));
    }
}

/* 503: they were away already, as far as it knew. */
static unsigned put_while_others_are_frozen(void)
{
    unsigned status;

    UNTIL(ask(&nodes[0], "GET /kv?count=1&r=all", "", NULL) == 200);
    freeze_others(SIGSTOP);
    status = ask(&nodes[0], "PUT /kv/key-1?ttl=600", "", "1");
    freeze_others(SIGCONT);
    return status;
}

Test(requests, an_unknown_write_is_made_sure_of_at_another_node)
{
    char line[96], version[40];

    open_cluster(hasty);
    put(&nodes[0], 1, "0");
    UNTIL(put_while_others_are_frozen() == 504);
    cr_expect(answer_has("\"outcome\":\"unknown\""));
    snprintf(version, sizeof(version), "%.*s",
             (int)http_header(&answer, "Kist-Version").size,
             http_header(&answer, "Kist-Version").data);
    snprintf(line, sizeof(line), "Kist-Version: %s\r\n", version);
    for (unsigned n = 0; n < NODES; n++) {
        UNTIL(ask(&nodes[n], "PUT /kv/key-1?ttl=600&w=3", line, "1") == 204);
        cr_expect(header_is("Kist-Version", version));
    }
    for (unsigned n = 0; n < NODES; n++) {
        expect(&nodes[n], 200, "GET /kv/key-1?r=1", NULL);
        cr_expect(header_is("Kist-Version", version));
    }
}

static void put_many(unsigned count)
{
    struct blob body = BLOB_EMPTY;

    for (unsigned i = 0; i < count; i++)
        blob_printf(&body,
                    "{\"op\":\"put\",\"key\":\"k/%u/%03u\",\"value\":%u}\n",
                    i % 3, i, i);
    blob_append_byte(&body, '\0');
    cr_assert(eq(uint,
                 insist(&nodes[0], "POST /batch?w=all",
                        "Content-Type: application/x-ndjson\r\n", body.data),
                 200));
    blob_free(&body);
    cr_expect(not(answer_has("\"problem\"")));
}

static unsigned lines_of_export(const struct node *node)
{
    unsigned lines = 0;

    cr_assert(eq(uint,
                 insist(node, "GET /kv?values=1",
                        "Accept: application/x-ndjson\r\n", NULL),
                 200));
    for (size_t i = 0; i < answer.body.size; i++)
        lines += answer.body.data[i] == '\n';
    return lines;
}

Test(requests, every_node_lists_all_keys)
{
    open_cluster(plain);
    put_many(600);
    for (unsigned n = 0; n < NODES; n++) {
        expect(&nodes[n], 200, "GET /kv?count=1", NULL);
        cr_expect(answer_has("{\"count\":600}"));
        cr_expect(eq(uint, lines_of_export(&nodes[n]), 600));
        expect(&nodes[n], 200, "GET /kv?prefix=k/&delimiter=/", NULL);
        cr_expect(answer_has("[\"k/0/\",\"k/1/\",\"k/2/\"]"));
    }
    expect(&nodes[1], 428, "DELETE /kv?prefix=k/1", NULL);
    expect(&nodes[1], 200, "DELETE /kv?prefix=k/1&confirm=200", NULL);
    cr_expect(answer_has("{\"deleted\":200}"));
    expect(&nodes[2], 200, "GET /kv?count=1", NULL);
    cr_expect(answer_has("{\"count\":400}"));
}

Test(requests, a_list_needs_most_nodes_and_not_all)
{
    open_cluster(hasty);
    put_many(300);
    kistd_kill(&nodes[2].kistd);
    UNTIL(ask(&nodes[0], "GET /kv?count=1", "", NULL) == 200 &&
          answer_has("{\"count\":300}"));
    kistd_kill(&nodes[1].kistd);
    UNTIL(ask(&nodes[0], "GET /kv?count=1", "", NULL) == 503);
    cr_expect(answer_has("too-few-copies"));
    expect(&nodes[0], 200, "GET /kv?count=1&r=1", NULL);
    cr_expect(answer_has("{\"count\":300}"));
}

Test(requests, a_node_that_stops_answers_what_it_has_begun)
{
    open_cluster(plain);
    put_many(300);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(eq(int, kistd_stop(&nodes[2].kistd), 0));
        put(&nodes[0], 1, text("%u", i));
        kistd_start(&nodes[2].kistd, nodes[2].flags);
        UNTIL(is_ready(&nodes[2]));
    }
}
