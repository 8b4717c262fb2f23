/*
 * node - a store and its commit on a scratch directory, for tests that write
 * and wait: one loop, one lane, one group at a time or many at once.
 */
#ifndef KIST_TESTS_STORAGE_NODE_H
#define KIST_TESTS_STORAGE_NODE_H

#include "storage/commit.h"
#include "tests/support/scratch.h"

struct node {
    struct scratch scratch;
    char path[80];

    /* For the next start; all zero will do. */
    struct store_hooks hooks;
    size_t write_buffer_bytes;
    const struct store_replication *replicated;

    _Atomic unsigned changes; /* That watchers were told of. */

    struct engine_fault fault; /* Of the last one. */
    struct store *store;
    struct commit *commit;
    struct commit_lane *lane;
    struct loop *loop;
};

void node_open(struct node *node);  /* On a new directory. */
void node_close(struct node *node); /* And remove it. */
void node_restart(struct node *node);

/* The same in parts, for those who choose options or expect failures. */
void node_prepare(struct node *node); /* Only the directory. */
void node_start(struct node *node);
void node_stop(struct node *node);

/* And a start in parts: the store, whatever comes of it; then the rest. */
KIST_CHECKED enum kist_status node_open_store(struct node *node);
void node_open_commit(struct node *node);

/*
 * Hand count groups over in one turn, in order, and wait for all; a group
 * that is refused gets the refusal as the status of each of its writes.
 */
void node_commit(struct node *node, struct commit_group *const groups[],
                 size_t count);

/* The same in parts. A loop runs once: after a turn it must be renewed. */
void node_turn(struct node *node, struct commit_group *const groups[],
               size_t count);
void node_renew(struct node *node);

/* One write alone, durable; the status, and the write's results in it. */
enum kist_status node_write(struct node *node, struct write *write);

struct write node_put(const char *key, const char *value);
struct write node_delete(const char *key);

/* The living value equals the text; NULL: there is none. */
bool node_has(struct node *node, const char *key, const char *value);

/* Another byte in the record, as a disk would make it; and a restart. */
void node_damage(struct node *node, const char *key);

#endif
