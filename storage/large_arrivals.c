#include "storage/large_arrivals.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void large_arrivals_init(struct large_arrivals *arrivals)
{
    *arrivals = (struct large_arrivals){0};
    pthread_mutex_init(&arrivals->lock, NULL);
}

static void free_places_locked(struct large_arrivals *arrivals)
{
    for (size_t i = 0; i < LARGE_ARRIVALS_PLACES; i++) {
        free(arrivals->places[i].references);
        arrivals->places[i] = (struct large_arrivals_place){0};
    }
}

void large_arrivals_clear(struct large_arrivals *arrivals)
{
    free_places_locked(arrivals); /* Nobody else is left. */
    pthread_mutex_destroy(&arrivals->lock);
}

static struct large_arrivals_place *
place_locked(struct large_arrivals *arrivals,
             const struct large_reference *reference)
{
    return &arrivals->places[reference->serial % LARGE_ARRIVALS_PLACES];
}

static bool has_locked(struct large_arrivals *arrivals,
                       const struct large_reference *reference)
{
    const struct large_arrivals_place *place =
        place_locked(arrivals, reference);

    for (size_t i = 0; i < place->count; i++)
        if (large_reference_same(&place->references[i], reference))
            return true;
    return false;
}

static enum kist_status grow_locked(struct large_arrivals_place *place)
{
    size_t capacity =
        place->capacity == 0 ? FIRST_CAPACITY : 2 * place->capacity;
    struct large_reference *grown;

    if (place->count < place->capacity)
        return KIST_OK;
    grown = realloc(place->references, capacity * sizeof(*grown));
    if (grown == NULL)
        return KIST_NO_MEMORY;
    place->references = grown;
    place->capacity = capacity;
    return KIST_OK;
}

enum kist_status large_arrivals_add(struct large_arrivals *arrivals,
                                    const struct large_reference *reference)
{
    struct large_arrivals_place *place;
    enum kist_status status = KIST_OK;

    pthread_mutex_lock(&arrivals->lock);
    place = place_locked(arrivals, reference);
    if (!arrivals->is_over && !has_locked(arrivals, reference)) {
        status = grow_locked(place);
        if (status == KIST_OK)
            place->references[place->count++] = *reference;
    }
    pthread_mutex_unlock(&arrivals->lock);
    return status;
}

bool large_arrivals_has(struct large_arrivals *arrivals,
                        const struct large_reference *reference)
{
    bool has;

    pthread_mutex_lock(&arrivals->lock);
    has = has_locked(arrivals, reference);
    pthread_mutex_unlock(&arrivals->lock);
    return has;
}

void large_arrivals_end(struct large_arrivals *arrivals)
{
    pthread_mutex_lock(&arrivals->lock);
    arrivals->is_over = true;
    free_places_locked(arrivals);
    pthread_mutex_unlock(&arrivals->lock);
}
