/*
 * cache_order - which entry of a shard goes when there is no room: S3-FIFO.
 *
 * After J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: "FIFO queues are all
 * you need for cache eviction", SOSP 2023. What comes waits in a small queue;
 * only what is asked for again while it is there gets into the main queue, so
 * a walk over cold keys passes through a tenth of the memory and leaves the
 * rest alone. A key that left the small queue is remembered by its hash for a
 * while (the ghosts): if it comes again, it goes to the main queue at once. A
 * hit only counts a use and moves nothing.
 *
 * What is known to be absent has a queue of its own, with a small share.
 *
 * Threads: under the lock of the shard.
 */
#ifndef KIST_STORAGE_CACHE_ORDER_H
#define KIST_STORAGE_CACHE_ORDER_H

#include "base/status.h"
#include "storage/cache_entry.h"

enum cache_queue_name {
    CACHE_QUEUE_SMALL,
    CACHE_QUEUE_MAIN,
    CACHE_QUEUE_ABSENT, /* Entries without a record. */
    CACHE_QUEUES,
};

struct cache_queue {
    struct cache_entry *newest;
    struct cache_entry *oldest;
    size_t bytes;
    size_t count;
};

struct cache_ghosts;

struct cache_order {
    struct cache_queue queues[CACHE_QUEUES];
    size_t limit; /* Bytes of all entries. */
    struct cache_ghosts *ghosts;
    size_t ghost_mask;
};

/* Remembers about `ghosts` keys, a power of two and at least 8. */
KIST_CHECKED enum kist_status cache_order_init(struct cache_order *order,
                                               size_t ghosts);
void cache_order_clear(struct cache_order *order); /* Entries went before. */

/* Memory that so many ghosts take. */
size_t cache_order_ghost_bytes(size_t ghosts);

/*
 * The entry to let go, taken out of its queue, so that there may be room for
 * one of this cost (with a record or without); NULL: there is room.
 */
struct cache_entry *cache_order_make_room(struct cache_order *order,
                                          size_t cost, bool absent,
                                          uint64_t now_ms);

void cache_order_add(struct cache_order *order, struct cache_entry *entry);
void cache_order_remove(struct cache_order *order, struct cache_entry *entry);
void cache_order_use(struct cache_entry *entry);

/* Another record of the same key: as often used, and where the old one was. */
void cache_order_replace(struct cache_order *order, struct cache_entry *old,
                         struct cache_entry *entry);

#endif
