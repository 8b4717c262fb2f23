#include "service/redis_start.h"

#ifdef KIST_REDIS

#include "storage/redis.h"

#include <assert.h>
#include <sys/random.h>

bool redis_start_is_wanted(const struct settings *settings)
{
    return settings->engine == ENGINE_REDIS;
}

/* What the keeper tells. */

static const char *state_name(enum redis_state state)
{
    switch (state) {
    case REDIS_SEEKING:
        return "seeking";
    case REDIS_READY:
        return "ready";
    case REDIS_AWAY:
        return "away";
    case REDIS_EVICTS:
        return "evicts";
    case REDIS_FORKED:
        return "no_cluster";
    }
    return "";
}

static void on_moved(void *ctx, enum redis_state state, const char *why)
{
    struct log_line line = log_begin(
        ctx, state == REDIS_READY ? LOG_INFO : LOG_ERROR, "redis.moved");

    log_text(&line, "to", view_of(state_name(state)));
    log_text(&line, "seen", view_of(why));
    log_text(&line, "why", view_of(redis_state_why(state)));
    log_end(&line);
}

static void on_configured(void *ctx, const char *node, const char *text,
                          bool is_durable)
{
    struct log_line line =
        log_begin(ctx, is_durable ? LOG_INFO : LOG_WARN, "redis.configured");

    log_text(&line, "node", view_of(node));
    log_text(&line, "config", view_of(text));
    log_text(&line, "why",
             view_of(is_durable
                         ? "each write is synced before it is answered"
                         : "a crash of this Redis can lose writes that were "
                           "acknowledged; appendonly yes and appendfsync "
                           "always would not"));
    log_end(&line);
}

/* Opening. */

static enum kist_status read_password(struct redis_start *start)
{
    const char *path = start->settings->redis_password_file;
    struct blob *password = &start->password;
    enum kist_status status;

    if (path[0] == '\0')
        return KIST_OK;
    status = settings_read_file(NULL, path, password);
    while (password->size > 0 && (password->data[password->size - 1] == '\n' ||
                                  password->data[password->size - 1] == '\r'))
        password->size--;
    if (status == KIST_OK && password->size == 0)
        status = KIST_INVALID;
    blob_append_byte(password, '\0');
    if (status == KIST_OK && password->failed)
        status = KIST_NO_MEMORY;
    if (status == KIST_OK)
        return KIST_OK;
    log_why(start->log, LOG_ERROR, "start.refused",
            "redis-password-file cannot be read, or is empty");
    return KIST_INVALID;
}

static enum kist_status fill(struct redis_start *start,
                             struct redis_options *options)
{
    const struct settings *settings = start->settings;

    *options = (struct redis_options){
        .seeds_count = settings->redis_nodes.count,
        .timeout_ms = settings->redis_timeout_ms,
        .lines = (unsigned)settings->redis_connections,
        .replicas = (unsigned)settings->redis_wait,
    };
    static_assert(REDIS_SEEDS_MAX >= SETTINGS_REDIS_NODES,
                  "every node of the settings is a seed");
    for (size_t i = 0; i < settings->redis_nodes.count; i++)
        options->seeds[i] = settings->redis_nodes.nodes[i];
    if (settings->redis_user[0] != '\0')
        options->user = settings->redis_user;
    if (start->password.size > 0)
        options->password = start->password.data;
    if (getrandom(&options->incarnation, sizeof(options->incarnation), 0) !=
        sizeof(options->incarnation))
        return KIST_IO;
    return KIST_OK;
}

enum kist_status redis_start_open(struct redis_start *start)
{
    struct redis_hooks hooks = {start->log, on_moved, on_configured};
    struct redis_options options;
    enum kist_status status = read_password(start);

    if (status == KIST_OK)
        status = fill(start, &options);
    if (status == KIST_OK)
        status = redis_open(&options, &hooks, &start->redis);
    return status;
}

void redis_start_close(struct redis_start *start)
{
    redis_close(start->redis);
    blob_free(&start->password);
}

void redis_start_lead_commit(struct redis_start *start,
                             struct commit_options *options)
{
    redis_lead_commit(start->redis, options);
}

const struct scan_source *redis_start_scans(struct redis_start *start)
{
    return redis_scan_source(start->redis);
}

struct hlc *redis_start_clock(struct redis_start *start)
{
    return redis_clock(start->redis);
}

