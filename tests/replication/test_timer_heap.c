#include "replication/timer_heap.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { TIMERS = 64, STEPS = 20000 };

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static uint64_t least_of(const struct env_timer *timers)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < TIMERS; i++)
        if (timers[i].own != NULL && timers[i].due_ms < least)
            least = timers[i].due_ms;
    return least;
}

Test(timer_heap, the_first_is_due_before_all_others_whatever_was_done)
{
    struct env_timer timers[TIMERS] = {0};
    struct timer_heap heap = {NULL};
    uint32_t state = 1;

    for (unsigned step = 0; step < STEPS; step++) {
        struct env_timer *timer = &timers[next(&state) % TIMERS];

        if (timer->own != NULL || next(&state) % 4 == 0)
            timer_heap_remove(&heap, timer);
        else
            timer_heap_add(&heap, timer, next(&state) % 1000);
        if (next(&state) % 8 == 0 && heap.first != NULL)
            timer_heap_remove(&heap, heap.first);
        cr_assert(eq(u64, heap.first != NULL ? heap.first->due_ms : UINT64_MAX,
                     least_of(timers)));
    }
}

Test(timer_heap, timers_come_out_in_order)
{
    struct env_timer timers[TIMERS] = {0};
    struct timer_heap heap = {NULL};
    uint64_t last = 0;

    for (unsigned i = 0; i < TIMERS; i++)
        timer_heap_add(&heap, &timers[i], (i * 37) % TIMERS);
    for (unsigned i = 0; i < TIMERS; i++) {
        cr_assert(heap.first->due_ms >= last);
        last = heap.first->due_ms;
        timer_heap_remove(&heap, heap.first);
    }
    cr_assert(heap.first == NULL);
}
