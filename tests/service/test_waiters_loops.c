/* Waiters on several loops: who is woken, and that none is forgotten. */
#include "service/waiters.h"

#include "base/loop.h"
#include "base/owner.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

TestSuite(waiters_loops, .timeout = 120);

enum { LIMIT = 8 };

/* One loop with its room and what runs on it, in order. */
struct place {
    struct waiters *waiters;
    struct loop *loop;
    struct waiters_room *room;
    struct loop_task task;
};

/* A waiter that counts. */
struct sleeper {
    struct waiter waiter;
    struct place *place;
    unsigned wakes;
    bool stays;
};

static void on_wake(struct waiter *waiter)
{
    struct sleeper *sleeper = OWNER(waiter, struct sleeper, waiter);

    sleeper->wakes++;
    if (!sleeper->stays)
        waiters_remove(waiter);
}

static struct sleeper sleeper_at(struct place *place)
{
    return (struct sleeper){.waiter.wake = on_wake, .place = place};
}

static enum kist_status sleep_on(struct sleeper *sleeper, const char *key)
{
    return waiters_add(sleeper->place->room, &sleeper->waiter, view_of(key));
}

static void place_open(struct place *place, struct waiters *waiters)
{
    place->waiters = waiters;
    cr_assert(loop_open("place", &place->loop) == KIST_OK);
    cr_assert(waiters_room_open(waiters, place->loop, &place->room) == KIST_OK);
}

static void place_close(struct place *place)
{
    waiters_room_close(place->room);
    loop_close(place->loop);
}

static int64_t waiting(const struct waiters *waiters)
{
    return gauge_read(waiters_count(waiters));
}

/* What was posted before runs, then the loop ends; it runs once only. */
static void settle(struct place *place)
{
    loop_stop(place->loop);
    loop_run(place->loop);
}

Test(waiters_loops, a_change_wakes_all_who_wait_for_its_key_on_every_loop)
{
    struct waiters *waiters;
    struct place here = {0}, there = {0};

    cr_assert(waiters_open(LIMIT, &waiters) == KIST_OK);
    place_open(&here, waiters);
    place_open(&there, waiters);
    struct sleeper one = sleeper_at(&here), two = sleeper_at(&here),
                   three = sleeper_at(&there);

    cr_assert(sleep_on(&one, "a") == KIST_OK);
    cr_assert(sleep_on(&two, "a") == KIST_OK);
    cr_assert(sleep_on(&three, "a") == KIST_OK);
    waiters_changed(waiters, VIEW_LITERAL("a"));
    cr_expect(eq(uint, one.wakes, 0), "only ever on its loop");
    settle(&here);
    settle(&there);
    cr_expect(eq(uint, one.wakes, 1));
    cr_expect(eq(uint, two.wakes, 1));
    cr_expect(eq(uint, three.wakes, 1));
    cr_expect(eq(i64, waiting(waiters), 0));
    place_close(&here);
    place_close(&there);
    waiters_close(waiters);
}

/* Keys share slots, so one key may wake another: but most do not. */
Test(waiters_loops, few_are_woken_for_another_keys_sake)
{
    struct waiters *waiters;
    struct place here = {0};
    struct sleeper sleepers[100];
    unsigned woken = 0;

    cr_assert(waiters_open(100, &waiters) == KIST_OK);
    place_open(&here, waiters);
    for (unsigned i = 0; i < 100; i++) {
        char key[2] = {(char)(' ' + i), '\0'};

        sleepers[i] = sleeper_at(&here);
        sleepers[i].stays = true;
        cr_assert(sleep_on(&sleepers[i], key) == KIST_OK);
    }
    waiters_changed(waiters, VIEW_LITERAL("!"));
    settle(&here);
    cr_expect(eq(uint, sleepers[1].wakes, 1));
    for (unsigned i = 0; i < 100; i++) {
        woken += sleepers[i].wakes;
        waiters_remove(&sleepers[i].waiter);
    }
    cr_expect(lt(uint, woken, 10));
    place_close(&here);
    waiters_close(waiters);
}

Test(waiters_loops, the_limit_counts_all_loops_and_is_given_back)
{
    struct waiters *waiters;
    struct place here = {0}, there = {0};
    struct sleeper sleepers[LIMIT + 1];

    cr_assert(waiters_open(LIMIT, &waiters) == KIST_OK);
    place_open(&here, waiters);
    place_open(&there, waiters);
    for (unsigned i = 0; i < LIMIT; i++) {
        sleepers[i] = sleeper_at(i % 2 == 0 ? &here : &there);
        cr_expect(sleep_on(&sleepers[i], "a") == KIST_OK, "%u", i);
    }
    sleepers[LIMIT] = sleeper_at(&here);
    cr_expect(eq(int, sleep_on(&sleepers[LIMIT], "b"), KIST_BUSY));
    cr_expect(eq(i64, waiting(waiters), LIMIT));

    waiters_remove(&sleepers[1].waiter);
    cr_expect(eq(int, sleep_on(&sleepers[LIMIT], "b"), KIST_OK));
    for (unsigned i = 0; i <= LIMIT; i++)
        if (i != 1)
            waiters_remove(&sleepers[i].waiter);
    cr_expect(eq(i64, waiting(waiters), 0));
    place_close(&here);
    place_close(&there);
    waiters_close(waiters);
}

