/*
 * large_metrics - the names under which large values are watched.
 *
 * Threads: as of service/metrics: registered at start, read from any.
 */
#ifndef KIST_SERVICE_LARGE_METRICS_H
#define KIST_SERVICE_LARGE_METRICS_H

#include "service/large_care.h"
#include "service/metrics.h"

/* Register everything. All of these are kept. */
void large_metrics_init(struct metrics *metrics, struct large *large,
                        struct large_care *care);

#endif
