#include "api/wait.h"

#include "api/api.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/owner.h"
#include "service/waiters.h"
#include "storage/redis_watcher.h"

#include <stdlib.h>

struct wait {
    struct request *request;
    const struct wait_rule *rule;
    struct waiter waiter;
    struct redis_watch watch; /* If the records are in Redis. */
    struct loop_timer *timer;
    uint64_t deadline_ns;
};

/* Unless it is due itself, the timer goes off when the value may expire. */
static void set_timer(struct wait *wait, uint64_t next_ms)
{
    uint64_t now_ns = clock_mono_ns(), now_ms = clock_wall_ms();
    uint64_t left_ms = wait->deadline_ns > now_ns
                           ? (wait->deadline_ns - now_ns) / 1000000 + 1
                           : 0;

    if (next_ms > now_ms && next_ms - now_ms < left_ms)
        left_ms = next_ms - now_ms;
    loop_timer_set(wait->timer, left_ms);
}

static void leave(struct wait *wait)
{
    const struct api_redis *redis = wait->request->api->redis;

    if (redis != NULL)
        redis->unwatch(redis->ctx, &wait->watch);
    waiters_remove(&wait->waiter);
    loop_timer_close(wait->timer);
    wait->timer = NULL;
}

static void look(struct wait *wait)
{
    enum wait_time time =
        clock_mono_ns() < wait->deadline_ns ? WAIT_GOES_ON : WAIT_IS_OVER;
    uint64_t next_ms = 0;

    /* The answered request lives on until libmicrohttpd runs. */
    if (wait->rule->look(wait->request, time, &next_ms))
        leave(wait);
    else
        set_timer(wait, next_ms);
}

static void on_wake(struct waiter *waiter)
{
    look(OWNER(waiter, struct wait, waiter));
}

static void on_timer(void *ctx)
{
    look(ctx);
}

static void abandon(struct request *request)
{
    leave(request->work);
}

bool wait_has_changed(const struct request *request)
{
    const struct wait *wait = request->work;

    return atomic_load(&wait->watch.changed);
}

static void watch(struct wait *wait, struct version known)
{
    const struct api_redis *redis = wait->request->api->redis;

    wait->watch.key = wait->request->key;
    wait->watch.known = known;
    if (redis != NULL)
        redis->watch(redis->ctx, &wait->watch);
}

void wait_begin(struct request *request, const struct wait_rule *rule,
                uint64_t wait_ms, struct version known)
{
    struct wait *wait = calloc(1, sizeof(*wait));
    enum kist_status status = KIST_NO_MEMORY;

    if (wait != NULL)
        status = loop_timer_open(request->loop, on_timer, wait, &wait->timer);
    if (status == KIST_OK)
        status =
            waiters_add(request->api_loop->room, &wait->waiter, request->key);
    if (status != KIST_OK) {
        if (wait != NULL)
            loop_timer_close(wait->timer);
        free(wait);
        reply_member_number(request, "limit",
                            request->api->settings->max_waiters);
        reply_status(request, status, "Too many requests wait for changes");
        return;
    }
    wait->request = request;
    wait->rule = rule;
    wait->waiter.wake = on_wake;
    wait->deadline_ns = clock_mono_ns() + wait_ms * 1000000;
    request->work = wait;
    request->work_free = free;
    request->abandon = abandon;
    watch(wait, known);
    look(wait); /* A change since the first look would wake nobody. */
}
