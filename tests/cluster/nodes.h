/*
 * nodes - three kistd that are a cluster, for its tests.
 *
 * Each test has three nodes, each on data of its own. They listen to each
 * other at an address of the loopback that is this process's alone, so no port
 * is anybody else's, also while its node is down. All nodes own all keys
 * (three copies), and a read of one copy (r=1) is answered from the node's
 * own: that is how the tests look at each copy.
 */
#ifndef KIST_TESTS_CLUSTER_NODES_H
#define KIST_TESTS_CLUSTER_NODES_H

#include "base/clock.h"
#include "tests/support/http.h"
#include "tests/support/kistd.h"

#include <jansson.h>

enum {
    NODES = 3,
    SPARES = 2,
    ALL_NODES = NODES + SPARES,
    FIRST_PORT = 7701,
    PATIENCE_S = 40,
    FLAGS = 24,
};

struct node {
    struct kistd kistd;
    char name[2];
    char listen[40];
    const char *engine; /* NULL: as kistd chooses. */
    const char *flags[FLAGS];
};

/* A test is a process of its own. */
extern struct node nodes[ALL_NODES]; /* The spare ones behind. */
extern char address[32];             /* Where peers are served. */
extern struct http_answer answer;    /* The last one. */

/* extra: flags of all nodes, name and value; ends with NULL. All are ready. */
void open_cluster(const char *const extra[]);
void close_cluster(void);

/* One that waits to be taken in: nodes[NODES + spare], d or e. */
struct node *open_spare(unsigned spare, const char *const extra[]);

/* Of nodes that start from now on. */
void set_secret(const char *secret);

/* Of node number which, before the cluster is opened; else it is LevelDB. */
void set_engine(unsigned which, const char *engine);

/* One request on a connection of its own. The status; 0: no answer. */
unsigned ask(const struct node *node, const char *what, const char *headers,
             const char *body);
void expect(const struct node *node, unsigned status, const char *what,
            const char *body);

/*
 * Again while it is 503 or 504: on a busy machine nodes seem to be away. Not
 * for what is expected to be one of these.
 */
unsigned insist(const struct node *node, const char *what, const char *headers,
                const char *body);

/* Of the last answer. */
bool answer_has(const char *part);

/* For some moments. */
const char *text(const char *format, unsigned number);

/* key-<number>; of reads, the node's own copy. */
bool has(const struct node *node, unsigned key, const char *value);
bool has_not(const struct node *node, unsigned key);
void put(const struct node *node, unsigned key, const char *value);

bool is_ready(const struct node *node);
json_int_t number_at(const struct node *node, const char *page,
                     const char *name);
void nap(void);

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

#endif
