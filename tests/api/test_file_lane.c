#include "api/file_lane.h"

#include "base/owner.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <semaphore.h>
#include <stdatomic.h>

/* A loop whose share of the pool is taken, and a lane with work all the same.
 */
enum { FILES = 5 };

static struct {
    struct loop_task task;
    struct loop *loop;
    struct loop_work crowd[LOOP_WORK_LIMIT];
    sem_t go;
    struct file_lane lane;
    struct file_work files[FILES];
    size_t crowd_done, files_done;
    atomic_size_t running, most;
} scene;

static void wait_for_go(struct loop_work *work)
{
    (void)work;
    while (sem_wait(&scene.go) != 0)
        ;
}

static void stop_if_all_done(void)
{
    if (scene.crowd_done == LOOP_WORK_LIMIT && scene.files_done == FILES)
        loop_stop(scene.loop);
}

static void one_done(struct loop_work *work)
{
    (void)work;
    scene.crowd_done++;
    stop_if_all_done();
}

static void run_file(struct file_work *file)
{
    size_t running = atomic_fetch_add(&scene.running, 1) + 1;

    (void)file;
    cr_expect(not(loop_is_here(scene.loop)), "the loop does the work itself");
    if (running > atomic_load(&scene.most))
        atomic_store(&scene.most, running);
    atomic_fetch_sub(&scene.running, 1);
}

static void file_done(struct file_work *file)
{
    (void)file;
    cr_expect(loop_is_here(scene.loop));
    scene.files_done++;
    stop_if_all_done();
}

static void begin(struct loop_task *task)
{
    (void)task;
    for (size_t i = 0; i < LOOP_WORK_LIMIT; i++)
        cr_assert(loop_work(scene.loop, &scene.crowd[i]) == KIST_OK);
    for (size_t i = 0; i < FILES; i++)
        file_lane_add(&scene.lane, &scene.files[i]);
    cr_expect(eq(sz, scene.files_done, 0));
    for (size_t i = 0; i < LOOP_WORK_LIMIT; i++)
        sem_post(&scene.go);
}

Test(file_lane, a_full_pool_delays_files_and_does_not_stop_the_loop,
     .timeout = 10)
{
    sem_init(&scene.go, 0, 0);
    for (size_t i = 0; i < LOOP_WORK_LIMIT; i++)
        scene.crowd[i] =
            (struct loop_work){.run = wait_for_go, .done = one_done};
    for (size_t i = 0; i < FILES; i++)
        scene.files[i] = (struct file_work){.run = run_file, .done = file_done};
    cr_assert(loop_open("test", &scene.loop) == KIST_OK);
    scene.lane.loop = scene.loop;
    scene.task.run = begin;
    loop_post(scene.loop, &scene.task);
    loop_run(scene.loop);

    cr_expect(eq(sz, scene.files_done, FILES));
    cr_expect(le(sz, atomic_load(&scene.most), FILE_LANE_WIDTH));
    cr_expect(file_lane_is_idle(&scene.lane));
    loop_close(scene.loop);
}
