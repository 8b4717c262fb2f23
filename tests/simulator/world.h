/*
 * world - simulated time, chance and events of one run, all from one seed.
 *
 * One thread runs the events in the order of their time, and what happens at
 * the same time in the order it was planned. Nothing else decides anything, so
 * the same seed gives the same run to the byte, and world_say() its transcript.
 */
#ifndef KIST_TESTS_SIMULATOR_WORLD_H
#define KIST_TESTS_SIMULATOR_WORLD_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
    uint64_t due_us;
    uint64_t serial;
    size_t at; /* Its place in the heap. */
    void (*happen)(struct event *event);
};

struct world {
    uint64_t seed;
    uint64_t chance; /* State of the random numbers. */
    uint64_t now_us;
    uint64_t serial;
    struct event **heap;
    size_t count, capacity;
    bool is_loud; /* Say what happens. */
    bool is_wrong;
    char fault[512]; /* The first thing that was wrong. */
};

void world_init(struct world *world, uint64_t seed, bool is_loud);
void world_clear(struct world *world); /* Events are their owners'. */

/* An event lives in the struct it is about; it is planned at most once. */
void world_plan(struct world *world, struct event *event, uint64_t delay_us);
void world_cancel(struct world *world, struct event *event);
bool event_is_planned(const struct event *event);

/* Events up to then, or until something is wrong. */
void world_run(struct world *world, uint64_t until_us);

uint64_t world_random(struct world *world);
uint64_t world_below(struct world *world, uint64_t limit); /* Uniform. */
bool world_chance(struct world *world, unsigned of_10000);

void world_say(struct world *world, const char *format, ...) KIST_PRINTF(2, 3);
void world_expect(struct world *world, bool holds, const char *format, ...)
    KIST_PRINTF(3, 4);

#endif
