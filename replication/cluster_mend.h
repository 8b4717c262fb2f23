/*
 * cluster_mend - a record, or the file of a large value, is lost or damaged on
 * this node: other owners have it.
 */
#ifndef KIST_REPLICATION_CLUSTER_MEND_H
#define KIST_REPLICATION_CLUSTER_MEND_H

#include "base/bytes.h"

struct cluster;

/*
 * If this node's record of the key cannot be read, have it replaced by that of
 * the others (replication/mend.h); if it has a file that is not in its place,
 * have that brought there. Does not wait for it; whoever finds it missing next
 * asks again. Any thread.
 */
void cluster_mend(struct cluster *cluster, struct view key);

#endif
