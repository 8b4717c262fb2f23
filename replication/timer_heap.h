/*
 * timer_heap - any number of timers, the next one at hand.
 *
 * A pairing heap (Fredman, Sedgewick, Sleator, Tarjan, 1986) whose links lie
 * in the timers: setting one takes no memory, so it cannot fail.
 */
#ifndef KIST_REPLICATION_TIMER_HEAP_H
#define KIST_REPLICATION_TIMER_HEAP_H

#include "replication/env.h"

/* Zero is an empty one. */
struct timer_heap {
    struct env_timer *first; /* Due before all others; NULL: it is empty. */
};

/* timer->own is set from here until it is removed. */
void timer_heap_add(struct timer_heap *heap, struct env_timer *timer,
                    uint64_t due_ms);

/* Takes one that is not set, too. */
void timer_heap_remove(struct timer_heap *heap, struct env_timer *timer);

#endif
