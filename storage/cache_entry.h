/*
 * cache_entry - a key and its record in the cache, shared with who reads it.
 *
 * What an entry says does not change while anybody reads it: a write makes
 * another entry, unless the cache alone has this one. Whoever has a reference
 * may read it without a lock, also after the cache let it go; the last one to
 * release it frees it.
 *
 * Threads: references from any; the fields of the cache under its locks.
 */
#ifndef KIST_STORAGE_CACHE_ENTRY_H
#define KIST_STORAGE_CACHE_ENTRY_H

#include "base/bytes.h"

#include <stdint.h>

struct cache_entry {
    /* The cache's, under the lock of the shard that has it. */
    struct cache_entry *chain; /* The next one of its bucket. */
    struct cache_entry *newer; /* Of its queue (storage/cache_order.h). */
    struct cache_entry *older;

    /* Set when made, then read-only but for cache_entry_rewrite(). */
    uint64_t expiry_ms;   /* 0: never. */
    uint32_t hash;        /* The half that is used inside of a shard. */
    uint32_t record_size; /* 0: the key is known to have no record. */
    _Atomic uint32_t references;
    uint16_t key_size;

    /* The cache's again. */
    uint8_t uses;  /* Reads since it came or was spared. */
    uint8_t queue; /* enum cache_queue_name */
    bool pending;  /* A write of this key is on its way to the engine. */

    char bytes[]; /* The key, then the record. */
};

/* With one reference, its caller's; NULL: no memory. record may be empty. */
struct cache_entry *cache_entry_new(struct view key, uint32_t hash,
                                    struct view record);

/*
 * The record instead of the one in entry, whose key it is. Only under the lock
 * of the shard that has entry, where nobody can take another reference. False:
 * somebody has one, or the record needs another amount of memory.
 */
KIST_CHECKED bool cache_entry_rewrite(struct cache_entry *entry,
                                      struct view record);

/* For the holder of a reference, or of the lock that keeps the entry. */
void cache_entry_hold(struct cache_entry *entry, struct hold *out_hold);

void cache_entry_release(void *entry); /* A reference ends. */

struct view cache_entry_key(const struct cache_entry *entry);
struct view cache_entry_record(const struct cache_entry *entry);

/* The memory it takes, rounded and with a word to remember it by, as glibc's
 * malloc() does. */
size_t cache_entry_cost(const struct cache_entry *entry);

#endif
