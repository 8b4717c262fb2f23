/*
 * cluster_metrics - the names under which a cluster is watched, from one of
 * its nodes.
 *
 * Threads: as of service/metrics: registered at start, read from any.
 */
#ifndef KIST_SERVICE_CLUSTER_METRICS_H
#define KIST_SERVICE_CLUSTER_METRICS_H

#include "replication/cluster.h"
#include "service/metrics.h"

/* Register everything. Both are kept. */
void cluster_metrics_init(struct metrics *metrics, struct cluster *cluster);

#endif
