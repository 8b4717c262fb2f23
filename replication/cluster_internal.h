/*
 * cluster_internal - a cluster and its loops, for the files that make it up.
 */
#ifndef KIST_REPLICATION_CLUSTER_INTERNAL_H
#define KIST_REPLICATION_CLUSTER_INTERNAL_H

#include "replication/cluster.h"
#include "replication/errands.h"
#include "replication/join.h"
#include "replication/loop_env.h"
#include "replication/orders.h"

/* What was on the disk at the start. */
struct cluster_kept {
    struct blob ring, decree, floor;
};

/* That a peer has another ring, for home: one at a time, others are dropped. */
struct cluster_sight {
    struct errand errand;
    uint64_t incarnation, epoch;
    atomic_bool is_out;
};

/* What is asked for by somebody (replication/cluster_plan.h). */
struct cluster_desk {
    struct ring *draft; /* The next ring, if it is committed; or NULL. */
    uint64_t id;        /* Its digest. */
    char joining[RING_NAME_MAX + 1];
    char address[RING_ADDRESS_MAX + 1];
    uint64_t incarnation;
    char leaving[RING_NAME_MAX + 1];
    struct cluster_plan_ask *waiting; /* For a decision. */
};

struct cluster {
    /* Set by cluster_open(), then read-only. */
    struct cluster_options options;
    struct cluster_hooks hooks;
    struct ring_member members[ROLL_MAX];
    struct ring first;

    /* Any thread. */
    struct cluster_stats stats;
    struct errands errands;
    struct roll roll;
    struct seats seats;
    struct cluster_sight sight;
    _Atomic unsigned state; /* enum founding_state */
    _Atomic size_t errands_bytes;
    atomic_bool has_begun;
    struct transport_files *files;

    /* Home. */
    struct cluster_kept kept; /* Until it is seated. */
    struct loop_env env;
    struct seat seat;
    struct fence fence;
    struct members watch;
    struct hints hints;
    struct anti_entropy entropy;
    struct change change;
    struct floor floor;
    struct join join;
    struct cluster_desk desk;
    struct cluster_loop *loops;
    enum kist_status status; /* Of taking the seat. */
    bool has_env;
    uint64_t looked_ms; /* For files that are left over. */
    bool is_seated;     /* It has a ring, and follows others. */
    bool is_stopped;
};

struct cluster_loop {
    /* Set by cluster_loop_open(), then read-only. */
    struct cluster *cluster;
    struct cluster_loop *next;
    struct loop *loop;

    struct orders orders;

    /* The loop. */
    struct loop_env env;
    struct seat seat;
    unsigned errands_out; /* That will come back. */
    bool is_stopped;
};

struct loop_env_options cluster_env_options(struct cluster *cluster,
                                            struct loop *loop,
                                            struct commit_lane *lane);

/* A message for the node as a whole, at home. */
void cluster_answer(struct cluster *cluster, struct view message,
                    struct replica_caller *caller);

/* A seat of this cluster, home's or another loop's (cluster_seat.c). */
void cluster_seat_init(struct cluster *cluster, struct loop_env *env,
                       struct seat *seat);

/* The desk: the change has its hooks, and nothing waits any more. */
void cluster_plan_init(struct cluster *cluster);
void cluster_plan_clear(struct cluster *cluster);

#endif
