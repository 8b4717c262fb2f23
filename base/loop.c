/*
 * A thin skin over libuv: handles that libuv wants to free later are wrapped
 * in heap structs that free themselves in its close callback, and the mailbox
 * is a locked list plus one uv_async, so a burst of posts costs one wake-up.
 */
#include "base/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct loop {
    /* The loop's own thread only. */
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t turn_end;
    void (*hook)(void *ctx);
    void *hook_ctx;
    size_t working;

    /* Set before the run, then read-only. */
    char name[16];
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* Guards the fields below. */
    struct loop_task *first;
    struct loop_task **last;
    bool stopping;
    pthread_t runner;
    bool running;
};

static struct loop_task *take_tasks(struct loop *loop, bool *out_stopping)
{
    struct loop_task *first;

    pthread_mutex_lock(&loop->lock);
    first = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    *out_stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    return first;
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    bool stopping;
    struct loop_task *task = take_tasks(loop, &stopping);

    while (task != NULL) {
        struct loop_task *next = task->next;

        task->run(task); /* May post itself again or free its owner. */
        task = next;
    }
    if (stopping)
        uv_stop(&loop->uv);
}

static void on_turn_end(uv_prepare_t *prepare)
{
    struct loop *loop = prepare->data;

    if (loop->hook != NULL)
        loop->hook(loop->hook_ctx);
}

enum kist_status loop_open(const char *name, struct loop **out_loop)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        return KIST_NO_MEMORY;
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return KIST_IO;
    }
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) {
        uv_loop_close(&loop->uv);
        free(loop);
        return KIST_IO;
    }
    loop->wake.data = loop;
    uv_prepare_init(&loop->uv, &loop->turn_end);
    loop->turn_end.data = loop;
    uv_prepare_start(&loop->turn_end, on_turn_end);
    pthread_mutex_init(&loop->lock, NULL);
    loop->last = &loop->first;
    assert(strlen(name) < sizeof(loop->name));
    strcpy(loop->name, name);
    *out_loop = loop;
    return KIST_OK;
}

void loop_run(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->runner = pthread_self();
    loop->running = true;
    pthread_mutex_unlock(&loop->lock);

    uv_run(&loop->uv, UV_RUN_DEFAULT);

    pthread_mutex_lock(&loop->lock);
    loop->running = false;
    pthread_mutex_unlock(&loop->lock);
}

static void *run_thread(void *ctx)
{
    struct loop *loop = ctx;

    pthread_setname_np(pthread_self(), loop->name);
    loop_run(loop);
    return NULL;
}

enum kist_status loop_start(struct loop *loop)
{
    if (pthread_create(&loop->thread, NULL, run_thread, loop) != 0)
        return KIST_IO;
    loop->started = true;
    return KIST_OK;
}

void loop_stop(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    pthread_mutex_unlock(&loop->lock);
    uv_async_send(&loop->wake);
}

void loop_join(struct loop *loop)
{
    if (loop == NULL || !loop->started)
        return;
    pthread_join(loop->thread, NULL);
    loop->started = false;
}

void loop_close(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_join(loop);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->turn_end, NULL);

    /* Lets close callbacks and unfinished pool work run to their end. */
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&loop->uv);
    assert(rc == 0); /* Else somebody left a timer or a watch open. */
    (void)rc;
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

bool loop_is_here(const struct loop *loop)
{
    struct loop *unlocked = (struct loop *)loop;
    bool here;

    pthread_mutex_lock(&unlocked->lock);
    here = loop->running && pthread_equal(loop->runner, pthread_self());
    pthread_mutex_unlock(&unlocked->lock);
    return here;
}

void loop_on_turn_end(struct loop *loop, void (*hook)(void *ctx), void *ctx)
{
    loop->hook = hook;
    loop->hook_ctx = ctx;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
    bool first;

    pthread_mutex_lock(&loop->lock);
    first = loop->first == NULL;
    task->next = NULL;
    *loop->last = task;
    loop->last = &task->next;
    pthread_mutex_unlock(&loop->lock);
    if (first)
        uv_async_send(&loop->wake);
}

