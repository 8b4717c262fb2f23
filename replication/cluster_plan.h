/*
 * cluster_plan - a change of the members, as somebody asks for it.
 *
 * First a draft: who joins is asked for the incarnation of its data, and the
 * next ring is planned, on this node and in its memory only. Then it is
 * committed: proposed to the members (replication/change.h), who decide whether
 * it is the next one. From then on the change is everybody's, and goes on
 * whatever becomes of this node; any node can be asked to give it up.
 *
 * Threads: cluster_plan_ask() and done on the loop; what is between them, home.
 */
#ifndef KIST_REPLICATION_CLUSTER_PLAN_H
#define KIST_REPLICATION_CLUSTER_PLAN_H

#include "replication/cluster_loop.h"
#include "replication/errands.h"

enum cluster_plan_wish {
    CLUSTER_PLAN_LOOK, /* What is drafted, or pending? */
    CLUSTER_PLAN_DRAFT,
    CLUSTER_PLAN_COMMIT,
    CLUSTER_PLAN_ABORT, /* The draft is forgotten, a pending change ends. */
};

enum cluster_plan_verdict {
    CLUSTER_PLAN_GOOD,
    CLUSTER_PLAN_NONE,      /* Nothing is drafted, nor pending. */
    CLUSTER_PLAN_PENDING,   /* A change is pending: one at a time. */
    CLUSTER_PLAN_OUTDATED,  /* The draft is another one, or for another ring. */
    CLUSTER_PLAN_NO_MEMBER, /* Who is to leave is none. */
    CLUSTER_PLAN_MEMBER,   /* Who is to join is one, or its address is one's. */
    CLUSTER_PLAN_TOO_FEW,  /* Fewer members than copies would be left. */
    CLUSTER_PLAN_TOO_MANY, /* More members than a node can watch. */
    CLUSTER_PLAN_SILENT,   /* Nobody answers where it is to be. */
    CLUSTER_PLAN_OTHER,    /* Who answers there has another name. */
    CLUSTER_PLAN_TAKEN,    /* It is of another cluster, or founds one. */
    CLUSTER_PLAN_OUTSIDE,  /* This node is no member. */
    CLUSTER_PLAN_REFUSED,  /* Another change was decided on. */
    CLUSTER_PLAN_UNKNOWN,  /* It may have been decided on. */
    CLUSTER_PLAN_BUSY,
};

struct cluster_plan_ask {
    /* Set by the caller, who keeps all of it until done. */
    enum cluster_plan_wish wish;
    char joining[RING_NAME_MAX + 1]; /* Of a draft; "": nobody. */
    char address[RING_ADDRESS_MAX + 1];
    char leaving[RING_NAME_MAX + 1];
    uint64_t id; /* Of the draft that is committed. */
    void (*done)(struct cluster_plan_ask *ask);

    /* Set before done. */
    enum cluster_plan_verdict verdict;
    const struct ring *ring; /* The pending or drafted one, a share; or NULL. */
    uint64_t plan;           /* The id of a draft; 0: it is pending. */

    /* Its own. */
    struct cluster_loop *loop;
    struct errand errand;  /* There. */
    struct loop_task back; /* And back. */
    struct env_call call;
    struct blob message;
};

void cluster_plan_ask(struct cluster_loop *loop, struct cluster_plan_ask *ask);

#endif
