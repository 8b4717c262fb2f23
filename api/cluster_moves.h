/*
 * cluster_moves - what a change of the members moves, told as a document.
 *
 * Who will own what is in the ring. How many keys that are is an estimate: of
 * the partitions that this node has it knows them, and takes the others to be
 * like those.
 */
#ifndef KIST_API_CLUSTER_MOVES_H
#define KIST_API_CLUSTER_MOVES_H

#include "replication/ring.h"
#include "storage/store.h"

#include <jansson.h>

/* ring is pending, or would be; plan is its id, 0 if it is. NULL: no memory. */
json_t *cluster_moves_page(const struct ring *ring, uint64_t plan,
                           struct store *store);

#endif
