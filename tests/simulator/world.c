#include "tests/simulator/world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Places in the heap begin at 1: 0 is "not planned". */

void world_init(struct world *world, uint64_t seed, bool is_loud)
{
    *world = (struct world){.seed = seed, .chance = seed, .is_loud = is_loud};
}

void world_clear(struct world *world)
{
    free(world->heap);
    world->heap = NULL;
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us
                                  : a->serial < b->serial;
}

static void place(struct world *world, size_t at, struct event *event)
{
    world->heap[at] = event;
    event->at = at;
}

static void rise(struct world *world, size_t at, struct event *event)
{
    for (; at > 1 && is_before(event, world->heap[at / 2]); at /= 2)
        place(world, at, world->heap[at / 2]);
    place(world, at, event);
}

static void sink(struct world *world, size_t at, struct event *event)
{
    for (;;) {
        size_t child = 2 * at;

        if (child < world->count &&
            is_before(world->heap[child + 1], world->heap[child]))
            child++;
        if (child > world->count || !is_before(world->heap[child], event))
            break;
        place(world, at, world->heap[child]);
        at = child;
    }
    place(world, at, event);
}

bool event_is_planned(const struct event *event)
{
    return event->at != 0;
}

void world_plan(struct world *world, struct event *event, uint64_t delay_us)
{
    assert(!event_is_planned(event));
    if (world->count + 2 > world->capacity) {
        world->capacity = world->capacity == 0 ? 256 : 2 * world->capacity;
        world->heap =
            realloc(world->heap, world->capacity * sizeof(*world->heap));
        if (world->heap == NULL)
            abort();
    }
    event->due_us = world->now_us + delay_us;
    event->serial = world->serial++;
    rise(world, ++world->count, event);
}

void world_cancel(struct world *world, struct event *event)
{
    size_t at = event->at;
    struct event *last;

    if (at == 0)
        return;
    event->at = 0;
    last = world->heap[world->count--];
    if (last == event)
        return;
    if (at > 1 && is_before(last, world->heap[at / 2]))
        rise(world, at, last);
    else
        sink(world, at, last);
}

void world_run(struct world *world, uint64_t until_us)
{
    while (world->count > 0 && !world->is_wrong) {
        struct event *event = world->heap[1];

        if (event->due_us > until_us)
            break;
        world->now_us = event->due_us;
        world_cancel(world, event);
        event->happen(event);
    }
    if (world->now_us < until_us)
        world->now_us = until_us;
}

/* splitmix64 */
uint64_t world_random(struct world *world)
{
    uint64_t x = world->chance += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t world_below(struct world *world, uint64_t limit)
{
    return world_random(world) % limit;
}

bool world_chance(struct world *world, unsigned of_10000)
{
    return world_below(world, 10000) < of_10000;
}

void world_say(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (!world->is_loud)
        return;
    printf("%9.3f ms  ", (double)world->now_us / 1000);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

void world_expect(struct world *world, bool holds, const char *format, ...)
{
    va_list arguments;

    if (holds || world->is_wrong)
        return;
    world->is_wrong = true;
    va_start(arguments, format);
    vsnprintf(world->fault, sizeof(world->fault), format, arguments);
    va_end(arguments);
    world_say(world, "WRONG: %s", world->fault);
}
