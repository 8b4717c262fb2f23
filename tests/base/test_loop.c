#include "base/loop.h"

#include "base/owner.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

struct relay {
    struct loop_task task;
    struct loop_work work;
    struct loop_timer *timer;
    struct loop *loop;
    int tasks, works, turns;
};

static void on_timer(void *ctx)
{
    struct relay *relay = ctx;

    loop_timer_close(relay->timer);
    loop_stop(relay->loop);
}

static void run_work(struct loop_work *work)
{
    OWNER(work, struct relay, work)->works++;
}

static void work_done(struct loop_work *work)
{
    struct relay *relay = OWNER(work, struct relay, work);

    cr_assert(eq(int, relay->works, 1));
    cr_assert(loop_timer_open(relay->loop, on_timer, relay, &relay->timer) ==
              KIST_OK);
    loop_timer_set(relay->timer, 1);
}

static void run_task(struct loop_task *task)
{
    struct relay *relay = OWNER(task, struct relay, task);

    cr_assert(loop_is_here(relay->loop));
    if (++relay->tasks < 100)
        loop_post(relay->loop, task);
    else
        cr_assert(loop_work(relay->loop, &relay->work) == KIST_OK);
}

static void on_turn_end(void *ctx)
{
    ((struct relay *)ctx)->turns++;
}

Test(loop, tasks_work_and_timers_run_on_the_loop_and_it_stops, .timeout = 10)
{
    struct relay relay = {.task.run = run_task,
                          .work = {.run = run_work, .done = work_done}};

    cr_assert(loop_open("test", &relay.loop) == KIST_OK);
    loop_on_turn_end(relay.loop, on_turn_end, &relay);
    cr_assert(loop_start(relay.loop) == KIST_OK);
    cr_assert(not(loop_is_here(relay.loop)));
    loop_post(relay.loop, &relay.task);
    loop_close(relay.loop);

    cr_assert(eq(int, relay.tasks, 100));
    cr_assert(eq(int, relay.works, 1));
    cr_assert(ge(int, relay.turns, 100));
}

enum { MORE = 2 };

/* As much work as the loop takes, all of it waiting, and some more. */
struct crowd {
    struct loop_task task;
    struct loop_work works[LOOP_WORK_LIMIT + MORE];
    struct loop *loop;
    sem_t go;
    size_t done;
};

static struct crowd *crowd; /* A test is a process of its own. */

static void wait_for_go(struct loop_work *work)
{
    (void)work;
    while (sem_wait(&crowd->go) != 0)
        ;
}

static void one_done(struct loop_work *work)
{
    (void)work;
    if (++crowd->done == LOOP_WORK_LIMIT + MORE)
        loop_stop(crowd->loop);
}

static void fill(struct loop_task *task)
{
    (void)task;
    for (size_t i = 0; i < LOOP_WORK_LIMIT; i++)
        cr_assert(loop_work(crowd->loop, &crowd->works[i]) == KIST_OK);
    cr_assert(loop_work(crowd->loop, &crowd->works[LOOP_WORK_LIMIT]) ==
              KIST_BUSY);
    for (size_t i = LOOP_WORK_LIMIT; i < LOOP_WORK_LIMIT + MORE; i++)
        loop_must_work(crowd->loop, &crowd->works[i]);
    cr_assert(eq(sz, crowd->done, 0));
    for (size_t i = 0; i < LOOP_WORK_LIMIT + MORE; i++)
        sem_post(&crowd->go);
}

Test(loop, work_that_must_be_done_is_taken_beyond_the_limit, .timeout = 10)
{
    crowd = calloc(1, sizeof(*crowd));
    cr_assert(crowd != NULL);
    sem_init(&crowd->go, 0, 0);
    crowd->task.run = fill;
    for (size_t i = 0; i < LOOP_WORK_LIMIT + MORE; i++)
        crowd->works[i] =
            (struct loop_work){.run = wait_for_go, .done = one_done};
    cr_assert(loop_open("test", &crowd->loop) == KIST_OK);
    loop_post(crowd->loop, &crowd->task);
    loop_run(crowd->loop);
    cr_expect(eq(sz, crowd->done, LOOP_WORK_LIMIT + MORE));
    loop_close(crowd->loop);
    free(crowd);
}
