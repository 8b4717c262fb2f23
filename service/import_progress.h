/*
 * import_progress - how far the import of this node is, for who asks, and for
 * /metrics.
 *
 * Threads: any; begin and end by who does the import.
 */
#ifndef KIST_SERVICE_IMPORT_PROGRESS_H
#define KIST_SERVICE_IMPORT_PROGRESS_H

#include "base/metric.h"
#include "service/metrics.h"

#include <stdbool.h>

enum import_end {
    IMPORT_NEVER, /* There was none since the start. */
    IMPORT_RUNNING,
    IMPORT_DONE,
    IMPORT_STOPPED, /* The node could not go on. */
    IMPORT_CUT,     /* The client's connection ended. */
};

struct import_progress {
    _Atomic int state; /* enum import_end */
    struct gauge running;

    /* Of the last one: all lines up to this one are done with. */
    struct gauge lines;
    struct gauge applied;
    struct gauge unchanged;
    struct gauge failed;

    /* Of all since the start. */
    struct counter all_applied;
    struct counter all_unchanged;
    struct counter all_failed;
};

/* False: one is running. */
KIST_CHECKED bool import_progress_begin(struct import_progress *progress);
void import_progress_end(struct import_progress *progress, enum import_end how);

/* "running", "done", ... for the last or present one. */
const char *import_progress_state(const struct import_progress *progress);

/* Keeps progress. */
void import_progress_register(struct metrics *metrics,
                              struct import_progress *progress);

#endif