struct loop_timer {
    uv_timer_t uv;
    void (*fire)(void *ctx);
    void *ctx;
};

static void on_timer(uv_timer_t *uv)
{
    struct loop_timer *timer = uv->data;

    timer->fire(timer->ctx);
}

enum kist_status loop_timer_open(struct loop *loop, void (*fire)(void *ctx),
                                 void *ctx, struct loop_timer **out_timer)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));

    if (timer == NULL)
        return KIST_NO_MEMORY;
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->fire = fire;
    timer->ctx = ctx;
    *out_timer = timer;
    return KIST_OK;
}

void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms)
{
    uv_timer_start(&timer->uv, on_timer, delay_ms, 0);
}

void loop_timer_stop(struct loop_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_timer_close(struct loop_timer *timer)
{
    if (timer != NULL)
        uv_close((uv_handle_t *)&timer->uv, free_handle);
}

struct loop_watch {
    uv_poll_t uv;
    void (*ready)(void *ctx, unsigned readiness);
    void *ctx;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct loop_watch *watch = uv->data;
    unsigned readiness = 0;

    /* An error is reported as ready: the next read or write finds it. */
    if (status != 0 || (events & UV_READABLE) != 0)
        readiness |= LOOP_READABLE;
    if (status != 0 || (events & UV_WRITABLE) != 0)
        readiness |= LOOP_WRITABLE;
    watch->ready(watch->ctx, readiness);
}

enum kist_status loop_watch_set(struct loop_watch *watch, unsigned readiness)
{
    int events = 0;

    if ((readiness & LOOP_READABLE) != 0)
        events |= UV_READABLE;
    if ((readiness & LOOP_WRITABLE) != 0)
        events |= UV_WRITABLE;
    return uv_poll_start(&watch->uv, events, on_poll) == 0 ? KIST_OK : KIST_IO;
}

enum kist_status loop_watch_open(struct loop *loop, int descriptor,
                                 unsigned readiness,
                                 void (*ready)(void *ctx, unsigned readiness),
                                 void *ctx, struct loop_watch **out_watch)
{
    struct loop_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return KIST_NO_MEMORY;
    if (uv_poll_init(&loop->uv, &watch->uv, descriptor) != 0) {
        free(watch);
        return KIST_IO;
    }
    watch->uv.data = watch;
    watch->ready = ready;
    watch->ctx = ctx;
    if (loop_watch_set(watch, readiness) != KIST_OK) {
        uv_close((uv_handle_t *)&watch->uv, free_handle);
        return KIST_IO;
    }
    *out_watch = watch;
    return KIST_OK;
}

void loop_watch_close(struct loop_watch *watch)
{
    if (watch != NULL)
        uv_close((uv_handle_t *)&watch->uv, free_handle);
}

static_assert(sizeof(uv_work_t) <= LOOP_JOB_SIZE, "it lies in a loop_work");

static void run_job(uv_work_t *job)
{
    struct loop_work *work = job->data;

    work->run(work);
}

static void finish_job(uv_work_t *job, int status)
{
    struct loop_work *work = job->data;

    assert(status == 0); /* Nothing here cancels. */
    (void)status;
    work->loop->working--;
    work->done(work); /* May free it, or give it again. */
}

void loop_pool_size(size_t threads)
{
    char text[32];

    snprintf(text, sizeof(text), "%zu", threads);
    /* No memory: libuv's own number serves as well, a little narrower. */
    if (setenv("UV_THREADPOOL_SIZE", text, 0) != 0)
        return;
}

enum kist_status loop_work(struct loop *loop, struct loop_work *work)
{
    if (loop->working >= LOOP_WORK_LIMIT)
        return KIST_BUSY;
    loop_must_work(loop, work);
    return KIST_OK;
}

void loop_must_work(struct loop *loop, struct loop_work *work)
{
    uv_work_t *job = (uv_work_t *)(void *)work->job;

    job->data = work;
    work->loop = loop;
    loop->working++;
    int rc = uv_queue_work(&loop->uv, job, run_job, finish_job);
    assert(rc == 0); /* Fails only without a callback. */
    (void)rc;
}
