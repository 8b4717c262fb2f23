/*
 * large_care - the background work on large values: files removed that nobody
 * needs, those that a crash has left collected, all of them read again now
 * and then.
 *
 * Threads: the loop it was opened on, or the one that opens before it runs.
 * The work itself is done on the pool.
 */
#ifndef KIST_SERVICE_LARGE_CARE_H
#define KIST_SERVICE_LARGE_CARE_H

#include "base/loop.h"
#include "service/log.h"
#include "storage/large_orphans.h"
#include "storage/large_scrub.h"

struct large_care;

struct large_care_parts {
    struct loop *loop; /* All kept. */
    struct store *store;
    struct log *log;
    uint64_t scrub_bytes_per_second; /* 0: none. */
    void *ctx;
    /* The file of this key is lost or damaged. Any thread. Or NULL. */
    void (*damaged)(void *ctx, struct view key);
};

/* The caller ends *out_care with large_care_close(). */
KIST_CHECKED enum kist_status
large_care_open(const struct large_care_parts *parts,
                struct large_care **out_care);

/* Starts nothing more. What is under way ends soon: large_care_idle(). */
void large_care_stop(struct large_care *care);
bool large_care_idle(const struct large_care *care);

/* Never ran, or stopped and idle. Takes NULL. */
void large_care_close(struct large_care *care);

/* For /metrics. */
struct large_orphans_stats *large_care_orphans(struct large_care *care);
struct large_scrub_stats *large_care_scrub(struct large_care *care);

#endif