/* What it is worth. */

bool redis_start_is_durable(void *ctx)
{
    const struct redis_start *start = ctx;

    return redis_is_durable(start->redis);
}

void redis_start_watch(void *ctx, struct redis_watch *watch)
{
    struct redis_start *start = ctx;

    redis_watcher_add(redis_watcher(start->redis), watch);
}

void redis_start_unwatch(void *ctx, struct redis_watch *watch)
{
    struct redis_start *start = ctx;

    redis_watcher_remove(redis_watcher(start->redis), watch);
}

bool redis_start_is_ready(void *ctx, const char **out_why)
{
    const struct redis_start *start = ctx;
    enum redis_state state = redis_state(start->redis);

    *out_why = redis_state_why(state);
    return state == REDIS_READY;
}

const char *redis_start_note(void *ctx)
{
    const struct redis_start *start = ctx;
    bool is_durable = redis_is_durable(start->redis);

    if (redis_masters(start->redis) > 0)
        return is_durable ? "a cluster; each write is synced by its master"
                          : "a cluster that can lose acknowledged writes: "
                            "appendfsync always is not set on all masters";
    return is_durable ? "standalone; each write is synced"
                      : "standalone, and can lose acknowledged writes: "
                        "appendfsync always is not set";
}

static double masters(void *ctx)
{
    return redis_masters(((struct redis_start *)ctx)->redis);
}

static double is_up(void *ctx)
{
    return redis_state(((struct redis_start *)ctx)->redis) == REDIS_READY;
}

void redis_start_metrics(struct redis_start *start, struct metrics *metrics)
{
    struct redis_map_stats *stats = redis_stats(start->redis);

    metrics_read_gauge(metrics, "kist_redis_up",
                       "Redis is reached, and fit to be used.", NULL,
                       (struct metric_source){is_up, start});
    metrics_read_gauge(metrics, "kist_redis_masters",
                       "Masters of the Redis Cluster; 0: it is none.", NULL,
                       (struct metric_source){masters, start});
    metrics_counter(metrics, "kist_redis_commands_total",
                    "Commands that were sent.", NULL, &stats->commands);
    metrics_counter(metrics, "kist_redis_rounds_total",
                    "Round trips, each of many commands.", NULL,
                    &stats->rounds);
    metrics_counter(metrics, "kist_redis_lost_total",
                    "Connections that ended with commands unanswered.", NULL,
                    &stats->lost);
    metrics_counter(metrics, "kist_redis_redirections_total",
                    "Commands that another node was to get.", NULL,
                    &stats->redirections);
    metrics_counter(metrics, "kist_redis_refusals_total",
                    "Commands that were refused for the moment.", NULL,
                    &stats->refusals);
}

#else

#include <assert.h>

bool redis_start_is_wanted(const struct settings *settings)
{
    return settings->engine == ENGINE_REDIS;
}

enum kist_status redis_start_open(struct redis_start *start)
{
    log_why(start->log, LOG_ERROR, "start.refused",
            "this kistd was built without Redis; install libhiredis-dev and "
            "build again");
    return KIST_INVALID;
}

void redis_start_close(struct redis_start *start)
{
    assert(start->redis == NULL);
}

void redis_start_lead_commit(struct redis_start *start,
                             struct commit_options *options)
{
    (void)options;
    assert(start->redis != NULL);
}

const struct scan_source *redis_start_scans(struct redis_start *start)
{
    assert(start->redis != NULL);
    return NULL;
}

struct hlc *redis_start_clock(struct redis_start *start)
{
    assert(start->redis != NULL);
    return NULL;
}

bool redis_start_is_durable(void *ctx)
{
    (void)ctx;
    return false;
}

void redis_start_watch(void *ctx, struct redis_watch *watch)
{
    (void)ctx;
    assert(watch == NULL); /* There is nobody to have one. */
}

void redis_start_unwatch(void *ctx, struct redis_watch *watch)
{
    (void)ctx;
    assert(watch == NULL);
}

bool redis_start_is_ready(void *ctx, const char **out_why)
{
    (void)ctx;
    *out_why = "";
    return false;
}

const char *redis_start_note(void *ctx)
{
    (void)ctx;
    return "";
}

void redis_start_metrics(struct redis_start *start, struct metrics *metrics)
{
    (void)metrics;
    assert(start->redis != NULL);
}

#endif
