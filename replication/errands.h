/*
 * errands - what other threads ask of a loop, until it closes its door.
 *
 * A task that was posted to a loop that has stopped is never run, and lost
 * with all it holds. An errand always ends: it is run on the loop, or told
 * that the loop is closed.
 *
 * Threads: errands_add() from any; the rest on the loop's, or when it does not
 * run.
 */
#ifndef KIST_REPLICATION_ERRANDS_H
#define KIST_REPLICATION_ERRANDS_H

#include "base/loop.h"

#include <pthread.h>

enum errand_fate { ERRAND_DONE, ERRAND_TOO_LATE };

/* Lives in the struct it is about, and is kept until it runs, once. */
struct errand {
    struct errand *next;
    void (*run)(struct errand *errand, enum errand_fate fate);
};

struct errands {
    struct loop *loop; /* Kept. */
    struct loop_task task;

    pthread_mutex_t lock; /* Guards the rest. */
    struct errand *first;
    struct errand **last;
    bool is_closed;
};

void errands_open(struct errands *errands, struct loop *loop);

/* If the door is closed it is run here and now, too late. */
void errands_add(struct errands *errands, struct errand *errand);

/* Those that wait are too late; so is every later one. */
void errands_close(struct errands *errands);

/* Closed before; nobody adds any more. */
void errands_end(struct errands *errands);

#endif
