#include "api/file_lane.h"

#include "base/owner.h"

static void start(struct file_lane *lane);

static void finish(struct file_work *work)
{
    struct file_lane *lane = work->lane;

    lane->running--;
    work->done(work); /* May free or add it again. */
    start(lane);
}

static void run_pooled(struct loop_work *pooled)
{
    struct file_work *work = OWNER(pooled, struct file_work, pooled);

    work->run(work);
}

static void pooled_done(struct loop_work *pooled)
{
    finish(OWNER(pooled, struct file_work, pooled));
}

static void start(struct file_lane *lane)
{
    while (lane->first != NULL && lane->running < FILE_LANE_WIDTH) {
        struct file_work *work = lane->first;

        lane->first = work->next;
        lane->running++;
        work->pooled =
            (struct loop_work){.run = run_pooled, .done = pooled_done};
        loop_must_work(lane->loop, &work->pooled);
    }
}

void file_lane_add(struct file_lane *lane, struct file_work *work)
{
    work->lane = lane;
    work->next = NULL;
    if (lane->first != NULL)
        lane->last->next = work;
    else
        lane->first = work;
    lane->last = work;
    start(lane);
}

bool file_lane_is_idle(const struct file_lane *lane)
{
    return lane->running == 0;
}