Test(waiters_loops, whoever_leaves_is_not_woken_and_the_others_are)
{
    for (unsigned leaver = 0; leaver < 3; leaver++) {
        struct waiters *waiters;
        struct place here = {0};
        struct sleeper sleepers[3];

        cr_assert(waiters_open(LIMIT, &waiters) == KIST_OK);
        place_open(&here, waiters);
        for (unsigned i = 0; i < 3; i++) {
            sleepers[i] = sleeper_at(&here);
            cr_assert(sleep_on(&sleepers[i], "a") == KIST_OK);
        }
        waiters_changed(waiters, VIEW_LITERAL("a"));
        waiters_remove(&sleepers[leaver].waiter);
        settle(&here);
        for (unsigned i = 0; i < 3; i++)
            cr_expect(eq(uint, sleepers[i].wakes, i != leaver), "%u", i);
        cr_expect(eq(i64, waiting(waiters), 0));
        place_close(&here);
        waiters_close(waiters);
    }
}

/* Woken, a request may look, find nothing new and wait again at once. */
static void wait_again(struct waiter *waiter)
{
    struct sleeper *sleeper = OWNER(waiter, struct sleeper, waiter);

    sleeper->wakes++;
    waiters_remove(waiter);
    cr_assert(sleep_on(sleeper, "a") == KIST_OK);
}

Test(waiters_loops, one_that_waits_again_within_its_wake_is_woken_once_a_change)
{
    struct waiters *waiters;
    struct place here = {0};

    cr_assert(waiters_open(LIMIT, &waiters) == KIST_OK);
    place_open(&here, waiters);
    struct sleeper one = sleeper_at(&here), two = sleeper_at(&here);

    one.waiter.wake = two.waiter.wake = wait_again;
    cr_assert(sleep_on(&one, "a") == KIST_OK);
    cr_assert(sleep_on(&two, "a") == KIST_OK);
    waiters_changed(waiters, VIEW_LITERAL("a"));
    settle(&here);
    cr_expect(eq(uint, one.wakes, 1));
    cr_expect(eq(uint, two.wakes, 1));
    cr_expect(eq(i64, waiting(waiters), 2));
    waiters_remove(&one.waiter);
    waiters_remove(&two.waiter);
    place_close(&here);
    waiters_close(waiters);
}

/*
 * No wake-up is lost. Every loop follows a value that another thread raises
 * step by step, each step only once all loops have seen the one before: with
 * one wake-up lost, nobody would ever go on.
 */
enum { LOOPS = 2, STEPS = 20000 };

struct race {
    struct waiters *waiters;
    atomic_uint value;
    atomic_uint seen[LOOPS];
};

struct follower {
    struct place place;
    struct waiter waiter;
    struct race *race;
    unsigned index, seen;
};

/* As a long poll does: register first, only then look. */
static void follow(struct follower *follower)
{
    struct race *race = follower->race;

    for (;;) {
        if (waiters_add(follower->place.room, &follower->waiter,
                        VIEW_LITERAL("a")) != KIST_OK)
            abort();
        unsigned value = atomic_load(&race->value);

        if (value == follower->seen)
            return; /* Nothing new: the next change wakes. */
        waiters_remove(&follower->waiter);
        follower->seen = value;
        atomic_store(&race->seen[follower->index], value);
        if (value == STEPS) {
            loop_stop(follower->place.loop);
            return;
        }
    }
}

static void woken(struct waiter *waiter)
{
    struct follower *follower = OWNER(waiter, struct follower, waiter);

    waiters_remove(waiter);
    follow(follower);
}

static void begin(struct loop_task *task)
{
    follow(OWNER(task, struct follower, place.task));
}

static void raise_value(struct race *race, unsigned value)
{
    atomic_store(&race->value, value);
    waiters_changed(race->waiters, VIEW_LITERAL("a"));
    /* Without sleeping, so that the next step comes at the worst moment. */
    for (unsigned i = 0; i < LOOPS; i++)
        while (atomic_load(&race->seen[i]) < value)
            sched_yield();
}

Test(waiters_loops, no_wake_up_is_lost_in_twenty_thousand_races)
{
    struct race race = {0};
    struct follower followers[LOOPS] = {0};

    cr_assert(waiters_open(LIMIT, &race.waiters) == KIST_OK);
    for (unsigned i = 0; i < LOOPS; i++) {
        followers[i].race = &race;
        followers[i].index = i;
        followers[i].waiter.wake = woken;
        place_open(&followers[i].place, race.waiters);
        followers[i].place.task.run = begin;
        loop_post(followers[i].place.loop, &followers[i].place.task);
        cr_assert(loop_start(followers[i].place.loop) == KIST_OK);
    }
    for (unsigned value = 1; value <= STEPS; value++)
        raise_value(&race, value);
    for (unsigned i = 0; i < LOOPS; i++) {
        loop_close(followers[i].place.loop);
        waiters_room_close(followers[i].place.room);
    }
    cr_expect(eq(i64, waiting(race.waiters), 0));
    waiters_close(race.waiters);
}
