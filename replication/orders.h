/*
 * orders - what the home loop says to the seat of another one.
 *
 * The newest is all that matters: what a seat has not taken when the next comes
 * is skipped. It takes them in a turn of its own loop, so that nothing changes
 * under a request.
 *
 * Threads: orders_open(), _give() and _close() home's, the last one when the
 * loop does not run any more; the seat's loop takes them.
 */
#ifndef KIST_REPLICATION_ORDERS_H
#define KIST_REPLICATION_ORDERS_H

#include "base/loop.h"
#include "replication/seat.h"

#include <pthread.h>

struct orders {
    /* Set by orders_open(), then read-only. */
    struct loop *loop;
    struct seat *seat;

    struct loop_task task;

    pthread_mutex_t lock; /* Guards what follows. */
    bool is_posted;
    struct seat_orders next; /* If posted. */
};

/* Both kept. */
void orders_open(struct orders *orders, struct loop *loop, struct seat *seat);

/* What home's seat has now. */
void orders_give(struct orders *orders, const struct seat *home);

void orders_close(struct orders *orders);

#endif
