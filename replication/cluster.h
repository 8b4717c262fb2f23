/*
 * cluster - one node's part in its cluster, put together over its loops.
 *
 * Each loop that serves requests has an env and a seat of its own
 * (replication/cluster_loop.h). One more, the home loop, has what there is only
 * one of: it hears of the members, keeps hints and compares, goes from ring to
 * ring and from floor to floor. What the others have for it (a write that
 * somebody missed, a beat that arrived there) goes to it as an errand; what it
 * has for them are its seat's ring and floor, and the roll, which they read.
 *
 * A node begins with the last ring on its disk, if there was any after the
 * first; else it founds one with the members it was told of, or takes up the
 * one that they founded; else, told of none, it waits to be taken into one.
 *
 * Threads: home's, and so are the hooks; what is marked so, any.
 */
#ifndef KIST_REPLICATION_CLUSTER_H
#define KIST_REPLICATION_CLUSTER_H

#include "replication/anti_entropy.h"
#include "replication/change.h"
#include "replication/floor.h"
#include "replication/hints.h"
#include "replication/members.h"
#include "replication/transport_curl.h"
#include "replication/transport_files.h"

struct cluster;
struct cluster_loop;

/* All of the home loop's thread; each may be NULL. */
struct cluster_hooks {
    void *ctx;
    void (*founded)(void *ctx, enum founding_state from,
                    enum founding_state to);
    void (*member_moved)(void *ctx, const char *name, enum roll_standing from,
                         enum roll_standing to);
    void (*clock_moved)(void *ctx, enum fence_state from, enum fence_state to);
    /* Waiting to be taken in: a member answers there, or none does any more. */
    void (*join_moved)(void *ctx, struct view address, bool is_reached);
    /* The node went on to this ring, which is borrowed. */
    void (*adopted)(void *ctx, const struct ring *ring);
};

struct cluster_options {
    struct loop *home;        /* Kept, as all pointers here. */
    struct commit_lane *lane; /* The home loop's. */
    struct store *store;      /* Opened as one of a cluster. */
    const char *name;         /* This node's. */
    const char *secret;       /* "": none. */

    /* Of the first ring; used until there is one. */
    const struct ring_member *members; /* Names and addresses. */
    unsigned member_count; /* 0: it is to be taken into another's ring. */
    unsigned copies;
    const struct view *join; /* Without members: where some are. Kept. */
    unsigned join_count;

    uint64_t clock_offset_ms;
    uint64_t hint_bytes; /* 0: no hints. */
    uint64_t hint_age_ms;
    uint64_t write_timeout_ms; /* How long a write may be under way. */
    uint64_t anti_entropy_period_ms;
    uint64_t transfer_bytes_per_s; /* Of what moves here; 0: any number. */
    uint64_t grace_ms;  /* What is dead stays for at least so long. */
    size_t queue_bytes; /* For each peer, and each loop. */
};

/*
 * Begin to look for the other members. KIST_INVALID: the members are not those
 * of the ring or the vote on the disk, or this node is not among them.
 * KIST_CORRUPT, KIST_IO, KIST_NO_MEMORY. Ends in cluster_close().
 */
KIST_CHECKED enum kist_status
cluster_open(const struct cluster_options *options,
             const struct cluster_hooks *hooks, struct cluster **out_cluster);

/* Of home's seat: NULL until there is one. Borrowed, for the moment. */
const struct ring *cluster_ring(const struct cluster *cluster);

/* At the end of each turn of the home loop, before its lane is flushed. */
void cluster_turn_end(struct cluster *cluster);

/* From now on; 0: any. */
void cluster_set_transfer_rate(struct cluster *cluster, uint64_t bytes_per_s);

/* Nothing begins any more at home; what is under way ends with its lane. */
void cluster_stop(struct cluster *cluster);

/* Stopped. True: what was under way is over, too; else it is asked again. */
bool cluster_rests(struct cluster *cluster);

/* All its loops are closed, it and the lane rest, and home does not run. Takes
 * NULL. */
void cluster_close(struct cluster *cluster);

/* Any thread, all of these. */

const char *cluster_secret(const struct cluster *cluster);
const char *cluster_name(const struct cluster *cluster);
enum founding_state cluster_state(const struct cluster *cluster);
enum fence_state cluster_clock(const struct cluster *cluster);
/* Whether its clock is good, and a lease of it is on the disk. */
bool cluster_may_stamp(const struct cluster *cluster);

/*
 * Whether a majority of the members was heard to take writes, once: a cluster
 * that has begun does not send its clients away because members are gone.
 */
bool cluster_has_begun(struct cluster *cluster);

const struct roll *cluster_roll(const struct cluster *cluster);

/* Where files of large values come from; ends with the cluster. */
struct transport_files *cluster_files(const struct cluster *cluster);

/* What is counted; to be read from anywhere. */
struct cluster_stats {
    struct transport_stats transport;
    struct quorum_stats quorum;
    const struct hints_stats *hints;
    const struct anti_entropy_stats *entropy;
    const struct fence_stats *fence;
    struct transport_files_stats files;
    const struct floor_stats *floor;
    const struct transfer_stats *transfer;
    struct gauge epoch;       /* Of the ring. */
    struct gauge pending;     /* 1: a change of the members is. */
    struct gauge since_ms;    /* Monotonic: when the ring was gone on to. */
    struct counter unwatched; /* Rings with members that are not counted on. */
};

const struct cluster_stats *cluster_stats(const struct cluster *cluster);

#endif
