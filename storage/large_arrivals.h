/*
 * large_arrivals - files that must not be taken for rubbish of earlier runs,
 * until that is collected.
 *
 * A file whose name begins with the boot of this process is its own. Any other
 * one may be an orphan, unless this process has put it into its place (under
 * the name that another node gave it), or is about to make a record name it.
 *
 * Threads: any.
 */
#ifndef KIST_STORAGE_LARGE_ARRIVALS_H
#define KIST_STORAGE_LARGE_ARRIVALS_H

#include "storage/large_reference.h"

#include <pthread.h>
#include <stddef.h>

enum { LARGE_ARRIVALS_PLACES = 256 };

struct large_arrivals {
    pthread_mutex_t lock; /* Guards the fields below. */
    bool is_over;
    struct large_arrivals_place {
        struct large_reference *references;
        size_t count, capacity;
    } places[LARGE_ARRIVALS_PLACES]; /* By the serial. */
};

void large_arrivals_init(struct large_arrivals *arrivals);
void large_arrivals_clear(struct large_arrivals *arrivals);

/* KIST_NO_MEMORY. */
KIST_CHECKED enum kist_status
large_arrivals_add(struct large_arrivals *arrivals,
                   const struct large_reference *reference);

bool large_arrivals_has(struct large_arrivals *arrivals,
                        const struct large_reference *reference);

/* All are collected: nothing is, and will be, remembered any more. */
void large_arrivals_end(struct large_arrivals *arrivals);

#endif
