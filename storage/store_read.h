/*
 * store_read - one key's record, from the cache or from the engine.
 *
 * Threads: any.
 */
#ifndef KIST_STORAGE_STORE_READ_H
#define KIST_STORAGE_STORE_READ_H

#include "base/bytes.h"
#include "storage/record.h"

struct store;

/* A record and what keeps it in memory. */
struct item {
    struct hold hold;
    struct record record;
};

void item_free(struct item *item); /* Takes an empty one, too. */

/*
 * The value of a large record is in memory from now on, and it is not large any
 * more. Takes loaded: the media type, then the value.
 */
void item_hold_value(struct item *item, struct blob *loaded);

/*
 * The record of key, a dead one too: ask record_is_dead(). Gives *out_item.
 * KIST_NOT_FOUND: none. KIST_READ_ONLY: the engine is away until a reopen
 * succeeds. KIST_CORRUPT, KIST_IO, KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status store_get(struct store *store, struct view key,
                                        struct item *out_item);

enum store_reader {
    STORE_USUAL,
    STORE_FRESH, /* Not what the cache has; but it gets what was read. */
};

enum store_source {
    STORE_CACHE,       /* A hit; KIST_NOT_FOUND can be one, too. */
    STORE_ENGINE_KEPT, /* A miss, which the cache has from now on. */
    STORE_ENGINE,      /* A miss that it would not take. */
    STORE_NO_CACHE,    /* There is none. */
};

/* The same; *out_source is where the answer is from, of failures as well. */
KIST_CHECKED enum kist_status store_read(struct store *store, struct view key,
                                         enum store_reader reader,
                                         struct item *out_item,
                                         enum store_source *out_source);

/*
 * As store_get() for who may hold a cursor: KIST_READ_ONLY rather than wait
 * for a reopen, which waits for that cursor.
 */
KIST_CHECKED enum kist_status store_get_under_cursor(struct store *store,
                                                     struct view key,
                                                     struct item *out_item);

/*
 * As store_get() for the commit, which reads what it is about to replace, and
 * for who compares and moves records: that says nothing about what clients will
 * read, so the cache gets nothing of it.
 */
KIST_CHECKED enum kist_status store_peek(struct store *store, struct view key,
                                         struct item *out_item);

#endif
