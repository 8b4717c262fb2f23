/*
 * loop_env - the world as a loop of this process has it: its clocks, timers
 * and connections, and the one store of the node.
 *
 * What the operations of a turn send and write is collected, and handed on
 * once at its end.
 *
 * Threads: an env belongs to its loop; any number of them share a store.
 */
#ifndef KIST_REPLICATION_LOOP_ENV_H
#define KIST_REPLICATION_LOOP_ENV_H

#include "replication/env.h"
#include "replication/timer_heap.h"
#include "replication/transport_curl.h"
#include "replication/transport_files.h"
#include "storage/commit.h"

struct loop_env {
    struct env env; /* First. */

    /* Its own. */
    struct store *store;
    struct commit_lane *lane;
    struct loop *loop;
    struct transport *transport;
    struct transport_files *files;
    struct timer_heap timers;
    uint64_t firing_ms; /* Those due by then fire just now; else 0. */
    bool is_stopped;
    struct loop_timer *alarm;
    uint64_t alarm_ms; /* What it is set for; UINT64_MAX: it is not. */
    struct env_apply *refused_applies; /* Linked by their own. */
    struct env_lease *refused_leases;
    struct env_keep *refused_keeps;
    struct env_scan *refused_scans;
    struct env_drop *refused_drops;
    unsigned scans, drops; /* That the pool has. */
};

struct loop_env_options {
    struct store *store;      /* Kept. */
    struct commit_lane *lane; /* The loop's. Kept, and flushed by its owner. */
    struct transport_files *files;      /* The node's. Kept. */
    struct transport_options transport; /* Says which loop. */
};

/* Ends in loop_env_close(). KIST_IO, KIST_NO_MEMORY: nothing is left of it. */
KIST_CHECKED enum kist_status
loop_env_open(const struct loop_env_options *options, struct loop_env *env);

/*
 * At the end of each turn of the loop, before the lane is flushed: timers that
 * are due fire, messages go out, what could not be begun is told.
 */
void loop_env_turn_end(struct loop_env *env);

/*
 * Every message is over now, and every wait: timers fire at the end of the
 * turn. Applies end by themselves; so whoever waits for any of them ends, too.
 */
void loop_env_stop(struct loop_env *env);

/* No message is under way, no timer set, and nothing has to be told. */
bool loop_env_is_idle(const struct loop_env *env);

/* Idle, the lane as well, and the loop runs no more. */
void loop_env_close(struct loop_env *env);

#endif
