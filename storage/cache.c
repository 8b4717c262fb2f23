/*
 * Shards by hash, each with a lock, a table of chains, an order of leaving
 * and its counts, so that nothing is shared by all on the way of a hit.
 *
 * Coherence. Batches have numbers: odd while one is being applied, even in
 * between. cache_write_begin() makes the number odd and notes it in the stripe
 * of each key; an entry that is there gets pending. A ticket is the number
 * that a reader saw before the engine was read. It is good if its stripe's
 * last batch has a lower one:
 *
 *   ticket < batch    the reader may have read what was before the batch
 *   ticket = batch    it was read while the batch was applied: who knows
 *   ticket > batch    the batch was done before the engine was read
 *
 * What a reader brings in before the key is announced becomes pending with
 * the announcement. Keys that share a stripe make good tickets bad, which
 * costs a hit later, never the truth.
 */
#include "storage/cache.h"

#include "base/clock.h"
#include "base/siphash.h"
#include "storage/cache_order.h"

#include <assert.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARDS_MAX = 64,
    STRIPES = 256,
    BYTES_PER_BUCKET = 256, /* About one small record. */
    BUCKETS_MIN = 64,
    SHARE_OF_ONE = 16, /* An entry takes at most 1/16 of its shard. */
    LINE = 64,         /* Of the processor's cache. */
};

/* A shard has room for some values of the largest size that is inline. */
#define SHARD_BYTES (UINT64_C(4) << 20)

struct shard {
    alignas(LINE) pthread_mutex_t lock; /* Guards all but the pointers. */
    struct cache_entry **buckets;
    struct cache_order order;
    struct cache_totals totals;
    uint64_t batches[STRIPES]; /* The last one that had a key here. */
};

struct cache {
    /* Set by cache_open(), then read-only. */
    struct siphash_key secret;
    char space;
    size_t nshards; /* A power of two, as is nbuckets. */
    size_t nbuckets;
    size_t fixed_bytes;
    uint64_t limit;
    struct shard *shards;

    /* Between cache_write_begin() and cache_write_end(). */
    bool repeats; /* Two keys of the batch may be the same. */

    /* Alone in its line: every read looks, every batch writes. */
    alignas(LINE) _Atomic uint64_t batch;
};

static size_t power_of_two_below(uint64_t number)
{
    size_t power = 1;

    while (power * 2 <= number)
        power *= 2;
    return power;
}

static size_t at_least(size_t number, size_t least)
{
    return number < least ? least : number;
}

static enum kist_status open_shard(struct cache *cache, struct shard *shard,
                                   uint64_t bytes)
{
    size_t fixed = sizeof(*shard) + cache->nbuckets * sizeof(*shard->buckets) +
                   cache_order_ghost_bytes(cache->nbuckets);

    assert(bytes > fixed);
    pthread_mutex_init(&shard->lock, NULL);
    shard->order.limit = bytes - fixed;
    cache->fixed_bytes += fixed;
    shard->buckets = calloc(cache->nbuckets, sizeof(struct cache_entry *));
    if (shard->buckets == NULL)
        return KIST_NO_MEMORY;
    return cache_order_init(&shard->order, cache->nbuckets);
}

static enum kist_status open_shards(struct cache *cache, uint64_t bytes)
{
    size_t size = cache->nshards * sizeof(struct shard);
    enum kist_status status = KIST_OK;

    cache->shards = aligned_alloc(LINE, size);
    if (cache->shards == NULL)
        return KIST_NO_MEMORY;
    memset(cache->shards, 0, size);
    for (size_t i = 0; i < cache->nshards && status == KIST_OK; i++)
        status = open_shard(cache, &cache->shards[i], bytes / cache->nshards);
    return status;
}

enum kist_status cache_open(uint64_t bytes, char space,
                            struct cache **out_cache)
{
    struct cache *cache = aligned_alloc(LINE, sizeof(*cache));
    enum kist_status status;

    assert(bytes >= CACHE_BYTES_MIN);
    if (cache == NULL)
        return KIST_NO_MEMORY;
    memset(cache, 0, sizeof(*cache));
    cache->secret = siphash_process_key();
    cache->space = space;
    cache->limit = bytes;
    cache->nshards = power_of_two_below(bytes / SHARD_BYTES);
    if (cache->nshards > SHARDS_MAX)
        cache->nshards = SHARDS_MAX;
    cache->nbuckets =
        at_least(power_of_two_below(bytes / cache->nshards / BYTES_PER_BUCKET),
                 BUCKETS_MIN);
    atomic_init(&cache->batch, 2);
    status = open_shards(cache, bytes);
    if (status != KIST_OK) {
        cache_close(cache);
        return status;
    }
    *out_cache = cache;
    return KIST_OK;
}

