/*
 * waiters - requests that wait for a key to change.
 *
 * A loop registers a waiter for a key and looks at the value only then; a
 * commit that comes after that look finds the waiter and wakes it, one that
 * came before was seen. Waking says "look again": keys share slots, so a
 * waiter may be woken for another key's sake. One turn of a loop wakes at most
 * WAITERS_A_TURN, so that many who wait for a big value leave room for others.
 *
 * Threads: waiters_changed() from any; all else on the waiter's loop.
 */
#ifndef KIST_SERVICE_WAITERS_H
#define KIST_SERVICE_WAITERS_H

#include "base/bytes.h"
#include "base/loop.h"
#include "base/metric.h"

#define WAITERS_A_TURN 16

struct waiters;
struct waiters_room;

struct waiter {
    void (*wake)(struct waiter *waiter); /* On its loop; may remove any. */

    /* The module's own. */
    struct waiters_room *room;
    struct waiter *previous, *next;
    size_t slot;
};

/* At most `limit` waiters at once, over all loops. */
KIST_CHECKED enum kist_status waiters_open(size_t limit,
                                           struct waiters **out_waiters);

/* Every room is closed. Takes NULL. */
void waiters_close(struct waiters *waiters);

/*
 * A loop's part, made before the loop runs. Closed after it ran (loop_join())
 * and before it is closed: until then waiters_changed() may post to it.
 */
KIST_CHECKED enum kist_status waiters_room_open(struct waiters *waiters,
                                                struct loop *loop,
                                                struct waiters_room **out_room);
void waiters_room_close(struct waiters_room *room); /* NULL is ok. */

/* Keeps waiter until waiters_remove(). KIST_BUSY: there are too many. */
KIST_CHECKED enum kist_status
waiters_add(struct waiters_room *room, struct waiter *waiter, struct view key);
void waiters_remove(struct waiter *waiter);

/* key has a new record, which readers can see. */
void waiters_changed(struct waiters *waiters, struct view key);

/* How many wait now. */
const struct gauge *waiters_count(const struct waiters *waiters);

#endif
