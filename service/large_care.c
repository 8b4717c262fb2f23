#include "service/large_care.h"

#include "base/clock.h"
#include "base/owner.h"

#include <stdlib.h>

enum {
    INTERVAL_MS = 250, /* So that the scrub reads little at once. */
    BUSY_INTERVAL_MS = 10,
    ORPHANS_SLICE_MS = 100,
};

struct large_care {
    struct large_care_parts parts;
    struct loop_timer *timer;
    struct loop_work work;
    bool busy;
    bool stopping;

    /* The pool thread while busy. */
    struct large_orphans *orphans;
    struct large_scrub *scrub;
    bool collected;
};

static void damaged(void *ctx, struct view key, const char *name,
                    const char *why)
{
    struct large_care *care = ctx;
    struct log_line line =
        log_begin(care->parts.log, LOG_ERROR, "large.damaged");

    log_text(&line, "key", key);
    log_text(&line, "file", view_of(name));
    log_text(&line, "why", view_of(why));
    log_end(&line);
    if (care->parts.damaged != NULL)
        care->parts.damaged(care->parts.ctx, key);
}

/* Scrubbing waits, because what is damaged is counted by the collection. */
static void run(struct loop_work *work)
{
    struct large_care *care = OWNER(work, struct large_care, work);

    large_tend(store_large(care->parts.store));
    if (!care->collected)
        care->collected = large_orphans_run(care->orphans, ORPHANS_SLICE_MS);
    else
        large_scrub_run(care->scrub, clock_mono_ns() / 1000000,
                        clock_wall_ms());
}

static void done(struct loop_work *work)
{
    struct large_care *care = OWNER(work, struct large_care, work);

    care->busy = false;
    if (care->stopping)
        return;
    loop_timer_set(care->timer,
                   care->collected ? INTERVAL_MS : BUSY_INTERVAL_MS);
}

static void start(void *ctx)
{
    struct large_care *care = ctx;

    care->work = (struct loop_work){.run = run, .done = done};
    care->busy = loop_work(care->parts.loop, &care->work) == KIST_OK;
    if (!care->busy)
        loop_timer_set(care->timer, INTERVAL_MS);
}

enum kist_status large_care_open(const struct large_care_parts *parts,
                                 struct large_care **out_care)
{
    struct large_care *care = calloc(1, sizeof(*care));
    struct large_scrub_options scrub = {
        .bytes_per_second = parts->scrub_bytes_per_second,
        .ctx = care,
        .damaged = damaged,
    };
    enum kist_status status;

    if (care == NULL)
        return KIST_NO_MEMORY;
    care->parts = *parts;
    status = large_orphans_open(parts->store, &care->orphans);
    if (status == KIST_OK)
        status = large_scrub_open(parts->store, &scrub, &care->scrub);
    if (status == KIST_OK)
        status = loop_timer_open(parts->loop, start, care, &care->timer);
    if (status != KIST_OK) {
        large_care_close(care);
        return status;
    }
    loop_timer_set(care->timer, BUSY_INTERVAL_MS);
    *out_care = care;
    return KIST_OK;
}

void large_care_stop(struct large_care *care)
{
    care->stopping = true;
    loop_timer_stop(care->timer);
    large_stop(store_large(care->parts.store));
    large_scrub_stop(care->scrub);
}

bool large_care_idle(const struct large_care *care)
{
    return !care->busy;
}

void large_care_close(struct large_care *care)
{
    if (care == NULL)
        return;
    loop_timer_close(care->timer);
    large_orphans_close(care->orphans);
    large_scrub_close(care->scrub);
    free(care);
}

struct large_orphans_stats *large_care_orphans(struct large_care *care)
{
    return large_orphans_stats(care->orphans);
}

struct large_scrub_stats *large_care_scrub(struct large_care *care)
{
    return large_scrub_stats(care->scrub);
}
