/*
 * Ghosts are sets of seven hashes, each set a ring. How long they are to be
 * remembered follows the number of entries there are: of a set only as many
 * of the newest count as keep the whole at about that number, so that a few
 * large entries do not remember the keys of days.
 */
#include "storage/cache_order.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SMALL_SHARE = 10,  /* 1/10 of the bytes, as in the paper. */
    ABSENT_SHARE = 16, /* At most 1/16. */
    USES_MAX = 3,
    USES_TO_STAY = 2, /* In the small queue. */
    CHANCES_MAX = 64, /* Entries spared before one goes: a bounded walk. */
    SET_SIZE = 7,
};

struct cache_ghosts {
    uint32_t next;
    uint32_t hashes[SET_SIZE]; /* 0: none. */
};

static_assert(sizeof(struct cache_ghosts) == 32, "two sets a cache line");

/* A set for each 8 ghosts that were asked for: 7 and the ring's position. */
size_t cache_order_ghost_bytes(size_t ghosts)
{
    return ghosts / (SET_SIZE + 1) * sizeof(struct cache_ghosts);
}

enum kist_status cache_order_init(struct cache_order *order, size_t ghosts)
{
    size_t sets = ghosts / (SET_SIZE + 1);

    assert(sets > 0 && (sets & (sets - 1)) == 0);
    order->ghosts = calloc(sets, sizeof(*order->ghosts));
    order->ghost_mask = sets - 1;
    return order->ghosts != NULL ? KIST_OK : KIST_NO_MEMORY;
}

void cache_order_clear(struct cache_order *order)
{
    free(order->ghosts);
    order->ghosts = NULL;
}

/* The bucket took the low bits, the set takes higher ones as well. */
static struct cache_ghosts *set_of(const struct cache_order *order,
                                   uint32_t hash)
{
    return &order->ghosts[(hash ^ hash >> 16) & order->ghost_mask];
}

static uint32_t name_of(uint32_t hash)
{
    return hash != 0 ? hash : 1;
}

static void remember(struct cache_order *order, uint32_t hash)
{
    struct cache_ghosts *set = set_of(order, hash);

    set->hashes[set->next] = name_of(hash);
    set->next = (set->next + 1) % SET_SIZE;
}

/* How many of a set count: the number of entries over the number of sets. */
static uint32_t ghosts_that_count(const struct cache_order *order)
{
    size_t entries = order->queues[CACHE_QUEUE_SMALL].count +
                     order->queues[CACHE_QUEUE_MAIN].count;
    size_t each = entries / (order->ghost_mask + 1) + 1;

    return each < SET_SIZE ? (uint32_t)each : SET_SIZE;
}

static bool is_remembered(const struct cache_order *order, uint32_t hash)
{
    const struct cache_ghosts *set = set_of(order, hash);
    uint32_t counting = ghosts_that_count(order);

    for (uint32_t age = 1; age <= counting; age++)
        if (set->hashes[(set->next + SET_SIZE - age) % SET_SIZE] ==
            name_of(hash))
            return true;
    return false;
}

/* The queues. */

static void push(struct cache_order *order, struct cache_entry *entry,
                 enum cache_queue_name name)
{
    struct cache_queue *queue = &order->queues[name];

    entry->queue = (uint8_t)name;
    entry->newer = NULL;
    entry->older = queue->newest;
    if (queue->newest != NULL)
        queue->newest->newer = entry;
    else
        queue->oldest = entry;
    queue->newest = entry;
    queue->bytes += cache_entry_cost(entry);
    queue->count++;
}

void cache_order_remove(struct cache_order *order, struct cache_entry *entry)
{
    struct cache_queue *queue = &order->queues[entry->queue];

    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        queue->newest = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        queue->oldest = entry->newer;
    queue->bytes -= cache_entry_cost(entry);
    queue->count--;
}

