/*
 * cluster_transfers - GET /cluster/transfers: what a change of the members
 * moves, and how far it is.
 */
#ifndef KIST_API_CLUSTER_TRANSFERS_H
#define KIST_API_CLUSTER_TRANSFERS_H

struct request;

void cluster_transfers_get(struct request *request);

#endif
