#include "tests/cluster/nodes.h"

#include "tests/support/give_up.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct node nodes[ALL_NODES];
struct http_answer answer;

static char peers[160];
static char secret_file[128];
char address[32];

/* Setting up. */

void set_secret(const char *secret)
{
    FILE *file;

    snprintf(secret_file, sizeof(secret_file), "%s/secret",
             nodes[0].kistd.directory);
    file = fopen(secret_file, "w");
    if (file == NULL || fprintf(file, "%s\n", secret) < 0)
        give_up("cannot write %s", secret_file);
    fclose(file);
}

void set_engine(unsigned which, const char *engine)
{
    nodes[which].engine = engine;
}

static void choose_addresses(void)
{
    unsigned pid = (unsigned)getpid();
    int at = 0;

    snprintf(address, sizeof(address), "127.%u.%u.%u", 64 + (pid >> 16) % 64,
             (pid >> 8) % 256, pid % 256);
    for (unsigned i = 0; i < ALL_NODES; i++) {
        snprintf(nodes[i].name, sizeof(nodes[i].name), "%c", 'a' + (char)i);
        snprintf(nodes[i].listen, sizeof(nodes[i].listen), "%s:%u", address,
                 FIRST_PORT + i);
        if (i >= NODES)
            continue;
        at += snprintf(peers + at, sizeof(peers) - (size_t)at, "%s%s=%s",
                       i > 0 ? "," : "", nodes[i].name, nodes[i].listen);
    }
}

/*
 * how: --peers or --join. extra: name and value, one after the other; ends with
 * NULL.
 */
static void set_flags(struct node *node, const char *how, const char *whom,
                      const char *const extra[])
{
    const char *flags[] = {
        "--node-id",  node->name,           how,        whom, "--peer-listen",
        node->listen, "--peer-secret-file", secret_file};
    size_t n = sizeof(flags) / sizeof(flags[0]);

    memcpy(node->flags, flags, sizeof(flags));
    if (node->engine != NULL) {
        node->flags[n++] = "--engine";
        node->flags[n++] = node->engine;
    }
    for (size_t i = 0; extra[i] != NULL; i++)
        node->flags[n++] = extra[i];
    cr_assert(n < FLAGS);
}

void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

unsigned ask(const struct node *node, const char *what, const char *headers,
             const char *body)
{
    struct http http;

    http_open(&http, node->kistd.port);
    http_ask(&http, what, headers,
             body != NULL ? view_of(body) : (struct view){NULL, 0}, &answer);
    http_close(&http);
    return answer.status;
}

unsigned insist(const struct node *node, const char *what, const char *headers,
                const char *body)
{
    UNTIL(ask(node, what, headers, body) != 503 && answer.status != 504);
    return answer.status;
}

bool is_ready(const struct node *node)
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

void open_cluster(const char *const extra[])
{
    choose_addresses();
    /* Of a busy machine: what waits for a node that is away says so itself. */
    setenv("KIST_WRITE_TIMEOUT", "10s", 0);
    setenv("KIST_READ_TIMEOUT", "10s", 0);
    for (unsigned i = 0; i < NODES; i++)
        kistd_prepare(&nodes[i].kistd, NULL);
    set_secret("correct-horse-battery-staple");
    for (unsigned i = 0; i < NODES; i++) {
        set_flags(&nodes[i], "--peers", peers, extra);
        kistd_start(&nodes[i].kistd, nodes[i].flags);
    }
    for (unsigned i = 0; i < NODES; i++) {
        UNTIL(is_ready(&nodes[i]));
        UNTIL(counts_on_all(&nodes[i]));
    }
}

struct node *open_spare(unsigned spare, const char *const extra[])
{
    struct node *node = &nodes[NODES + spare];

    kistd_prepare(&node->kistd, NULL);
    set_flags(node, "--join", nodes[1].listen, extra);
    kistd_start(&node->kistd, node->flags);
    return node;
}

void close_cluster(void)
{
    for (unsigned i = 0; i < ALL_NODES; i++) {
        if (kistd_runs(&nodes[i].kistd))
            cr_expect(eq(int, kistd_stop(&nodes[i].kistd), 0));
        if (nodes[i].kistd.directory[0] != '\0')
            kistd_remove(&nodes[i].kistd);
    }
    http_answer_free(&answer);
}

/* What is stored. */

const char *text(const char *format, unsigned number)
{
    static char texts[8][64];
    static unsigned turn;
    char *room = texts[turn++ % 8];

    snprintf(room, sizeof(texts[0]), format, number);
    return room;
}

bool has(const struct node *node, unsigned key, const char *value)
{
    return ask(node, text("GET /kv/key-%u?r=1", key), "", NULL) == 200 &&
           view_is(blob_view(&answer.body), value);
}

bool has_not(const struct node *node, unsigned key)
{
    return ask(node, text("GET /kv/key-%u?r=1", key), "", NULL) == 404;
}

void put(const struct node *node, unsigned key, const char *value)
{
    unsigned status = insist(node, text("PUT /kv/key-%u", key), "", value);

    cr_assert(status == 201 || status == 204, "%u: %.*s", status,
              (int)answer.body.size, answer.body.data);
}

bool answer_has(const char *part)
{
    return memmem(answer.body.data, answer.body.size, part, strlen(part)) !=
           NULL;
}

json_int_t number_at(const struct node *node, const char *page,
                     const char *name)
{
    json_t *document;
    json_int_t number;

    cr_assert(eq(uint, insist(node, page, "", NULL), 200));
    document = json_loadb(answer.body.data, answer.body.size, 0, NULL);
    if (!json_is_integer(json_object_get(document, name)))
        give_up("%s has no %s", page, name);
    number = json_integer_value(json_object_get(document, name));
    json_decref(document);
    return number;
}

void expect(const struct node *node, unsigned status, const char *what,
            const char *body)
{
    unsigned got = status == 503 || status == 504
                       ? ask(node, what, "", body)
                       : insist(node, what, "", body);

    cr_assert(got == status, "%s: %u: %.*s", what, got, (int)answer.body.size,
              answer.body.data);
}
