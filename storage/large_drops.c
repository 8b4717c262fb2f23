#include "storage/large_drops.h"

#include <assert.h>
#include <stdlib.h>

/* 32 MiB of memory. */
#define DROPS_MAX ((size_t)1 << 20)

/* What is kept allocated between bursts. */
#define DROPS_FEW ((size_t)64)

void large_drops_init(struct large_drops *drops)
{
    *drops = (struct large_drops){0};
    pthread_mutex_init(&drops->lock, NULL);
    pthread_cond_init(&drops->removed, NULL);
}

void large_drops_clear(struct large_drops *drops)
{
    pthread_cond_destroy(&drops->removed);
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

void large_drops_hold(struct large_drops *drops)
{
    pthread_mutex_lock(&drops->lock);
    drops->holds++;
    pthread_mutex_unlock(&drops->lock);
}

void large_drops_release(struct large_drops *drops)
{
    pthread_mutex_lock(&drops->lock);
    assert(drops->holds > 0);
    drops->holds--;
    pthread_mutex_unlock(&drops->lock);
}

bool large_drops_take(struct large_drops *drops,
                      struct large_reference *out_reference)
{
    bool taken;

    pthread_mutex_lock(&drops->lock);
    taken = drops->count > 0 && drops->holds == 0;
    if (taken)
        drops->removing = *out_reference = drops->references[--drops->count];
    drops->is_removing = taken;
    if (drops->count == 0 && drops->capacity > DROPS_FEW) {
        free(drops->references);
        drops->references = NULL;
        drops->capacity = 0;
    }
    pthread_mutex_unlock(&drops->lock);
    return taken;
}

bool large_drops_removing(struct large_drops *drops,
                          const struct large_reference *reference)
{
    bool begun;

    pthread_mutex_lock(&drops->lock);
    begun = drops->holds == 0;
    if (begun)
        drops->removing = *reference;
    drops->is_removing = begun;
    pthread_mutex_unlock(&drops->lock);
    return begun;
}

void large_drops_removed(struct large_drops *drops)
{
    pthread_mutex_lock(&drops->lock);
    drops->is_removing = false;
    pthread_cond_broadcast(&drops->removed);
    pthread_mutex_unlock(&drops->lock);
}

static bool is_removing_locked(const struct large_drops *drops,
                               const struct large_reference *reference)
{
    return drops->is_removing &&
           large_reference_same(&drops->removing, reference);
}

bool large_drops_keep(struct large_drops *drops,
                      const struct large_reference *reference,
                      size_t *out_count)
{
    size_t left = 0;
    bool kept;

    pthread_mutex_lock(&drops->lock);
    for (size_t i = 0; i < drops->count; i++)
        if (!large_reference_same(&drops->references[i], reference))
            drops->references[left++] = drops->references[i];
    *out_count = drops->count - left;
    drops->count = left;
    kept = !is_removing_locked(drops, reference);
    pthread_mutex_unlock(&drops->lock);
    return kept;
}

void large_drops_wait(struct large_drops *drops,
                      const struct large_reference *reference)
{
    pthread_mutex_lock(&drops->lock);
    while (is_removing_locked(drops, reference))
        pthread_cond_wait(&drops->removed, &drops->lock);
    pthread_mutex_unlock(&drops->lock);
}
