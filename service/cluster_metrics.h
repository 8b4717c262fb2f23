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
#include "service/settings.h"

struct cluster_metrics {
    struct cluster *cluster;

    /* One series each member of the settings but this node. */
    struct cluster_peer_series {
        const struct cluster_metrics *of;
        const char *name;
    } peers[SETTINGS_PEERS];
};

/* Register everything. All of these are kept. */
void cluster_metrics_init(struct cluster_metrics *self, struct metrics *metrics,
                          struct cluster *cluster,
                          const struct settings *settings);

#endif
