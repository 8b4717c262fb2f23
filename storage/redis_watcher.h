/*
 * redis_watcher - looks now and then at keys in Redis that somebody waits for.
 *
 * Nobody tells a kistd what another one has written. So a thread reads the head
 * of the record of each key that is watched, once for all who watch it, a tenth
 * of a second after the last time. Redis is asked for a bounded number of them
 * each time: with more keys than that, each has its turn later. Writes cost
 * nothing for it, and nothing of Redis has to be configured.
 *
 * Threads: any; close last.
 */
#ifndef KIST_STORAGE_REDIS_WATCHER_H
#define KIST_STORAGE_REDIS_WATCHER_H

#include "base/bytes.h"
#include "storage/version.h"

#include <stdatomic.h>

struct redis_map;
struct redis_watcher;

struct redis_watch {
    /* Set by who adds it. */
    struct view key;      /* Kept. */
    struct version known; /* None: there is no value. */

    atomic_bool changed; /* Redis was seen to have another one. */

    /* The watcher's own. */
    struct redis_watch *previous, *next;
};

/* map is kept. KIST_IO: no thread. */
KIST_CHECKED enum kist_status redis_watcher_open(struct redis_map *map,
                                                 struct redis_watcher **out);

/* Nothing is watched any more. Ends the thread. Takes NULL. */
void redis_watcher_close(struct redis_watcher *watcher);

/*
 * Who is told, before anything is watched: key has a watch that was marked as
 * changed. The watcher's thread, no lock held.
 */
void redis_watcher_tell(struct redis_watcher *watcher, void *ctx,
                        void (*changed)(void *ctx, struct view key));

/* Keeps watch until it is taken out. */
void redis_watcher_add(struct redis_watcher *watcher,
                       struct redis_watch *watch);
void redis_watcher_remove(struct redis_watcher *watcher,
                          struct redis_watch *watch);

#endif