/* Entries that left their shard, linked by chain until its lock is let go. */
static void release_all(struct cache_entry *entries)
{
    while (entries != NULL) {
        struct cache_entry *next = entries->chain;

        cache_entry_release(entries);
        entries = next;
    }
}

static struct cache_entry **bucket_of(struct cache *cache, struct shard *shard,
                                      uint32_t hash)
{
    return &shard->buckets[hash & (cache->nbuckets - 1)];
}

/* All entries of a shard, out of it; empty buckets are not even looked at. */
static struct cache_entry *take_all_locked(struct cache *cache,
                                           struct shard *shard)
{
    struct cache_entry *all = NULL;

    for (size_t i = 0; i < CACHE_QUEUES; i++) {
        struct cache_entry *entry;

        while ((entry = shard->order.queues[i].oldest) != NULL) {
            cache_order_remove(&shard->order, entry);
            *bucket_of(cache, shard, entry->hash) = NULL;
            entry->chain = all;
            all = entry;
        }
    }
    return all;
}

void cache_close(struct cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; cache->shards != NULL && i < cache->nshards; i++) {
        struct shard *shard = &cache->shards[i];

        if (shard->buckets != NULL)
            release_all(take_all_locked(cache, shard));
        free(shard->buckets);
        cache_order_clear(&shard->order);
        pthread_mutex_destroy(&shard->lock);
    }
    free(cache->shards);
    free(cache);
}

/* Finding. */

static uint64_t hash_of(const struct cache *cache, struct view key)
{
    return siphash(cache->secret, key);
}

static struct shard *shard_of(struct cache *cache, uint64_t hash)
{
    return &cache->shards[hash >> 32 & (cache->nshards - 1)];
}

static uint64_t *stripe_of(struct shard *shard, uint64_t hash)
{
    return &shard->batches[hash >> 56 & (STRIPES - 1)];
}

/* Where the pointer to key's entry stands, or would: the end of its chain. */
static struct cache_entry **find_locked(struct cache *cache,
                                        struct shard *shard, uint32_t hash,
                                        struct view key)
{
    struct cache_entry **at = bucket_of(cache, shard, hash);

    while (*at != NULL &&
           ((*at)->hash != hash || !view_equal(cache_entry_key(*at), key)))
        at = &(*at)->chain;
    return at;
}

/* Out of table and queue, onto a list to be released. */
static void drop_locked(struct shard *shard, struct cache_entry **at,
                        struct cache_entry **dropped)
{
    struct cache_entry *entry = *at;

    *at = entry->chain;
    cache_order_remove(&shard->order, entry);
    entry->chain = *dropped;
    *dropped = entry;
}

static bool is_expired(const struct cache_entry *entry)
{
    return entry->expiry_ms != 0 && entry->expiry_ms <= clock_wall_ms();
}

static enum cache_answer answer_locked(struct cache_entry *entry,
                                       enum cache_reader reader,
                                       struct cache_found *out_found)
{
    if (reader == CACHE_READ)
        cache_order_use(entry);
    if (entry->record_size == 0)
        return CACHE_ABSENT;
    cache_entry_hold(entry, &out_found->hold);
    out_found->record = cache_entry_record(entry);
    return CACHE_HIT;
}

static void count_locked(struct shard *shard, enum cache_answer answer)
{
    switch (answer) {
    case CACHE_HIT:
        shard->totals.hits++;
        break;
    case CACHE_ABSENT:
        shard->totals.absent_hits++;
        break;
    case CACHE_MISS:
        shard->totals.misses++;
        break;
    }
}

static enum cache_answer get_locked(struct cache *cache, struct shard *shard,
                                    struct view key, enum cache_reader reader,
                                    struct cache_found *out_found,
                                    struct cache_entry **dropped)
{
    struct cache_entry **at =
        find_locked(cache, shard, (uint32_t)out_found->ticket.hash, key);

    if (*at == NULL || (*at)->pending)
        return CACHE_MISS;
    if (reader == CACHE_READ && is_expired(*at)) {
        drop_locked(shard, at, dropped);
        return CACHE_MISS;
    }
    return answer_locked(*at, reader, out_found);
}

enum cache_answer cache_get(struct cache *cache, struct view key,
                            enum cache_reader reader,
                            struct cache_found *out_found)
{
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    struct cache_entry *dropped = NULL;
    enum cache_answer answer;

