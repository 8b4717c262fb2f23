#include "service/maintenance.h"

#include "base/owner.h"
#include "storage/store.h"

#include <stdlib.h>

enum {
    CHECK_INTERVAL_MS = 1000,
    STOP_POLL_MS = 5,
};

struct maintenance {
    struct maintenance_parts parts;
    struct sweep *sweep;
    struct large_care *large_care;
    struct verify *verify; /* NULL: not in a cluster. */
    struct loop_timer *check_timer;
    struct loop_timer *stop_timer;
    struct loop_timer *watchdog_timer; /* NULL: there is no watchdog. */
    struct loop_work check;
    bool checking;
    bool stopping;
};

static void run_check(struct loop_work *work)
{
    store_check(OWNER(work, struct maintenance, check)->parts.store);
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

    maintenance->check =
        (struct loop_work){.run = run_check, .done = check_done};
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

/* Without a store there is nothing to sweep. */
static bool rests(const struct maintenance *maintenance)
{
    return maintenance->parts.store == NULL ||
           (sweep_idle(maintenance->sweep) &&
            large_care_idle(maintenance->large_care) &&
            (maintenance->verify == NULL || verify_idle(maintenance->verify)));
}

static void finish_stop(void *ctx)
{
    struct maintenance *maintenance = ctx;

    if (maintenance->checking || !rests(maintenance) ||
        !maintenance->parts.rests(maintenance->parts.ctx) ||
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
        status = loop_timer_open(loop, finish_stop, maintenance,
                                 &maintenance->stop_timer);
    if (status == KIST_OK && maintenance->parts.notify->watchdog_ms > 0)
        status = loop_timer_open(loop, feed_watchdog, maintenance,
                                 &maintenance->watchdog_timer);
    if (status != KIST_OK)
        return status;
    if (maintenance->parts.store != NULL)
        loop_timer_set(maintenance->check_timer, CHECK_INTERVAL_MS);
    if (maintenance->watchdog_timer != NULL)
        loop_timer_set(maintenance->watchdog_timer, 0);
    return KIST_OK;
}

static enum kist_status open_large_care(struct maintenance *maintenance)
{
    const struct maintenance_parts *parts = &maintenance->parts;
    struct large_care_parts care = {
        .loop = parts->loop,
        .store = parts->store,
        .log = parts->log,
        .scrub_bytes_per_second = parts->settings->scrub_bytes_per_second,
        .ctx = parts->ctx,
        .damaged = parts->damaged,
    };

    return large_care_open(&care, &maintenance->large_care);
}

static void record_damaged(void *ctx, struct view key)
{
    struct maintenance *maintenance = ctx;
    struct log_line line =
        log_begin(maintenance->parts.log, LOG_ERROR, "record.damaged");

    log_text(&line, "key", key);
    log_end(&line);
    if (maintenance->parts.damaged != NULL)
        maintenance->parts.damaged(maintenance->parts.ctx, key);
}

static void sum_corrected(void *ctx, unsigned partition, unsigned leaf)
{
    struct maintenance *maintenance = ctx;
    struct log_line line =
        log_begin(maintenance->parts.log, LOG_WARN, "sum.corrected");

    log_number(&line, "partition", partition);
    log_number(&line, "leaf", leaf);
    log_end(&line);
}

static enum kist_status open_verify(struct maintenance *maintenance)
{
    const struct maintenance_parts *parts = &maintenance->parts;
    struct verify_options options = {
        .store = parts->store,
        .loop = parts->loop,
        .lane = parts->lane,
        .sync = parts->settings->durability,
        .pass_ms = VERIFY_PASS_MS,
        .records_per_second = VERIFY_RECORDS_PER_SECOND,
        .ctx = maintenance,
        .damaged = record_damaged,
        .corrected = sum_corrected,
    };

    if (store_sums(parts->store) == NULL)
        return KIST_OK;
    return verify_open(&options, &maintenance->verify);
}

static enum kist_status open_care(struct maintenance *maintenance)
{
    const struct maintenance_parts *parts = &maintenance->parts;
    enum kist_status status = sweep_open(
        parts->store, parts->loop, parts->lane, parts->settings->durability,
        parts->settings->sweep_rate, &maintenance->sweep);

    if (status == KIST_OK)
        status = open_large_care(maintenance);
    if (status == KIST_OK)
        status = open_verify(maintenance);
    return status;
}

enum kist_status maintenance_open(const struct maintenance_parts *parts,
                                  struct maintenance **out_maintenance)
{
    struct maintenance *maintenance = calloc(1, sizeof(*maintenance));
    enum kist_status status;

    if (maintenance == NULL)
        return KIST_NO_MEMORY;
    maintenance->parts = *parts;
    status = parts->store == NULL ? KIST_OK : open_care(maintenance);
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
    if (maintenance->parts.store != NULL) {
        sweep_stop(maintenance->sweep);
        large_care_stop(maintenance->large_care);
        if (maintenance->verify != NULL)
            verify_stop(maintenance->verify);
    }
    loop_timer_stop(maintenance->check_timer);
    finish_stop(maintenance);
}

void maintenance_close(struct maintenance *maintenance)
{
    if (maintenance == NULL)
        return;
    loop_timer_close(maintenance->check_timer);
    loop_timer_close(maintenance->stop_timer);
    loop_timer_close(maintenance->watchdog_timer);
    verify_close(maintenance->verify);
    large_care_close(maintenance->large_care);
    sweep_close(maintenance->sweep);
    free(maintenance);
}

struct sweep *maintenance_sweep(struct maintenance *maintenance)
{
    return maintenance->sweep;
}

struct large_care *maintenance_large_care(struct maintenance *maintenance)
{
    return maintenance->large_care;
}

struct verify *maintenance_verify(struct maintenance *maintenance)
{
    return maintenance->verify;
}
