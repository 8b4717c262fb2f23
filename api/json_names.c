#include "api/json_names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16 };

void json_names_init(struct json_names *names)
{
    *names = (struct json_names){.key = siphash_process_key()};
}

void json_names_clear(struct json_names *names)
{
    blob_free(&names->bytes);
    free(names->entries);
    free(names->slots);
    *names = (struct json_names){.key = names->key};
}

void json_names_append(struct json_names *names, struct view part)
{
    blob_append(&names->bytes, part);
}

static size_t start_of(const struct json_names *names, size_t index)
{
    return index == 0 ? 0 : names->entries[index - 1].end;
}

static struct view name_at(const struct json_names *names, size_t index)
{
    size_t start = start_of(names, index);

    return (struct view){names->bytes.data + start,
                         names->entries[index].end - start};
}

/* The slot that holds entry index, or the empty one where it belongs. */
static size_t slot_for(const struct json_names *names, size_t index)
{
    size_t mask = names->nslots - 1;
    size_t slot = (size_t)names->entries[index].hash & mask;

    while (names->slots[slot] != 0 && names->slots[slot] != index + 1)
        slot = (slot + 1) & mask;
    return slot;
}

static enum kist_status grow(struct json_names *names)
{
    size_t capacity =
        names->capacity == 0 ? FIRST_CAPACITY : names->capacity * 2;
    struct json_names_entry *entries;

    if (capacity > UINT32_MAX / 2)
        return KIST_NO_MEMORY;
    entries = realloc(names->entries, capacity * sizeof(*entries));
    if (entries == NULL)
        return KIST_NO_MEMORY;
    names->entries = entries;
    names->capacity = capacity;

    free(names->slots);
    names->nslots = capacity * 2;
    names->slots = calloc(names->nslots, sizeof(*names->slots));
    if (names->slots == NULL)
        return KIST_NO_MEMORY;
    /* In the old order: dropping in reverse still finds no gaps. */
    for (size_t i = 0; i < names->count; i++)
        names->slots[slot_for(names, i)] = (uint32_t)(i + 1);
    return KIST_OK;
}

/* Whether the object that starts at entry first has this name already. */
static bool is_known(const struct json_names *names, size_t first,
                     uint64_t hash, struct view name)
{
    size_t mask = names->nslots - 1;
    size_t slot = (size_t)hash & mask;

    for (; names->slots[slot] != 0; slot = (slot + 1) & mask) {
        size_t index = names->slots[slot] - 1;

        if (index >= first && names->entries[index].hash == hash &&
            view_equal(name_at(names, index), name))
            return true;
    }
    return false;
}

enum kist_status json_names_finish(struct json_names *names, size_t first)
{
    /* One byte more, so that an empty name has an address, too. */
    if (blob_reserve(&names->bytes, 1) != KIST_OK)
        return KIST_NO_MEMORY;
    if (names->count == names->capacity && grow(names) != KIST_OK)
        return KIST_NO_MEMORY;

    struct view name =
        view_from(blob_view(&names->bytes), start_of(names, names->count));
    /* Objects inside each other often share names: keep their slots apart. */
    uint64_t hash = siphash(names->key, name) ^ (first * 0x9E3779B97F4A7C15);

    if (is_known(names, first, hash, name))
        return KIST_CONFLICT;
    names->entries[names->count] =
        (struct json_names_entry){.hash = hash, .end = names->bytes.size};
    names->slots[slot_for(names, names->count)] = (uint32_t)(names->count + 1);
    names->count++;
    return KIST_OK;
}

void json_names_drop(struct json_names *names, size_t first)
{
    assert(first <= names->count);
    while (names->count > first) {
        names->count--;
        names->slots[slot_for(names, names->count)] = 0;
    }
    names->bytes.size = start_of(names, first);
}
