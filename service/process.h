/*
 * process - kistd itself as a scraper sees it: what was built, since when it
 * runs, and what it takes from the machine, under the names that Prometheus'
 * own clients use (process_*), so that ready-made dashboards work.
 *
 * Everything is looked up at each scrape; a value the kernel refuses is NaN.
 *
 * Threads: as of service/metrics: registered at start, read from any.
 */
#ifndef KIST_SERVICE_PROCESS_H
#define KIST_SERVICE_PROCESS_H

#include "service/metrics.h"

struct process {
    double start_seconds; /* Wall clock; fixed, so it tells restarts apart. */
};

/*
 * Register kist_build_info and process_*. Both process and metrics are kept;
 * version is text that needs no escaping in a label.
 */
void process_init(struct process *process, struct metrics *metrics,
                  const char *version);

#endif
