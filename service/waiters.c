/*
 * Keys fall into slots. A slot counts its waiters over all loops, so a commit
 * to a key that nobody waits for costs one atomic read. Else the slot is
 * marked in every loop's room, and a room whose first mark it is gets woken.
 *
 * No wake-up is lost: a waiter raises the count before it reads the value, a
 * commit makes the value readable before it reads the count. Whatever the
 * order, the waiter sees the value or the commit sees the waiter.
 *
 * A waiter that is woken may read its whole value, so a room wakes a few in a
 * turn and posts itself again for the others. The place where it stopped is
 * moved on when that waiter leaves; who comes in between stands before it, and
 * has looked already.
 */
#include "service/waiters.h"

#include "base/owner.h"
#include "base/siphash.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 1024

struct waiters {
    /* Set when opened, then read-only. */
    size_t limit;
    struct siphash_key secret; /* Nobody can aim keys at one slot. */

    struct gauge count;
    _Atomic uint32_t waiting[SLOTS];

    pthread_mutex_t lock; /* Guards the list of rooms. */
    struct waiters_room *rooms;
};

struct waiters_room {
    struct waiters *waiters;
    struct loop *loop;
    struct waiters_room *next;
    struct loop_task wake;

    pthread_mutex_t lock; /* Guards the fields below. */
    bool marked[SLOTS];
    bool woken; /* wake is posted and has not run. */

    /* Its loop only. */
    struct waiter *first[SLOTS];
    bool due[SLOTS];            /* To be woken from its first waiter on. */
    size_t slot;                /* The one that is being woken, */
    struct waiter *next_waiter; /* and who is next in it. NULL: nobody. */
};

static size_t slot_of(const struct waiters *waiters, struct view key)
{
    return siphash(waiters->secret, key) % SLOTS;
}

enum kist_status waiters_open(size_t limit, struct waiters **out_waiters)
{
    struct waiters *waiters = calloc(1, sizeof(*waiters));

    if (waiters == NULL)
        return KIST_NO_MEMORY;
    waiters->limit = limit;
    waiters->secret = siphash_process_key();
    pthread_mutex_init(&waiters->lock, NULL);
    *out_waiters = waiters;
    return KIST_OK;
}

void waiters_close(struct waiters *waiters)
{
    if (waiters == NULL)
        return;
    assert(waiters->rooms == NULL);
    pthread_mutex_destroy(&waiters->lock);
    free(waiters);
}

static void take_marks(struct waiters_room *room)
{
    pthread_mutex_lock(&room->lock);
    for (size_t slot = 0; slot < SLOTS; slot++)
        room->due[slot] |= room->marked[slot];
    memset(room->marked, 0, sizeof(room->marked));
    room->woken = false;
    pthread_mutex_unlock(&room->lock);
}

/* Round and round: a slot that is changed all the time holds up no other. */
static bool find_due(struct waiters_room *room)
{
    for (size_t i = 1; i <= SLOTS && room->next_waiter == NULL; i++) {
        size_t slot = (room->slot + i) % SLOTS;

        if (!room->due[slot])
            continue;
        room->due[slot] = false;
        room->slot = slot;
        room->next_waiter = room->first[slot];
    }
    return room->next_waiter != NULL;
}

static void post(struct waiters_room *room)
{
    bool first;

    pthread_mutex_lock(&room->lock);
    first = !room->woken;
    room->woken = true;
    pthread_mutex_unlock(&room->lock);
    if (first)
        loop_post(room->loop, &room->wake);
}

static void wake_some(struct loop_task *task)
{
    struct waiters_room *room = OWNER(task, struct waiters_room, wake);

    take_marks(room);
    for (size_t i = 0; i < WAITERS_A_TURN && find_due(room); i++) {
        struct waiter *waiter = room->next_waiter;

        room->next_waiter = waiter->next;
        waiter->wake(waiter);
    }
    if (find_due(room))
        post(room);
}

enum kist_status waiters_room_open(struct waiters *waiters, struct loop *loop,
                                   struct waiters_room **out_room)
{
    struct waiters_room *room = calloc(1, sizeof(*room));

    if (room == NULL)
        return KIST_NO_MEMORY;
    room->waiters = waiters;
    room->loop = loop;
    room->wake.run = wake_some;
    pthread_mutex_init(&room->lock, NULL);

    pthread_mutex_lock(&waiters->lock);
    room->next = waiters->rooms;
    waiters->rooms = room;
    pthread_mutex_unlock(&waiters->lock);
    *out_room = room;
    return KIST_OK;
}

void waiters_room_close(struct waiters_room *room)
{
    struct waiters_room **at;

    if (room == NULL)
        return;
    pthread_mutex_lock(&room->waiters->lock);
    for (at = &room->waiters->rooms; *at != room; at = &(*at)->next)
        assert(*at != NULL);
    *at = room->next;
    pthread_mutex_unlock(&room->waiters->lock);
    pthread_mutex_destroy(&room->lock);
    free(room);
}

enum kist_status waiters_add(struct waiters_room *room, struct waiter *waiter,
                             struct view key)
{
    struct waiters *waiters = room->waiters;
    size_t slot = slot_of(waiters, key);

    /* Several loops may pass the limit at once, by one each: good enough. */
    if ((uint64_t)gauge_read(&waiters->count) >= waiters->limit)
        return KIST_BUSY;
    gauge_add(&waiters->count, 1);
    waiter->room = room;
    waiter->slot = slot;
    waiter->previous = NULL;
    waiter->next = room->first[slot];
    if (waiter->next != NULL)
        waiter->next->previous = waiter;
    room->first[slot] = waiter;
    atomic_fetch_add(&waiters->waiting[slot], 1);
    return KIST_OK;
}

void waiters_remove(struct waiter *waiter)
{
    struct waiters_room *room = waiter->room;

    if (room->next_waiter == waiter)
        room->next_waiter = waiter->next;
    if (waiter->previous != NULL)
        waiter->previous->next = waiter->next;
    else
        room->first[waiter->slot] = waiter->next;
    if (waiter->next != NULL)
        waiter->next->previous = waiter->previous;
    atomic_fetch_sub(&room->waiters->waiting[waiter->slot], 1);
    gauge_add(&room->waiters->count, -1);
}

static void mark(struct waiters_room *room, size_t slot)
{
    pthread_mutex_lock(&room->lock);
    room->marked[slot] = true;
    pthread_mutex_unlock(&room->lock);
    post(room);
}

void waiters_changed(struct waiters *waiters, struct view key)
{
    size_t slot = slot_of(waiters, key);

    if (atomic_load(&waiters->waiting[slot]) == 0)
        return;
    /* The lock keeps rooms from closing: the one lock held over another. */
    pthread_mutex_lock(&waiters->lock);
    for (struct waiters_room *room = waiters->rooms; room != NULL;
         room = room->next)
        mark(room, slot);
    pthread_mutex_unlock(&waiters->lock);
}

const struct gauge *waiters_count(const struct waiters *waiters)
{
    return &waiters->count;
}
