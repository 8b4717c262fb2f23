/*
 * large_drops - the files of large values that nobody needs any more, until
 * somebody has time to remove them, or somebody needs one again.
 *
 * Threads: any; but who removes files is one, from large_drops_take() or
 * large_drops_removing() to large_drops_removed().
 */
#ifndef KIST_STORAGE_LARGE_DROPS_H
#define KIST_STORAGE_LARGE_DROPS_H

#include "storage/large_reference.h"

#include <pthread.h>
#include <stddef.h>

struct large_drops {
    pthread_mutex_t lock;   /* Guards the fields below. */
    pthread_cond_t removed; /* is_removing ended. */
    struct large_reference *references;
    size_t count, capacity;
    struct large_reference removing; /* While is_removing. */
    bool is_removing;
    unsigned holds; /* While there is one, nothing is taken. */
};

void large_drops_init(struct large_drops *drops);
void large_drops_clear(struct large_drops *drops);

/* False: there are too many, or memory ran out. */
KIST_CHECKED bool large_drops_add(struct large_drops *drops,
                                  const struct large_reference *reference);

/* From now on all files stay, until as many releases. */
void large_drops_hold(struct large_drops *drops);
void large_drops_release(struct large_drops *drops);

/*
 * One of them, the last in first; false: there is none, or all are held. It
 * counts as being removed until large_drops_removed().
 */
KIST_CHECKED bool large_drops_take(struct large_drops *drops,
                                   struct large_reference *out_reference);
void large_drops_removed(struct large_drops *drops);

/* The same for a file that is not on the list. False: all are held. */
KIST_CHECKED bool large_drops_removing(struct large_drops *drops,
                                       const struct large_reference *reference);

/*
 * The file shall stay: it is off the list, where it was *out_count times.
 * False: it is just being removed.
 */
KIST_CHECKED bool large_drops_keep(struct large_drops *drops,
                                   const struct large_reference *reference,
                                   size_t *out_count);

/* Until nobody is removing the file. Blocks for as long as that takes. */
void large_drops_wait(struct large_drops *drops,
                      const struct large_reference *reference);

#endif
