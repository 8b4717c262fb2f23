/*
 * cluster_pages - what a node tells of its cluster: GET /cluster and below.
 *
 * It is this node's view. A node alone has none: 404.
 */
#ifndef KIST_API_CLUSTER_PAGES_H
#define KIST_API_CLUSTER_PAGES_H

struct cluster;
struct request;

void cluster_pages_members(struct request *request);    /* /cluster */
void cluster_pages_ring(struct request *request);       /* .../ring */
void cluster_pages_hints(struct request *request);      /* .../hints */
void cluster_pages_divergence(struct request *request); /* .../divergence */

/* NULL: a node alone, and the client was told. */
struct cluster *cluster_pages_cluster(struct request *request);

#endif
