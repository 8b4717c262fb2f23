/*
 * maintenance - what a node does by the clock: look at the disk each second,
 * sweep expired keys, take care of large values, verify a cluster's data, feed
 * the service manager's watchdog.
 *
 * Threads: the loop it was opened on, or the one that opens before it runs.
 */
#ifndef KIST_SERVICE_MAINTENANCE_H
#define KIST_SERVICE_MAINTENANCE_H

#include "service/large_care.h"
#include "service/log.h"
#include "service/notify.h"
#include "service/settings.h"
#include "storage/sweep.h"
#include "storage/verify.h"

struct maintenance;

struct maintenance_parts {
    struct loop *loop;        /* All kept. */
    struct commit_lane *lane; /* The loop's. */
    struct store *store;      /* NULL: the records are not in one. */
    const struct settings *settings;
    const struct notify *notify;
    struct log *log;
    void *ctx;
    bool (*rests)(void *ctx); /* What else ends before the loop stops. */
    /* A record, or a large value's file, is lost or damaged. Any thread. */
    void (*damaged)(void *ctx, struct view key);
};

/* The caller ends *out_maintenance with maintenance_close(). */
KIST_CHECKED enum kist_status
maintenance_open(const struct maintenance_parts *parts,
                 struct maintenance **out_maintenance);

/*
 * Begin nothing more; the loop is stopped once nothing of it, the lane
 * included, is under way. The watchdog is fed until then.
 */
void maintenance_stop(struct maintenance *maintenance);

/* The loop never ran, or has stopped. NULL is ok. */
void maintenance_close(struct maintenance *maintenance);

/* For their counters; NULL without a store. */
struct sweep *maintenance_sweep(struct maintenance *maintenance);
struct large_care *maintenance_large_care(struct maintenance *maintenance);
/* NULL also on a node alone. */
struct verify *maintenance_verify(struct maintenance *maintenance);

#endif
