/*
 * backup_metrics - what is counted about backups, and under which names.
 *
 * Threads: as of service/metrics: registered at start, read from any.
 */
#ifndef KIST_SERVICE_BACKUP_METRICS_H
#define KIST_SERVICE_BACKUP_METRICS_H

#include "base/metric.h"
#include "service/metrics.h"

struct backup_stats {
    struct gauge running;
    struct counter done;    /* Given out to the end. */
    struct counter failed;  /* Ended by the node. */
    struct counter cut;     /* Ended by the client. */
    struct gauge last_ms;   /* Wall time as of which the last whole one is. */
    struct gauge last_size; /* Its bytes. */
};

/* Keeps stats. */
void backup_metrics_init(struct metrics *metrics, struct backup_stats *stats);

#endif
