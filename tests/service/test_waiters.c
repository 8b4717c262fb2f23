#include "service/waiters.h"

#include "base/owner.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { CROWD = 3 * WAITERS_A_TURN + 5 };

struct reader {
    struct waiter waiter;
    unsigned looks;
    bool waits;
};

/* A loop with one room, run for a hundred turns. */
struct scene {
    struct loop *loop;
    struct waiters *waiters;
    struct waiters_room *room;
    struct loop_task turn;
    unsigned turns;
    struct reader readers[CROWD];
    void (*looked)(struct reader *reader); /* NULL: nothing happens. */

    unsigned turns_with_looks, looks, looks_this_turn, most_looks_a_turn;
};

static struct scene scene; /* A test is a process of its own. */

static const struct view key = {"a", 1};

static void on_wake(struct waiter *waiter)
{
    struct reader *reader = OWNER(waiter, struct reader, waiter);

    reader->looks++;
    scene.looks++;
    scene.looks_this_turn++;
    if (scene.looked != NULL)
        scene.looked(reader);
}

static void on_turn_end(void *ctx)
{
    (void)ctx;
    if (scene.looks_this_turn > scene.most_looks_a_turn)
        scene.most_looks_a_turn = scene.looks_this_turn;
    scene.turns_with_looks += scene.looks_this_turn > 0;
    scene.looks_this_turn = 0;
}

/* The room posts itself at once, so it is through long before. */
static void count_turn(struct loop_task *turn)
{
    if (++scene.turns < 100)
        loop_post(scene.loop, turn);
    else
        loop_stop(scene.loop);
}

static void add(struct reader *reader)
{
    cr_assert(waiters_add(scene.room, &reader->waiter, key) == KIST_OK);
    reader->waits = true;
}

static void drop(struct reader *reader)
{
    waiters_remove(&reader->waiter);
    reader->waits = false;
}

static void set_up(void)
{
    cr_assert(loop_open("test", &scene.loop) == KIST_OK);
    cr_assert(waiters_open(CROWD, &scene.waiters) == KIST_OK);
    cr_assert(waiters_room_open(scene.waiters, scene.loop, &scene.room) ==
              KIST_OK);
    scene.turn.run = count_turn;
    loop_on_turn_end(scene.loop, on_turn_end, NULL);
    for (size_t i = 0; i < CROWD; i++) {
        scene.readers[i].waiter.wake = on_wake;
        add(&scene.readers[i]);
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < CROWD; i++)
        if (scene.readers[i].waits)
            drop(&scene.readers[i]);
    waiters_room_close(scene.room);
    waiters_close(scene.waiters);
    loop_close(scene.loop);
}

TestSuite(waiters, .init = set_up, .fini = tear_down, .timeout = 10);

static void change_and_run(void)
{
    waiters_changed(scene.waiters, key);
    loop_post(scene.loop, &scene.turn);
    loop_run(scene.loop);
}

Test(waiters, a_change_wakes_everybody_a_few_in_a_turn)
{
    change_and_run();
    for (size_t i = 0; i < CROWD; i++)
        cr_expect(eq(uint, scene.readers[i].looks, 1), "reader %zu", i);
    cr_expect(eq(uint, scene.most_looks_a_turn, WAITERS_A_TURN));
    cr_expect(eq(uint, scene.turns_with_looks, 4));
}

Test(waiters, two_changes_before_a_turn_wake_once)
{
    waiters_changed(scene.waiters, key);
    change_and_run();
    cr_expect(eq(uint, scene.looks, CROWD));
}

static void leave(struct reader *reader)
{
    drop(reader);
}

Test(waiters, who_leaves_when_woken_is_woken_once)
{
    scene.looked = leave;
    change_and_run();
    cr_expect(eq(uint, scene.looks, CROWD));
    cr_expect(eq(i64, gauge_read(waiters_count(scene.waiters)), 0));
}

/* Whatever the order of waking is, the next ones are among them. */
static void everybody_leaves(struct reader *reader)
{
    (void)reader;
    for (size_t i = 0; i < CROWD; i++)
        if (scene.readers[i].waits)
            drop(&scene.readers[i]);
}

Test(waiters, who_left_in_between_is_not_woken)
{
    scene.looked = everybody_leaves;
    change_and_run();
    cr_expect(eq(uint, scene.looks, 1));
}

/* At the last of the first turn: the others are still to come. */
static void change_again(struct reader *reader)
{
    (void)reader;
    if (scene.looks == WAITERS_A_TURN)
        waiters_changed(scene.waiters, key);
}

Test(waiters, a_change_in_between_wakes_those_again_who_had_looked)
{
    scene.looked = change_again;
    change_and_run();
    for (size_t i = 0; i < CROWD; i++)
        cr_expect(ge(uint, scene.readers[i].looks, 1), "reader %zu", i);
    cr_expect(eq(uint, scene.looks, 2 * CROWD));
    cr_expect(le(uint, scene.most_looks_a_turn, WAITERS_A_TURN));
}

/* Back at once, as a client that asks again on its connection. */
static void leave_and_return(struct reader *reader)
{
    drop(reader);
    add(reader);
}

Test(waiters, who_comes_in_between_is_not_woken_by_the_change_before)
{
    scene.looked = leave_and_return;
    change_and_run();
    cr_expect(eq(uint, scene.looks, CROWD));
}
