/*
 * Each timer is due before its children, which are a list; `previous` is the
 * one to the left in it, of the first child the parent.
 */
#include "replication/timer_heap.h"

#include <assert.h>

/* Two heaps become one. Either may be NULL. */
static struct env_timer *meld(struct env_timer *a, struct env_timer *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    if (b->due_ms < a->due_ms) {
        struct env_timer *swapped = a;

        a = b;
        b = swapped;
    }
    b->previous = a;
    b->next = a->child;
    if (a->child != NULL)
        a->child->previous = b;
    a->child = b;
    return a;
}

/* One off the front of *list, alone. */
static struct env_timer *take(struct env_timer **list)
{
    struct env_timer *timer = *list;

    if (timer != NULL) {
        *list = timer->next;
        timer->next = timer->previous = NULL;
    }
    return timer;
}

/* A list of heaps becomes one: in pairs from the left, then all together. */
static struct env_timer *meld_all(struct env_timer *list)
{
    struct env_timer *pairs = NULL, *all = NULL;

    while (list != NULL) {
        struct env_timer *one = take(&list);
        struct env_timer *pair = meld(one, take(&list));

        pair->next = pairs;
        pairs = pair;
    }
    while (pairs != NULL)
        all = meld(all, take(&pairs));
    return all;
}

void timer_heap_add(struct timer_heap *heap, struct env_timer *timer,
                    uint64_t due_ms)
{
    assert(timer->own == NULL);
    timer->own = heap;
    timer->due_ms = due_ms;
    timer->child = timer->next = timer->previous = NULL;
    heap->first = meld(heap->first, timer);
}

void timer_heap_remove(struct timer_heap *heap, struct env_timer *timer)
{
    struct env_timer *children = timer->child;

    if (timer->own == NULL)
        return;
    assert(timer->own == heap);
    timer->own = NULL;
    if (timer == heap->first) {
        heap->first = meld_all(children);
        return;
    }
    if (timer->previous->child == timer)
        timer->previous->child = timer->next;
    else
        timer->previous->next = timer->next;
    if (timer->next != NULL)
        timer->next->previous = timer->previous;
    heap->first = meld(heap->first, meld_all(children));
}
