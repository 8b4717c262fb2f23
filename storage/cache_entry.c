#include "storage/cache_entry.h"

#include "storage/record.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* There may be a million of them: no padding before the bytes. */
static_assert(offsetof(struct cache_entry, bytes) <= 49, "no room is wasted");

static size_t size_of(size_t key_size, size_t record_size)
{
    size_t size = offsetof(struct cache_entry, bytes) + key_size + record_size;

    return size < sizeof(struct cache_entry) ? sizeof(struct cache_entry)
                                             : size;
}

struct cache_entry *cache_entry_new(struct view key, uint32_t hash,
                                    struct view record)
{
    struct cache_entry *entry = malloc(size_of(key.size, record.size));
    struct record parsed = {0};

    if (entry == NULL)
        return NULL;
    assert(key.size <= UINT16_MAX && record.size <= UINT32_MAX);
    if (record.size > 0)
        record_trust(record, &parsed);
    *entry = (struct cache_entry){
        .expiry_ms = parsed.expiry_ms,
        .hash = hash,
        .record_size = (uint32_t)record.size,
        .key_size = (uint16_t)key.size,
    };
    atomic_init(&entry->references, 1);
    memcpy(entry->bytes, key.data, key.size);
    if (record.size > 0)
        memcpy(entry->bytes + key.size, record.data, record.size);
    return entry;
}

bool cache_entry_rewrite(struct cache_entry *entry, struct view record)
{
    struct record parsed;

    if (record.size == 0 || record.size != entry->record_size ||
        atomic_load_explicit(&entry->references, memory_order_acquire) != 1)
        return false;
    record_trust(record, &parsed);
    entry->expiry_ms = parsed.expiry_ms;
    memcpy(entry->bytes + entry->key_size, record.data, record.size);
    return true;
}

void cache_entry_hold(struct cache_entry *entry, struct hold *out_hold)
{
    atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
    *out_hold = (struct hold){entry, entry->record_size, cache_entry_release};
}

void cache_entry_release(void *memory)
{
    struct cache_entry *entry = memory;

    if (atomic_fetch_sub_explicit(&entry->references, 1,
                                  memory_order_acq_rel) == 1)
        free(entry);
}

struct view cache_entry_key(const struct cache_entry *entry)
{
    return (struct view){entry->bytes, entry->key_size};
}

struct view cache_entry_record(const struct cache_entry *entry)
{
    return (struct view){entry->bytes + entry->key_size, entry->record_size};
}

size_t cache_entry_cost(const struct cache_entry *entry)
{
    size_t size = size_of(entry->key_size, entry->record_size);

    return (size + sizeof(size_t) + 15) & ~(size_t)15;
}
