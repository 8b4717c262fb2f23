#include "service/maintenance.h"

#include "base/owner.h"
#include "storage/store.h"

#include <stdlib.h>

enum {
    CHECK_INTERVAL_MS = 1000,
    CARE_INTERVAL_MS = 1000,
    STOP_POLL_MS = 5,
};

struct maintenance {
    struct maintenance_parts parts;
    struct sweep *sweep;
    struct loop_timer *check_timer;
    struct loop_timer *stop_timer;
    struct loop_timer *watchdog_timer; /* NULL: there is no watchdog. */
    struct loop_work check;
    bool checking;
    struct loop_timer *care_timer;
    struct loop_work care; /* Of the files of large values. */
    bool caring;
    bool stopping;
};

static void run_check(struct loop_work *work)
{
    store_check(OWNER(work, struct maintenance, check)->parts.store);
}

/* Beside the check, because removing large files takes long. */
static void run_care(struct loop_work *work)
{
    struct maintenance *maintenance = OWNER(work, struct maintenance, care);

    large_tend(store_large(maintenance->parts.store));
}

static void care_done(struct loop_work *work)
{
    struct maintenance *maintenance = OWNER(work, struct maintenance, care);

    maintenance->caring = false;
    if (!maintenance->stopping)
        loop_timer_set(maintenance->care_timer, CARE_INTERVAL_MS);
}

static void start_care(void *ctx)
{
    struct maintenance *maintenance = ctx;

    maintenance->care = (struct loop_work){run_care, care_done};
    maintenance->caring =
        loop_work(maintenance->parts.loop, &maintenance->care) == KIST_OK;
    if (!maintenance->caring)
        loop_timer_set(maintenance->care_timer, CARE_INTERVAL_MS);
}

static void check_done(struct loop_work *work)
{
    struct maintenance *maintenance = OWNER(work, struct maintenance, check);

    maintenance->checking = false;
    if (!maintenance->stopping)
        loop_timer_set(maintenance->check_timer, CHECK_INTERVAL_MS);
}

static void start_check(void *ctx)
{
    struct maintenance *maintenance = ctx;

    maintenance->check = (struct loop_work){run_check, check_done};
    maintenance->checking =
        loop_work(maintenance->parts.loop, &maintenance->check) == KIST_OK;
    if (!maintenance->checking)
        loop_timer_set(maintenance->check_timer, CHECK_INTERVAL_MS);
}

static void feed_watchdog(void *ctx)
{
    struct maintenance *maintenance = ctx;
    const struct notify *notify = maintenance->parts.notify;

    notify_tell(notify, NOTIFY_WATCHDOG, maintenance->parts.log);
    loop_timer_set(maintenance->watchdog_timer, notify->watchdog_ms);
}

static void finish_stop(void *ctx)
{
    struct maintenance *maintenance = ctx;

    if (maintenance->checking || maintenance->caring ||
        !sweep_idle(maintenance->sweep) ||
        !commit_lane_idle(maintenance->parts.lane))
        loop_timer_set(maintenance->stop_timer, STOP_POLL_MS);
    else
        loop_stop(maintenance->parts.loop);
}

static enum kist_status open_timers(struct maintenance *maintenance)
{
    struct loop *loop = maintenance->parts.loop;
    enum kist_status status = loop_timer_open(loop, start_check, maintenance,
                                              &maintenance->check_timer);

    if (status == KIST_OK)
        status = loop_timer_open(loop, start_care, maintenance,
                                 &maintenance->care_timer);
    if (status == KIST_OK)
        status = loop_timer_open(loop, finish_stop, maintenance,
                                 &maintenance->stop_timer);
    if (status == KIST_OK && maintenance->parts.notify->watchdog_ms > 0)
        status = loop_timer_open(loop, feed_watchdog, maintenance,
                                 &maintenance->watchdog_timer);
    if (status != KIST_OK)
        return status;
    loop_timer_set(maintenance->check_timer, CHECK_INTERVAL_MS);
    loop_timer_set(maintenance->care_timer, CARE_INTERVAL_MS);
    if (maintenance->watchdog_timer != NULL)
        loop_timer_set(maintenance->watchdog_timer, 0);
    return KIST_OK;
}

enum kist_status maintenance_open(const struct maintenance_parts *parts,
                                  struct maintenance **out_maintenance)
{
    struct maintenance *maintenance = calloc(1, sizeof(*maintenance));
    enum kist_status status;

    if (maintenance == NULL)
        return KIST_NO_MEMORY;
    maintenance->parts = *parts;
    status = sweep_open(parts->store, parts->loop, parts->lane,
                        parts->settings->durability,
                        parts->settings->sweep_rate, &maintenance->sweep);
    if (status == KIST_OK)
        status = open_timers(maintenance);
    if (status == KIST_OK)
        *out_maintenance = maintenance;
    else
        maintenance_close(maintenance);
    return status;
}

void maintenance_stop(struct maintenance *maintenance)
{
    maintenance->stopping = true;
    sweep_stop(maintenance->sweep);
    large_stop(store_large(maintenance->parts.store));
    loop_timer_stop(maintenance->check_timer);
    loop_timer_stop(maintenance->care_timer);
    finish_stop(maintenance);
}

void maintenance_close(struct maintenance *maintenance)
{
    if (maintenance == NULL)
        return;
    loop_timer_close(maintenance->check_timer);
    loop_timer_close(maintenance->care_timer);
    loop_timer_close(maintenance->stop_timer);
    loop_timer_close(maintenance->watchdog_timer);
    sweep_close(maintenance->sweep);
    free(maintenance);
}

struct sweep *maintenance_sweep(struct maintenance *maintenance)
{
    return maintenance->sweep;
}
