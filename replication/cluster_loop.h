/*
 * cluster_loop - a loop that serves requests, as a part of its node's cluster.
 *
 * It has an env and a seat of its own. What arrives for the node as a whole,
 * about its members, rings and floors, is answered by the home loop
 * (replication/cluster.h); what home decides its seat takes over in a turn of
 * its own (replication/orders.h).
 *
 * Threads: cluster_loop_open(), _close() and _give_orders() home's, the first
 * two while the loop does not run; all others the loop's.
 */
#ifndef KIST_REPLICATION_CLUSTER_LOOP_H
#define KIST_REPLICATION_CLUSTER_LOOP_H

#include "replication/cluster.h"

/* A loop that serves requests, and its lane; both kept. */
KIST_CHECKED enum kist_status cluster_loop_open(struct cluster *cluster,
                                                struct loop *loop,
                                                struct commit_lane *lane,
                                                struct cluster_loop **out_loop);
void cluster_loop_close(struct cluster_loop *loop);

/* Its ring is NULL until this node is a member. */
struct seat *cluster_loop_seat(struct cluster_loop *loop);

/* At the end of each turn, before the lane is flushed. */
void cluster_loop_turn_end(struct cluster_loop *loop);

/*
 * The loop is to stop: its messages are over now. True: so is whatever waited
 * for them, but for what the lane has.
 */
bool cluster_loop_rests(struct cluster_loop *loop);

/* A message of a peer, as replica_receive(): of any kind. */
void cluster_loop_receive(struct cluster_loop *loop, struct view message,
                          struct replica_caller *caller);

/* Home's seat has another ring, fence or floor: it is for all loops. */
void cluster_loop_give_orders(struct cluster *cluster);

#endif
