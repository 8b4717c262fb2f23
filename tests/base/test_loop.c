#include "base/loop.h"

#include "base/owner.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>

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
    struct relay relay = {.task.run = run_task, .work = {run_work, work_done}};

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
