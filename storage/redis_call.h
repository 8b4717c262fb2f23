/*
 * redis_call - commands for a thread that may wait: of the pool, never a loop.
 *
 * Threads: all calls of one redis_calls from one thread.
 */
#ifndef KIST_STORAGE_REDIS_CALL_H
#define KIST_STORAGE_REDIS_CALL_H

#include "storage/redis_map.h"

#include <pthread.h>

struct redis_calls {
    struct redis_map *map; /* Kept. */
    uint64_t timeout_ms;

    pthread_mutex_t lock; /* Guards waiting and status. */
    pthread_cond_t all_done;
    size_t waiting;
    enum kist_status status; /* KIST_OK, or of one that failed. */
};

/* One that is made; kept until redis_calls_run() returns. */
struct redis_call {
    struct redis_task task;
    struct redis_calls *calls;
    void (*say)(struct redis_call *call, struct redis_command *command);
    /* KIST_OK, or what the run ends with. */
    enum kist_status (*hear)(struct redis_call *call,
                             const struct redis_answer *answer);
};

void redis_calls_init(struct redis_calls *calls, struct redis_map *map,
                      uint64_t timeout_ms);
void redis_calls_clear(struct redis_calls *calls);

/* Add it to the next run; shard, say and hear are set. */
void redis_calls_add(struct redis_calls *calls, struct redis_task_list *list,
                     struct redis_call *call);

/*
 * Do all of list and wait for it. KIST_READ_ONLY: not in time. KIST_IO,
 * KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status redis_calls_run(struct redis_calls *calls,
                                              struct redis_task_list *list);

#endif
