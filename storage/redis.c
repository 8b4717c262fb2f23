#include "storage/redis.h"

#include "storage/redis_groups.h"
#include "storage/redis_keeper.h"
#include "storage/redis_scan.h"

#include <stdlib.h>

#define CONNECT_TIMEOUT_MS 1000
#define ANSWER_TIMEOUT_MS  2000

/* How long Redis waits for replicas before it says how many there are. */
#define REPLICAS_TIMEOUT_MS 1000

struct redis {
    /* Set when opened, then read-only. */
    struct redis_options options;
    struct redis_changes changes;
    struct redis_scans scans;
    struct scan_source source;
    struct redis_map *map;

    struct hlc clock; /* Any thread. */
    _Atomic uint64_t strays;
    _Atomic int habit;
    struct redis_keeper keeper;
    struct redis_watcher *watcher;
};

const char *redis_state_why(enum redis_state state)
{
    switch (state) {
    case REDIS_READY:
        break;
    case REDIS_SEEKING:
        return "none of --redis-nodes can be used yet; the log says why";
    case REDIS_AWAY:
        return "no Redis can be reached any more; the log says why";
    case REDIS_EVICTS:
        return "Redis drops records when memory is short; set "
               "maxmemory-policy noeviction there";
    case REDIS_FORKED:
        return "--redis-nodes names several Redis that are no cluster";
    }
    return "";
}

static void doubt(void *ctx)
{
    struct redis *redis = ctx;

    redis_keeper_doubt(&redis->keeper);
}

static enum kist_status open_map(struct redis *redis)
{
    const struct redis_options *options = &redis->options;
    struct redis_map_options map = {
        .link =
            {
                .user = options->user,
                .password = options->password,
                .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                .answer_timeout_ms = ANSWER_TIMEOUT_MS,
            },
        .lines = options->lines,
        .replicas = options->replicas,
        .replicas_timeout_ms = REPLICAS_TIMEOUT_MS,
        .ctx = redis,
        .doubt = doubt,
    };

    return redis_map_open(&map, &redis->map);
}

static void fill(struct redis *redis, const struct redis_hooks *hooks)
{
    redis->keeper.options = &redis->options;
    redis->keeper.hooks = *hooks;
    redis->keeper.map = redis->map;
    redis->keeper.state = REDIS_SEEKING;
    redis->changes = (struct redis_changes){
        .map = redis->map,
        .clock = &redis->clock,
        .strays = &redis->strays,
        .habit = &redis->habit,
        .timeout_ms = redis->options.timeout_ms,
        .is_durable = &redis->keeper.is_durable,
    };
    redis->scans = (struct redis_scans){redis->map, redis->options.timeout_ms};
    redis->source = (struct scan_source){&redis->scans, redis_scan_run};
}

enum kist_status redis_open(const struct redis_options *options,
                            const struct redis_hooks *hooks,
                            struct redis **out_redis)
{
    struct redis *redis = calloc(1, sizeof(*redis));
    enum kist_status status;

    if (redis == NULL)
        return KIST_NO_MEMORY;
    redis->options = *options;
    hlc_init(&redis->clock, options->incarnation, 0);
    status = open_map(redis);
    if (status == KIST_OK)
        status = redis_watcher_open(redis->map, &redis->watcher);
    if (status == KIST_OK) {
        fill(redis, hooks);
        status = redis_keeper_open(&redis->keeper);
    }
    if (status != KIST_OK) {
        redis_watcher_close(redis->watcher);
        redis_map_close(redis->map);
        free(redis);
        return status;
    }
    *out_redis = redis;
    return KIST_OK;
}

void redis_close(struct redis *redis)
{
    if (redis == NULL)
        return;
    redis_watcher_close(redis->watcher);
    redis_keeper_stop(&redis->keeper);
    redis_map_close(redis->map);
    redis_keeper_clear(&redis->keeper);
    free(redis);
}

enum redis_state redis_state(const struct redis *redis)
{
    return atomic_load(&((struct redis *)redis)->keeper.state);
}

enum kist_status redis_usable(const struct redis *redis)
{
    switch (redis_state(redis)) {
    case REDIS_READY:
    case REDIS_AWAY: /* It may be back in time. */
        return KIST_OK;
    case REDIS_SEEKING:
    case REDIS_EVICTS:
    case REDIS_FORKED:
        break;
    }
    return KIST_READ_ONLY;
}

bool redis_is_durable(const struct redis *redis)
{
    return atomic_load(&((struct redis *)redis)->keeper.is_durable);
}

unsigned redis_masters(const struct redis *redis)
{
    return atomic_load(&((struct redis *)redis)->keeper.masters);
}

struct hlc *redis_clock(struct redis *redis)
{
    return &redis->clock;
}

struct redis_map_stats *redis_stats(struct redis *redis)
{
    return redis_map_stats(redis->map);
}

static void decide(void *ctx, struct commit_group *groups)
{
    struct redis *redis = ctx;

    redis_groups_give(&redis->changes, groups);
}

static enum kist_status writable(void *ctx)
{
    return redis_usable(ctx);
}

void redis_lead_commit(struct redis *redis, struct commit_options *options)
{
    redis_watcher_tell(redis->watcher, options->ctx, options->changed);
    options->ctx = redis;
    options->changed = NULL;
    options->decide = decide;
    options->writable = writable;
}

const struct scan_source *redis_scan_source(struct redis *redis)
{
    return &redis->source;
}

struct redis_watcher *redis_watcher(struct redis *redis)
{
    return redis->watcher;
}
