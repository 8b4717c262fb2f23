/*
 * redis_map - which Redis has which shard, and the lines to each.
 *
 * One standalone Redis has all shards. In a cluster each shard lies in one
 * slot, so the map is a node for each of 256 shards. Redirections change it at
 * once, the keeper (storage/redis_keeper.h) looks at it as a whole when asked
 * for, and from time to time.
 *
 * Nodes are never forgotten while kistd runs: their number is bounded.
 *
 * Threads: any.
 */
#ifndef KIST_STORAGE_REDIS_MAP_H
#define KIST_STORAGE_REDIS_MAP_H

#include "base/metric.h"
#include "storage/redis_slot.h"
#include "storage/redis_task.h"

#include <stdatomic.h>

#define REDIS_NODES_MAX 128
#define REDIS_LINES_MAX 16

struct redis_line;
struct redis_map;

struct redis_map_options {
    struct redis_link_options link; /* Its texts are kept. */
    unsigned lines;                 /* Of each node. */
    unsigned replicas;              /* A write waits for; 0: for none. */
    uint64_t replicas_timeout_ms;
    void *ctx;
    /* The map may be out of date, or a node away: look. Any thread. */
    void (*doubt)(void *ctx);
};

struct redis_node {
    struct redis_address address;
    struct redis_map *map;
    struct redis_line *lines[REDIS_LINES_MAX];
    _Atomic uint64_t reached_ns; /* When a line last heard of it. */

    /* The keeper's. */
    uint64_t checked_ns;
    bool is_checked;
    bool is_durable;
    bool evicts;
};

struct redis_map_stats {
    struct counter commands;
    struct counter rounds;       /* Many commands, sent at once. */
    struct counter lost;         /* Connections, with commands unanswered. */
    struct counter redirections; /* MOVED and ASK. */
    struct counter refusals;     /* "Later". */
};

KIST_CHECKED enum kist_status
redis_map_open(const struct redis_map_options *options,
               struct redis_map **out_map);
void redis_map_close(struct redis_map *map); /* Gives up all. Takes NULL. */

/* Do these; list is empty after it. */
void redis_map_give(struct redis_map *map, struct redis_task_list *list);

/* The node at address, known from now on. NULL: too many, or no memory. */
struct redis_node *redis_map_node(struct redis_map *map,
                                  const struct redis_address *address);

void redis_map_set(struct redis_map *map, unsigned shard,
                   struct redis_node *node);
struct redis_node *redis_map_owner(struct redis_map *map, unsigned shard);

/* All nodes that were ever seen: i from 0; NULL behind the last. */
struct redis_node *redis_map_nth(struct redis_map *map, size_t i);

/*
 * Take it elsewhere: to the node at an address, asking or for good, or to
 * whoever has the shard by now.
 */
void redis_map_redirect(struct redis_map *map, struct redis_task *task,
                        const struct redis_address *address);
void redis_map_doubt(struct redis_map *map);

/*
 * Tasks whose shard nobody has wait here. To be called every now and then:
 * they are tried again, or given up. False: there is none.
 */
KIST_CHECKED bool redis_map_retry(struct redis_map *map);

uint32_t redis_map_tag(const struct redis_map *map, unsigned shard);
struct redis_map_stats *redis_map_stats(struct redis_map *map);
const struct redis_map_options *redis_map_options(const struct redis_map *map);

#endif
