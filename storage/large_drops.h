/*
 * large_drops - the files of large values that nobody needs any more, until
 * somebody has time to remove them.
 *
 * Threads: any, but large_drops_take() one at a time.
 */
#ifndef KIST_STORAGE_LARGE_DROPS_H
#define KIST_STORAGE_LARGE_DROPS_H

#include "storage/large_reference.h"

#include <pthread.h>
#include <stddef.h>

struct large_drops {
    pthread_mutex_t lock; /* Guards the fields below. */
    struct large_reference *references;
    size_t count, capacity;
};

void large_drops_init(struct large_drops *drops);
void large_drops_clear(struct large_drops *drops);

/* False: there are too many, or memory ran out. */
KIST_CHECKED bool large_drops_add(struct large_drops *drops,
                                  const struct large_reference *reference);

/* One of them, the last in first; false: there is none. */
KIST_CHECKED bool large_drops_take(struct large_drops *drops,
                                   struct large_reference *out_reference);

#endif
