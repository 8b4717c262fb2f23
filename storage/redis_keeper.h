/*
 * redis_keeper - the thread that knows where Redis is, and what it is like.
 *
 * Asked by anybody who doubts the map, and from time to time: one Redis, of
 * those known or else of the seeds, says who has which slots, and each master
 * how it was configured. kistd must not live on a Redis that drops keys when
 * memory is short, and says what a write's answer is worth.
 *
 * Threads: redis_keeper_doubt() from any; close after the last of it.
 */
#ifndef KIST_STORAGE_REDIS_KEEPER_H
#define KIST_STORAGE_REDIS_KEEPER_H

#include "storage/redis.h"

#include <pthread.h>

struct redis_keeper {
    /* Set before it is opened. */
    const struct redis_options *options; /* Kept. */
    struct redis_hooks hooks;
    struct redis_map *map;

    /* What it knows: any thread. */
    _Atomic(enum redis_state) state;
    atomic_bool is_durable;
    atomic_uint masters;

    pthread_t thread;
    pthread_mutex_t lock; /* Guards doubted and stopping. */
    pthread_cond_t work;
    bool doubted;
    bool stopping;

    /* Its thread only. */
    uint64_t looked_ns;
    uint64_t told_ns; /* That it was not found; 0: nobody was told yet. */
    bool is_cluster;
};

KIST_CHECKED enum kist_status redis_keeper_open(struct redis_keeper *keeper);

/* Ends the thread; redis_keeper_doubt() may still be called until clear. */
void redis_keeper_stop(struct redis_keeper *keeper);
void redis_keeper_clear(struct redis_keeper *keeper);

void redis_keeper_doubt(struct redis_keeper *keeper);

#endif
