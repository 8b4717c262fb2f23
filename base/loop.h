/*
 * loop - one thread, its timers, descriptors and mailbox (libuv inside).
 *
 * Everything that belongs to a loop is touched on its thread only; other
 * threads reach it with loop_post(). A turn is: timers, then descriptors and
 * mailbox, then the turn-end hook, then sleep. What a turn collects is handed
 * on once, in the hook.
 *
 * Threads: loop_post() and loop_stop() may be called from any thread, all
 * other calls on the loop's own thread or before it runs.
 */
#ifndef KIST_BASE_LOOP_H
#define KIST_BASE_LOOP_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* The caller ends *out_loop with loop_close(). name: at most 15 characters. */
KIST_CHECKED enum kist_status loop_open(const char *name,
                                        struct loop **out_loop);

/* Run on a new thread of that name, or on the calling one, until stopped. */
KIST_CHECKED enum kist_status loop_start(struct loop *loop);
void loop_run(struct loop *loop);

/* Ends the run after the current turn. Tasks posted before it still run. */
void loop_stop(struct loop *loop);

/*
 * Waits for the thread that loop_start() made. After it, who posts to the loop
 * can be told to stop doing so, before loop_close() takes the loop away. NULL
 * is ok.
 */
void loop_join(struct loop *loop);

/* Joins. Every timer and watch was closed before. NULL is ok. */
void loop_close(struct loop *loop);

/* True on the thread that runs the loop. */
bool loop_is_here(const struct loop *loop);

/* Called at the end of every turn, before sleeping. At most one hook. */
void loop_on_turn_end(struct loop *loop, void (*hook)(void *ctx), void *ctx);

/*
 * A task lives inside the struct it is about; it is kept until it runs and
 * may then be posted again. Tasks of one thread run in the order posted.
 */
struct loop_task {
    struct loop_task *next;
    void (*run)(struct loop_task *task);
};

void loop_post(struct loop *loop, struct loop_task *task);

struct loop_timer;

KIST_CHECKED enum kist_status loop_timer_open(struct loop *loop,
                                              void (*fire)(void *ctx),
                                              void *ctx,
                                              struct loop_timer **out_timer);
void loop_timer_set(struct loop_timer *timer, uint64_t delay_ms); /* Once. */
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_close(struct loop_timer *timer); /* NULL is ok. */

enum loop_readiness {
    LOOP_READABLE = 1,
    LOOP_WRITABLE = 2,
};

struct loop_watch;

/* ready gets an or of loop_readiness. The descriptor stays the caller's. */
KIST_CHECKED enum kist_status
loop_watch_open(struct loop *loop, int descriptor, unsigned readiness,
                void (*ready)(void *ctx, unsigned readiness), void *ctx,
                struct loop_watch **out_watch);
/* From now on for these. KIST_IO: it is not watched any more. */
KIST_CHECKED enum kist_status loop_watch_set(struct loop_watch *watch,
                                             unsigned readiness);
void loop_watch_close(struct loop_watch *watch); /* NULL is ok. */

enum { LOOP_JOB_SIZE = 128 }; /* What libuv keeps of a piece of work. */

/*
 * Work that may block: run on a pool thread, then done on the loop. Kept
 * until done was called, and may then be given again.
 */
struct loop_work {
    void (*run)(struct loop_work *work);
    void (*done)(struct loop_work *work);

    /* The loop's own: no work needs memory of its own to be taken. */
    struct loop *loop;
    _Alignas(max_align_t) char job[LOOP_JOB_SIZE];
};

#define LOOP_WORK_LIMIT 1024

/*
 * How many threads the pool of all loops has, before the first of them opens
 * and while the process has no other thread; it stays as it is where
 * UV_THREADPOOL_SIZE is set already.
 */
void loop_pool_size(size_t threads);

/* KIST_BUSY: too much work of this loop is waiting. */
KIST_CHECKED enum kist_status loop_work(struct loop *loop,
                                        struct loop_work *work);

/*
 * The same beyond that limit: for what must be done, like cleaning up, and is
 * bounded by something else.
 */
void loop_must_work(struct loop *loop, struct loop_work *work);

#endif