void cache_order_add(struct cache_order *order, struct cache_entry *entry)
{
    entry->uses = 0;
    if (entry->record_size == 0)
        push(order, entry, CACHE_QUEUE_ABSENT);
    else if (is_remembered(order, entry->hash))
        push(order, entry, CACHE_QUEUE_MAIN);
    else
        push(order, entry, CACHE_QUEUE_SMALL);
}

void cache_order_use(struct cache_entry *entry)
{
    if (entry->uses < USES_MAX)
        entry->uses++;
}

void cache_order_replace(struct cache_order *order, struct cache_entry *old,
                         struct cache_entry *entry)
{
    struct cache_queue *queue = &order->queues[old->queue];

    if ((old->record_size == 0) != (entry->record_size == 0)) {
        cache_order_remove(order, old);
        cache_order_add(order, entry);
        return;
    }
    entry->uses = old->uses;
    entry->queue = old->queue;
    entry->newer = old->newer;
    entry->older = old->older;
    if (entry->newer != NULL)
        entry->newer->older = entry;
    else
        queue->newest = entry;
    if (entry->older != NULL)
        entry->older->newer = entry;
    else
        queue->oldest = entry;
    queue->bytes -= cache_entry_cost(old);
    queue->bytes += cache_entry_cost(entry);
}

static bool is_expired(const struct cache_entry *entry, uint64_t now_ms)
{
    return entry->expiry_ms != 0 && entry->expiry_ms <= now_ms;
}

static struct cache_entry *pop(struct cache_order *order,
                               enum cache_queue_name name)
{
    struct cache_entry *entry = order->queues[name].oldest;

    if (entry != NULL)
        cache_order_remove(order, entry);
    return entry;
}

/* NULL: all that was looked at went over into the main queue. */
static struct cache_entry *leave_small(struct cache_order *order,
                                       uint64_t now_ms, unsigned *chances)
{
    struct cache_entry *entry = pop(order, CACHE_QUEUE_SMALL);

    if (is_expired(entry, now_ms))
        return entry;
    if (entry->uses >= USES_TO_STAY && *chances > 0) {
        --*chances;
        entry->uses = 0;
        push(order, entry, CACHE_QUEUE_MAIN);
        return NULL;
    }
    remember(order, entry->hash);
    return entry;
}

static struct cache_entry *leave_main(struct cache_order *order,
                                      uint64_t now_ms, unsigned *chances)
{
    struct cache_entry *entry = pop(order, CACHE_QUEUE_MAIN);

    if (entry->uses == 0 || *chances == 0 || is_expired(entry, now_ms))
        return entry;
    --*chances;
    entry->uses--;
    push(order, entry, CACHE_QUEUE_MAIN);
    return NULL;
}

static struct cache_entry *leave(struct cache_order *order, uint64_t now_ms)
{
    struct cache_queue *small = &order->queues[CACHE_QUEUE_SMALL];
    struct cache_queue *rest = &order->queues[CACHE_QUEUE_MAIN];
    struct cache_entry *entry = NULL;
    unsigned chances = CHANCES_MAX;

    while (entry == NULL) {
        if (small->count > 0 &&
            (small->bytes >= order->limit / SMALL_SHARE || rest->count == 0))
            entry = leave_small(order, now_ms, &chances);
        else if (rest->count > 0)
            entry = leave_main(order, now_ms, &chances);
        else
            return pop(order, CACHE_QUEUE_ABSENT);
    }
    return entry;
}

struct cache_entry *cache_order_make_room(struct cache_order *order,
                                          size_t cost, bool absent,
                                          uint64_t now_ms)
{
    size_t bytes = cost;

    if (absent && order->queues[CACHE_QUEUE_ABSENT].bytes + cost >
                      order->limit / ABSENT_SHARE)
        return pop(order, CACHE_QUEUE_ABSENT);
    for (size_t i = 0; i < CACHE_QUEUES; i++)
        bytes += order->queues[i].bytes;
    return bytes > order->limit ? leave(order, now_ms) : NULL;
}
