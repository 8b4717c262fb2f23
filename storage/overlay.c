/*
 * A hash table whose entries lie in one array, in the order in which they were
 * made. An entry is put at the front of its chain, so the first one found for
 * a key is its newest, and the last one of the array can always be taken back
 * by making the next one the front again. No write costs an allocation.
 */
#include "storage/overlay.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FIRST_CAPACITY = 256,
    KEPT_CAPACITY = 16384, /* What one batch may leave for the next one. */
};

#define NONE UINT32_MAX

struct overlay_entry {
    struct view key;
    struct engine_place record;
    uint32_t hash;
    uint32_t next; /* In the chain: an older entry. */
};

static uint32_t hash_of(const struct overlay *overlay, struct view key)
{
    return (uint32_t)siphash(overlay->secret, key);
}

static uint32_t *chain_of(const struct overlay *overlay, uint32_t hash)
{
    return &overlay->chains[hash & (2 * overlay->capacity - 1)];
}

static void link_entry(struct overlay *overlay, size_t i)
{
    struct overlay_entry *entry = &overlay->entries[i];
    uint32_t *chain = chain_of(overlay, entry->hash);

    entry->next = *chain;
    *chain = (uint32_t)i;
}

static void replace_chains(struct overlay *overlay, uint32_t *chains,
                           size_t capacity)
{
    free(overlay->chains);
    overlay->chains = chains;
    overlay->capacity = capacity;
    for (size_t i = 0; i < 2 * capacity; i++)
        chains[i] = NONE;
    for (size_t i = 0; i < overlay->count; i++)
        link_entry(overlay, i);
}

static enum kist_status grow(struct overlay *overlay)
{
    size_t capacity = 2 * overlay->capacity;
    struct overlay_entry *entries;
    uint32_t *chains;

    if (capacity == 0) {
        capacity = FIRST_CAPACITY;
        overlay->secret = siphash_process_key();
    }
    if (capacity > UINT32_MAX / 2)
        return KIST_NO_MEMORY;
    entries = realloc(overlay->entries, capacity * sizeof(*entries));
    if (entries == NULL)
        return KIST_NO_MEMORY;
    overlay->entries = entries;
    chains = malloc(2 * capacity * sizeof(*chains));
    if (chains == NULL)
        return KIST_NO_MEMORY;
    replace_chains(overlay, chains, capacity);
    return KIST_OK;
}

enum kist_status overlay_set(struct overlay *overlay, struct view key,
                             struct engine_place record)
{
    size_t i = overlay->count;

    if (i == overlay->capacity && grow(overlay) != KIST_OK)
        return KIST_NO_MEMORY;
    overlay->entries[i] = (struct overlay_entry){
        .key = key,
        .record = record,
        .hash = hash_of(overlay, key),
    };
    link_entry(overlay, i);
    overlay->count++;
    return KIST_OK;
}

bool overlay_find(const struct overlay *overlay, struct view key,
                  struct engine_place *out_record)
{
    uint32_t hash, at;

    if (overlay->count == 0)
        return false;
    hash = hash_of(overlay, key);
    at = *chain_of(overlay, hash);
    while (at != NONE) {
        const struct overlay_entry *entry = &overlay->entries[at];

        if (entry->hash == hash && view_equal(entry->key, key)) {
            *out_record = entry->record;
            return true;
        }
        at = entry->next;
    }
    return false;
}

void overlay_rewind(struct overlay *overlay, size_t count)
{
    assert(count <= overlay->count);
    while (overlay->count > count) {
        const struct overlay_entry *entry = &overlay->entries[--overlay->count];

        *chain_of(overlay, entry->hash) = entry->next;
    }
}

void overlay_clear(struct overlay *overlay)
{
    if (overlay->capacity > KEPT_CAPACITY)
        overlay_free(overlay);
    else
        overlay_rewind(overlay, 0);
}

void overlay_free(struct overlay *overlay)
{
    free(overlay->entries);
    free(overlay->chains);
    *overlay = (struct overlay){0};
}