    /* Before the look: a write that the look misses must be noticed later. */
    out_found->ticket = (struct cache_ticket){hash, atomic_load(&cache->batch)};
    pthread_mutex_lock(&shard->lock);
    answer = get_locked(cache, shard, key, reader, out_found, &dropped);
    if (reader == CACHE_READ)
        count_locked(shard, answer);
    pthread_mutex_unlock(&shard->lock);
    release_all(dropped);
    return answer;
}

struct cache_ticket cache_pass_by(struct cache *cache, struct view key)
{
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    struct cache_ticket ticket = {hash, atomic_load(&cache->batch)};

    pthread_mutex_lock(&shard->lock);
    shard->totals.bypasses++;
    pthread_mutex_unlock(&shard->lock);
    return ticket;
}

/* Filling. */

static void make_room_locked(struct cache *cache, struct shard *shard,
                             const struct cache_entry *entry, size_t cost,
                             struct cache_entry **dropped)
{
    uint64_t now_ms = clock_wall_ms();
    struct cache_entry *victim;

    while ((victim = cache_order_make_room(&shard->order, cost,
                                           entry->record_size == 0, now_ms)) !=
           NULL) {
        struct cache_entry **at = bucket_of(cache, shard, victim->hash);

        while (*at != victim)
            at = &(*at)->chain;
        *at = victim->chain;
        victim->chain = *dropped;
        *dropped = victim;
        shard->totals.evictions++;
    }
}

/* Instead of what the key had, or new. */
static void enter_locked(struct cache *cache, struct shard *shard,
                         struct cache_entry *entry,
                         struct cache_entry **dropped)
{
    struct cache_entry **at =
        find_locked(cache, shard, entry->hash, cache_entry_key(entry));
    struct cache_entry *old = *at;

    if (old != NULL) {
        entry->chain = old->chain;
        *at = entry;
        cache_order_replace(&shard->order, old, entry);
        old->chain = *dropped;
        *dropped = old;
        make_room_locked(cache, shard, entry, 0, dropped);
    } else {
        make_room_locked(cache, shard, entry, cache_entry_cost(entry), dropped);
        at = bucket_of(cache, shard, entry->hash);
        entry->chain = *at;
        *at = entry;
        cache_order_add(&shard->order, entry);
    }
    shard->totals.stored++;
}

/* NULL: it is too large for a cache of this size, or there is no memory. */
static struct cache_entry *make_entry(const struct shard *shard,
                                      struct view key, uint64_t hash,
                                      struct view record)
{
    size_t largest = shard->order.limit / SHARE_OF_ONE;

    if (sizeof(struct cache_entry) + key.size + record.size > largest)
        return NULL;
    return cache_entry_new(key, (uint32_t)hash, record);
}

bool cache_fill(struct cache *cache, struct view key,
                const struct cache_ticket *ticket, struct view record)
{
    struct shard *shard = shard_of(cache, ticket->hash);
    struct cache_entry *dropped = NULL;
    struct cache_entry *entry = make_entry(shard, key, ticket->hash, record);
    bool good;

    pthread_mutex_lock(&shard->lock);
    good = entry != NULL && *stripe_of(shard, ticket->hash) < ticket->batch;
    if (good)
        enter_locked(cache, shard, entry, &dropped);
    else
        shard->totals.refused++;
    pthread_mutex_unlock(&shard->lock);
    release_all(dropped);
    if (!good && entry != NULL)
        cache_entry_release(entry);
    return good;
}

/* Writes. */

static bool is_cached(const struct cache *cache, struct view engine_key)
{
    return engine_key.size > 1 && engine_key.data[0] == cache->space;
}

/* False: the batch had a key of this stripe before, maybe this one. */
static bool announce(struct cache *cache, struct view key, uint64_t batch)
{
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    uint64_t *stripe = stripe_of(shard, hash);
    struct cache_entry *entry;
    bool is_first;

    pthread_mutex_lock(&shard->lock);
    is_first = *stripe != batch;
    *stripe = batch;
    entry = *find_locked(cache, shard, (uint32_t)hash, key);
    if (entry != NULL)
        entry->pending = true;
    pthread_mutex_unlock(&shard->lock);
    return is_first;
}

void cache_write_begin(struct cache *cache, const struct engine_batch *batch)
{
    uint64_t number = atomic_fetch_add(&cache->batch, 1) + 1;
    struct engine_operation operation;
    size_t offset = 0;

    assert(number % 2 == 1); /* One write at a time. */
    cache->repeats = false;
    while (engine_batch_next(batch, &offset, &operation))
        if (is_cached(cache, operation.key) &&
            !announce(cache, view_from(operation.key, 1), number))
            cache->repeats = true;
}

