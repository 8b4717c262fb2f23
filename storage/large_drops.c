#include "storage/large_drops.h"

#include <stdlib.h>

/* 32 MiB of memory. */
#define DROPS_MAX ((size_t)1 << 20)

/* What is kept allocated between bursts. */
#define DROPS_FEW ((size_t)64)

void large_drops_init(struct large_drops *drops)
{
    *drops = (struct large_drops){0};
    pthread_mutex_init(&drops->lock, NULL);
}

void large_drops_clear(struct large_drops *drops)
{
    pthread_mutex_destroy(&drops->lock);
    free(drops->references);
}

static bool make_room_locked(struct large_drops *drops)
{
    size_t capacity = drops->capacity == 0 ? DROPS_FEW : drops->capacity * 2;
    struct large_reference *grown;

    if (drops->count < drops->capacity)
        return true;
    if (capacity > DROPS_MAX)
        return false;
    grown = realloc(drops->references, capacity * sizeof(*grown));
    if (grown == NULL)
        return false;
    drops->references = grown;
    drops->capacity = capacity;
    return true;
}

bool large_drops_add(struct large_drops *drops,
                     const struct large_reference *reference)
{
    bool added;

    pthread_mutex_lock(&drops->lock);
    added = make_room_locked(drops);
    if (added)
        drops->references[drops->count++] = *reference;
    pthread_mutex_unlock(&drops->lock);
    return added;
}

bool large_drops_take(struct large_drops *drops,
                      struct large_reference *out_reference)
{
    bool taken;

    pthread_mutex_lock(&drops->lock);
    taken = drops->count > 0;
    if (taken)
        *out_reference = drops->references[--drops->count];
    if (drops->count == 0 && drops->capacity > DROPS_FEW) {
        free(drops->references);
        drops->references = NULL;
        drops->capacity = 0;
    }
    pthread_mutex_unlock(&drops->lock);
    return taken;
}
