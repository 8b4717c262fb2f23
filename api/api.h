/*
 * api - what all handlers work with. Filled by service/node.c.
 *
 * HTTP itself (server, connections, exchanges) knows neither the store nor
 * the commit queue: it calls the three loop hooks below, and handlers reach
 * the rest through request->api and request->api_loop.
 */
#ifndef KIST_API_API_H
#define KIST_API_API_H

#include "api/health.h"
#include "api/request.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/settings.h"

#include <stdatomic.h>

struct backup_stats;
struct store;
struct cluster;
struct import_progress;
struct cluster_loop;
struct commit;
struct commit_lane;
struct hlc;
struct redis_watch;
struct scan_source;
struct seat;
struct waiters;
struct waiters_room;

/* What a request of a cluster does without ?r= and ?w=. */
struct quorum_defaults {
    unsigned r, w; /* 0: a majority of the ring's copies. */
    uint64_t write_timeout_ms;
    uint64_t read_timeout_ms;
    uint64_t hedge_ms; /* So long without an answer: one more owner is asked. */
};

/* Records in a Redis that others use, too: they are read through the commit. */
struct api_redis {
    const struct scan_source *scans;
    void *ctx;
    bool (*is_durable)(void *ctx); /* A write is synced before its answer. */

    /* As storage/redis_watcher.h; the waiters of the key are woken. */
    void (*watch)(void *ctx, struct redis_watch *watch);
    void (*unwatch)(void *ctx, struct redis_watch *watch);
};

struct api {
    /* Set before the server opens, then read-only. All kept. */
    const struct settings *settings;
    struct log *log;
    struct metrics *metrics; /* HTTP adds its series and seals it. Or NULL. */
    struct store *store;     /* NULL: redis. */
    const struct api_redis *redis; /* NULL: store. */
    struct hlc *clock;             /* Of one of them. */
    struct commit *commit;
    struct waiters *waiters;
    struct import_progress *imports;
    struct backup_stats *backups;  /* service/backup_metrics.h */
    size_t loops;                  /* At least 1. */
    struct quorum_defaults quorum; /* Of a cluster; unused on one node. */
    struct cluster *cluster;       /* NULL: one node. */

    /* What /readyz asks, in this order. */
    const struct health_check *checks;
    size_t checks_count;

    /*
     * Each may be NULL. loop_begin and loop_end run on the thread that opens
     * and closes the server, while that loop's thread does not run yet, or no
     * longer; loop_end only after loop_begin gave KIST_OK.
     *
     * turn_end runs on the loop at the end of every turn, after all requests
     * of that turn were handled: what they collected is handed on there.
     * Handlers may be replied to from within.
     */
    enum kist_status (*loop_begin)(struct api_loop *api_loop);
    void (*turn_end)(struct api_loop *api_loop);
    void (*loop_end)(struct api_loop *api_loop);

    /*
     * May be NULL. On the loop, turn after turn once it is to stop: nothing of
     * it begins any more. True: what was under way is over, too.
     */
    bool (*loop_rests)(struct api_loop *api_loop);

    /*
     * Set once: /readyz is 503 and answers carry Connection: close. Requests
     * are refused from server_drain() on, if they had not begun by then.
     */
    atomic_bool stopping;
};

/* One a loop. The hooks and handlers of that loop may use lane and room as they
 * like. */
struct api_loop {
    struct api *api;
    struct loop *loop;
    size_t index; /* 0 .. api->loops - 1 */
    struct commit_lane *lane;
    struct waiters_room *room;
    struct seat *seat; /* This loop's, in a cluster; NULL: one node. */
    struct cluster_loop *cluster; /* What it is part of; or NULL. */
};

#endif