/* Instead of the record that is there, without another entry. */
static bool rewrite(struct cache *cache, struct shard *shard, struct view key,
                    uint64_t hash, struct view record)
{
    struct cache_entry *entry;
    bool done;

    pthread_mutex_lock(&shard->lock);
    entry = *find_locked(cache, shard, (uint32_t)hash, key);
    done = entry != NULL && cache_entry_rewrite(entry, record);
    if (done) {
        entry->pending = cache->repeats;
        shard->totals.stored++;
    }
    pthread_mutex_unlock(&shard->lock);
    return done;
}

/*
 * The record is what the key has now; empty: look into the engine. Where keys
 * may come again in the batch it stays hidden: the first of two records is
 * already an old one.
 */
static void settle(struct cache *cache, struct view key, struct view record)
{
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    struct cache_entry *dropped = NULL, *entry = NULL;
    struct cache_entry **at;

    if (rewrite(cache, shard, key, hash, record))
        return;
    if (record.size > 0)
        entry = make_entry(shard, key, hash, record);
    pthread_mutex_lock(&shard->lock);
    at = find_locked(cache, shard, (uint32_t)hash, key);
    if (entry != NULL) {
        entry->pending = cache->repeats;
        enter_locked(cache, shard, entry, &dropped);
    } else if (*at != NULL) {
        drop_locked(shard, at, &dropped);
    }
    if (record.size > 0 && entry == NULL)
        shard->totals.refused++;
    pthread_mutex_unlock(&shard->lock);
    release_all(dropped);
}

static void reveal(struct cache *cache, struct view key)
{
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    struct cache_entry *entry;

    pthread_mutex_lock(&shard->lock);
    entry = *find_locked(cache, shard, (uint32_t)hash, key);
    if (entry != NULL)
        entry->pending = false;
    pthread_mutex_unlock(&shard->lock);
}

void cache_write_end(struct cache *cache, const struct engine_batch *batch,
                     enum cache_outcome outcome)
{
    struct engine_operation operation;
    size_t offset = 0;

    while (engine_batch_next(batch, &offset, &operation)) {
        struct view record = operation.value;

        if (operation.is_delete || outcome == CACHE_FAILED)
            record = (struct view){0};
        if (is_cached(cache, operation.key))
            settle(cache, view_from(operation.key, 1), record);
    }
    offset = 0;
    while (cache->repeats && engine_batch_next(batch, &offset, &operation))
        if (is_cached(cache, operation.key))
            reveal(cache, view_from(operation.key, 1));
    atomic_fetch_add(&cache->batch, 1);
}

void cache_clear(struct cache *cache)
{
    uint64_t number = atomic_fetch_add(&cache->batch, 1) + 1;

    assert(number % 2 == 1);
    for (size_t i = 0; i < cache->nshards; i++) {
        struct shard *shard = &cache->shards[i];
        struct cache_entry *all;

        pthread_mutex_lock(&shard->lock);
        for (size_t stripe = 0; stripe < STRIPES; stripe++)
            shard->batches[stripe] = number;
        all = take_all_locked(cache, shard);
        pthread_mutex_unlock(&shard->lock);
        release_all(all);
    }
    atomic_fetch_add(&cache->batch, 1);
}

/* Counting. */

static void add_totals_locked(const struct shard *shard,
                              struct cache_totals *sum)
{
    const struct cache_queue *queues = shard->order.queues;

    sum->hits += shard->totals.hits;
    sum->absent_hits += shard->totals.absent_hits;
    sum->misses += shard->totals.misses;
    sum->bypasses += shard->totals.bypasses;
    sum->stored += shard->totals.stored;
    sum->refused += shard->totals.refused;
    sum->evictions += shard->totals.evictions;
    sum->absent_entries += queues[CACHE_QUEUE_ABSENT].count;
    for (size_t i = 0; i < CACHE_QUEUES; i++) {
        sum->entries += queues[i].count;
        sum->bytes += queues[i].bytes;
    }
}

void cache_totals(struct cache *cache, struct cache_totals *out_totals)
{
    *out_totals = (struct cache_totals){.bytes = cache->fixed_bytes,
                                        .limit = cache->limit};
    for (size_t i = 0; i < cache->nshards; i++) {
        pthread_mutex_lock(&cache->shards[i].lock);
        add_totals_locked(&cache->shards[i], out_totals);
        pthread_mutex_unlock(&cache->shards[i].lock);
    }
}
