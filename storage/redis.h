/*
 * redis - records in a Redis or a Redis Cluster that others use as well.
 *
 * In place of a store: any number of kistd may share one keyspace. Writes and
 * reads of single keys go through a commit (storage/commit.h) whose decisions
 * fall in Redis, listings through scan_source (storage/scan.h). What is
 * acknowledged is as durable as that Redis was configured to be.
 *
 * Opening does not wait for Redis: the keeper looks for it, and for its
 * masters, for as long as it takes, and again whenever something is amiss.
 *
 * Threads: any; redis_close() last.
 */
#ifndef KIST_STORAGE_REDIS_H
#define KIST_STORAGE_REDIS_H

#include "storage/commit.h"
#include "storage/redis_map.h"
#include "storage/redis_watcher.h"
#include "storage/scan.h"

#define REDIS_SEEDS_MAX 32

enum redis_state {
    REDIS_SEEKING, /* None was reached so far. */
    REDIS_READY,
    REDIS_AWAY,   /* None is reached any more; it is tried all the same. */
    REDIS_EVICTS, /* It would drop records: nothing is done with it. */
    REDIS_FORKED, /* Several, but no cluster: nothing is done, either. */
};

/* What is to be done about it, for people. */
const char *redis_state_why(enum redis_state state);

struct redis_hooks {
    void *ctx;
    /* state is another one; why: what was seen. The keeper's thread. */
    void (*moved)(void *ctx, enum redis_state state, const char *why);
    /* A node's configuration, when it is found and when it changes. */
    void (*configured)(void *ctx, const char *node, const char *text,
                       bool is_durable);
};

struct redis_options {
    struct redis_address seeds[REDIS_SEEDS_MAX];
    size_t seeds_count;
    const char *user;     /* NULL: the default one. Kept. */
    const char *password; /* NULL: none. Kept. */
    uint64_t timeout_ms;  /* Of one operation, with all that is retried. */
    unsigned lines;       /* Connections to each node. */
    unsigned replicas;    /* That a write waits for. */
    uint64_t incarnation; /* Of the versions that are given here. */
};

struct redis;

/* hooks are copied. KIST_NO_MEMORY, KIST_IO (no thread). */
KIST_CHECKED enum kist_status redis_open(const struct redis_options *options,
                                         const struct redis_hooks *hooks,
                                         struct redis **out_redis);

/* What is under way ends as unavailable or unknown. Takes NULL. */
void redis_close(struct redis *redis);

enum redis_state redis_state(const struct redis *redis);

/* KIST_OK, or KIST_READ_ONLY: it was not found yet, or must not be used. */
KIST_CHECKED enum kist_status redis_usable(const struct redis *redis);

/* All nodes sync what they write before they answer. */
bool redis_is_durable(const struct redis *redis);

/* Of a cluster: so many masters; 0: standalone, or not known yet. */
unsigned redis_masters(const struct redis *redis);

struct hlc *redis_clock(struct redis *redis);
struct redis_map_stats *redis_stats(struct redis *redis);

/*
 * Sets what makes a commit decide in this Redis. From then on options->changed
 * is for what was watched (storage/redis_watcher.h).
 */
void redis_lead_commit(struct redis *redis, struct commit_options *options);

/* Kept by redis. */
const struct scan_source *redis_scan_source(struct redis *redis);
struct redis_watcher *redis_watcher(struct redis *redis);

#endif
