/*
 * cluster_start - the node's part in its cluster, opened as the settings say,
 * what it tells being lines of the log.
 *
 * Threads: of replication/cluster.h.
 */
#ifndef KIST_SERVICE_CLUSTER_START_H
#define KIST_SERVICE_CLUSTER_START_H

#include "replication/cluster.h"
#include "service/log.h"
#include "service/settings.h"

enum { CLUSTER_START_SECRET_MAX = 256 };

struct cluster_start {
    /* Set by the caller. All kept. */
    const struct settings *settings;
    struct log *log;
    struct loop *home;
    struct commit_lane *lane;
    struct store *store;
    size_t loops; /* That serve requests. */

    struct view join[SETTINGS_PEERS];
    char secret[CLUSTER_START_SECRET_MAX + 1];
};

/*
 * As cluster_open(); a failure is in the log. start is kept, too. Not called on
 * a node alone.
 */
KIST_CHECKED enum kist_status cluster_start_open(struct cluster_start *start,
                                                 struct cluster **out_cluster);

/* For /readyz; ctx is the struct cluster. */
bool cluster_start_is_ready(void *ctx, const char **out_why);

#endif
