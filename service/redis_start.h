/*
 * redis_start - a Redis in place of a store, as the settings say.
 *
 * What the keeper tells becomes lines of the log, what is counted becomes
 * metrics, and what must hold for traffic is a check of /readyz.
 *
 * Threads: open and close on the main one; the rest any.
 */
#ifndef KIST_SERVICE_REDIS_START_H
#define KIST_SERVICE_REDIS_START_H

#include "service/log.h"
#include "service/metrics.h"
#include "service/settings.h"
#include "storage/commit.h"
#include "storage/scan.h"

struct redis;
struct redis_watch;

struct redis_start {
    const struct settings *settings; /* Kept, as the rest. */
    struct log *log;
    struct redis *redis; /* Set by the open. */
    struct blob password;
};

/* Whether the settings want one; else the store is our own. */
bool redis_start_is_wanted(const struct settings *settings);

/*
 * Does not wait for Redis to be there. KIST_INVALID: this kistd was built
 * without it, or the password cannot be read; the log says so.
 */
KIST_CHECKED enum kist_status redis_start_open(struct redis_start *start);
void redis_start_close(struct redis_start *start); /* Never opened is ok. */

void redis_start_lead_commit(struct redis_start *start,
                             struct commit_options *options);
const struct scan_source *redis_start_scans(struct redis_start *start);
struct hlc *redis_start_clock(struct redis_start *start);

/* ctx is a struct redis_start: whether every master syncs before it answers. */
bool redis_start_is_durable(void *ctx);

/* The same ctx: a key that somebody waits for (storage/redis_watcher.h). */
void redis_start_watch(void *ctx, struct redis_watch *watch);
void redis_start_unwatch(void *ctx, struct redis_watch *watch);

/* For api/health.h. */
bool redis_start_is_ready(void *ctx, const char **out_why);
const char *redis_start_note(void *ctx);

void redis_start_metrics(struct redis_start *start, struct metrics *metrics);

#endif
