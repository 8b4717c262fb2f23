/*
 * cluster_change - the members of a running cluster are changed.
 *
 *     POST   /cluster/plan         {"join": "d=10.0.0.4:7701"}
 *                                  {"leave": "b"}
 *                                  {"replace": "b", "with": "e=10.0.0.5:7701"}
 *     GET    /cluster/plan
 *     POST   /cluster/plan/commit?plan=ID
 *     DELETE /cluster/plan
 *
 * What is drafted is on this node alone; what is pending every member tells.
 */
#ifndef KIST_API_CLUSTER_CHANGE_H
#define KIST_API_CLUSTER_CHANGE_H

struct request;

void cluster_change_draft(struct request *request);
void cluster_change_look(struct request *request);
void cluster_change_commit(struct request *request);
void cluster_change_abort(struct request *request);

#endif
