/*
 * hint_queue - what one member has missed: in the order it came, and by key.
 */
#ifndef KIST_REPLICATION_HINT_QUEUE_H
#define KIST_REPLICATION_HINT_QUEUE_H

#include "storage/record.h"

struct hint {
    struct view key; /* In bytes. */
    struct version version;
    struct blob bytes; /* The key, then the record, encoded. */
    uint64_t born_ms;

    /* The queue's. */
    struct hint *older, *newer;
    struct hint *chain;
    uint64_t hash;
};

/* NULL: no memory. The caller ends it with hint_free(). */
struct hint *hint_new(struct view key, const struct record *record,
                      uint64_t born_ms);
void hint_free(struct hint *hint); /* Takes NULL. */

size_t hint_cost(const struct hint *hint);          /* Bytes of memory. */
struct record hint_record(const struct hint *hint); /* Borrows its bytes. */

/* Zero is an empty one. */
struct hint_queue {
    struct hint *oldest, *newest;
    struct hint **chains; /* capacity of them, a power of two. */
    size_t capacity;
    size_t count;
};

struct hint *hint_queue_find(const struct hint_queue *queue, struct view key);

/* As the newest; its key is not there yet. KIST_NO_MEMORY: it is not added. */
KIST_CHECKED enum kist_status hint_queue_add(struct hint_queue *queue,
                                             struct hint *hint);
void hint_queue_remove(struct hint_queue *queue, struct hint *hint);

/* Of an empty one: keeps no memory. */
void hint_queue_clear(struct hint_queue *queue);

#endif
