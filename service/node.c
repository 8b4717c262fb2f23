#include "service/node.h"

#include "api/api.h"
#include "api/file_lane.h"
#include "api/server.h"
#include "base/clock.h"
#include "base/loop.h"
#include "replication/cluster_loop.h"
#include "replication/cluster_mend.h"
#include "service/backup_metrics.h"
#include "service/cluster_metrics.h"
#include "service/cluster_start.h"
#include "service/import_progress.h"
#include "service/large_metrics.h"
#include "service/maintenance.h"
#include "service/metrics.h"
#include "service/process.h"
#include "service/readiness.h"
#include "service/redis_start.h"
#include "service/reload.h"
#include "service/signals.h"
#include "service/storage_metrics.h"
#include "service/storage_start.h"
#include "service/version.h"
#include "service/waiters.h"
#include "storage/commit.h"
#include "storage/store.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* Told again after this, it waits for no request; how often it listens. */
#define INSIST_NS UINT64_C(1000000000)
#define LOOK_NS   UINT64_C(100000000)

struct node {
    const struct settings_input *input;
    struct settings *settings;
    struct log *log;
    const struct notify *notify;

    /* The main loop and what lives on it. */
    struct loop *loop;
    struct signals *signals;
    struct commit_lane *lane;
    struct maintenance *maintenance;
    bool stopping;
    uint64_t stopped_ns; /* When it was first told to stop. */
    bool insisted;       /* Told again later: wait for no request. */

    struct store *store; /* NULL: redis_start has the records. */
    struct redis_start redis_start;
    struct api_redis api_redis;
    struct commit *commit;
    struct cluster_start cluster_start;
    struct cluster *cluster; /* NULL: a node alone. */
    bool has_transport;      /* libcurl is up. */
    struct waiters *waiters;
    struct metrics *metrics;
    struct process process;
    struct readiness readiness;
    struct storage_metrics storage_metrics;
    struct backup_stats backup_stats;
    struct import_progress import_progress;
    struct health_check checks[5];
    size_t checks_count;
    struct api api;
    struct server *server;
};

/* The main loop. */

static void turn_end(void *ctx)
{
    struct node *node = ctx;

    if (node->cluster != NULL)
        cluster_turn_end(node->cluster);
    if (node->lane != NULL)
        commit_lane_flush(node->lane);
}

static void begin_stop(void *ctx, const char *signal)
{
    struct node *node = ctx;

    /* Ctrl-C reaches kistd twice, from the terminal and from its script. */
    if (node->stopping && clock_mono_ns() - node->stopped_ns < INSIST_NS)
        return;
    if (node->stopping) {
        log_why(node->log, LOG_WARN, "stop.insisted",
                "told to stop a second time: cutting off what is in flight");
        node->insisted = true;
        return;
    }
    node->stopping = true;
    node->stopped_ns = clock_mono_ns();
    atomic_store(&node->api.stopping, true); /* /readyz is 503 from here. */
    log_why(node->log, LOG_INFO, "stopping", signal);
    notify_tell(node->notify, NOTIFY_STOPPING, node->log);
    if (node->cluster != NULL)
        cluster_stop(node->cluster);
    maintenance_stop(node->maintenance);
}

static void reload(void *ctx)
{
    struct node *node = ctx;

    reload_settings(node->input, node->settings, node->log, node->notify);
    if (node->cluster != NULL)
        cluster_set_transfer_rate(node->cluster,
                                  node->settings->transfer_bytes_per_second);
}

/* Before everything else that may start a thread. */
static enum kist_status open_loop(struct node *node)
{
    struct signals_hooks hooks = {node, begin_stop, reload};
    enum kist_status status = loop_open("kist-main", &node->loop);

    if (status != KIST_OK)
        return status;
    loop_on_turn_end(node->loop, turn_end, node);
    return signals_open(node->loop, &hooks, &node->signals);
}

/* Storage. */

static void key_changed(void *ctx, struct view key)
{
    struct node *node = ctx;

    waiters_changed(node->waiters, key);
}

static enum kist_status open_storage(struct node *node)
{
    if (!redis_start_is_wanted(node->settings))
        return storage_start(node->settings, node->log, &node->store);
    node->redis_start =
        (struct redis_start){.settings = node->settings, .log = node->log};
    return redis_start_open(&node->redis_start);
}

static enum kist_status open_commit(struct node *node)
{
    struct commit_options options = {
        .queue_bytes = node->settings->commit_queue_bytes,
        .ctx = node,
        .changed = key_changed,
    };
    enum kist_status status =
        waiters_open(node->settings->max_waiters, &node->waiters);

    if (node->store == NULL)
        redis_start_lead_commit(&node->redis_start, &options);
    if (status == KIST_OK)
        status = commit_open(node->store, &options, &node->commit);
    return status;
}

static bool cluster_is_over(void *ctx)
{
    struct node *node = ctx;

    return node->cluster == NULL || cluster_rests(node->cluster);
}

/* Opened before the cluster, and closed after it was stopped. */
static void mend(void *ctx, struct view key)
{
    struct node *node = ctx;

    if (node->cluster != NULL)
        cluster_mend(node->cluster, key);
}

static enum kist_status open_maintenance(struct node *node)
{
    enum kist_status status =
        commit_lane_open(node->commit, node->loop, &node->lane);
    struct maintenance_parts parts = {
        .loop = node->loop,
        .lane = node->lane,
        .store = node->store,
        .settings = node->settings,
        .notify = node->notify,
        .log = node->log,
        .ctx = node,
        .rests = cluster_is_over,
        .damaged = mend,
    };

    if (status == KIST_OK)
        status = maintenance_open(&parts, &node->maintenance);
    return status;
}

/* HTTP. */

static enum kist_status http_loop_begin(struct api_loop *api_loop)
{
    struct api *api = api_loop->api;
    enum kist_status status =
        commit_lane_open(api->commit, api_loop->loop, &api_loop->lane);

    if (status != KIST_OK)
        return status;
    status = waiters_room_open(api->waiters, api_loop->loop, &api_loop->room);
    if (status == KIST_OK && api->cluster != NULL) {
        status = cluster_loop_open(api->cluster, api_loop->loop, api_loop->lane,
                                   &api_loop->cluster);
        if (status == KIST_OK)
            api_loop->seat = cluster_loop_seat(api_loop->cluster);
        else
            waiters_room_close(api_loop->room);
    }
    if (status != KIST_OK)
        commit_lane_close(api_loop->lane);
    return status;
}

static void http_loop_turn_end(struct api_loop *api_loop)
{
    if (api_loop->cluster != NULL)
        cluster_loop_turn_end(api_loop->cluster);
    commit_lane_flush(api_loop->lane);
}

static bool http_loop_rests(struct api_loop *api_loop)
{
    return api_loop->cluster == NULL || cluster_loop_rests(api_loop->cluster);
}

static void http_loop_end(struct api_loop *api_loop)
{
    if (api_loop->cluster != NULL)
        cluster_loop_close(api_loop->cluster);
    waiters_room_close(api_loop->room);
    commit_lane_close(api_loop->lane);
}

/* A core is left to the commit thread, to compactions and to the neighbours. */
static size_t count_loops(const struct settings *settings)
{
    cpu_set_t cores;

    if (settings->loops > 0)
        return (size_t)settings->loops;
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0 ||
        CPU_COUNT(&cores) < 2)
        return 1;
    return (size_t)CPU_COUNT(&cores) - 1;
}

/* Listings and batches keep this many, however many files are written. */
enum { POOL_THREADS = 4 };

static void size_pool(const struct settings *settings)
{
    loop_pool_size(POOL_THREADS + FILE_LANE_WIDTH * count_loops(settings));
}

static struct quorum_defaults quorum_of(const struct settings *settings)
{
    return (struct quorum_defaults){
        .r = (unsigned)settings->read_quorum,
        .w = (unsigned)settings->write_quorum,
        .write_timeout_ms = settings->write_timeout_ms,
        .read_timeout_ms = settings->read_timeout_ms,
        .hedge_ms = settings->hedge_delay_ms,
    };
}

static void add_check(struct node *node, struct health_check check)
{
    node->checks[node->checks_count++] = check;
}

static void add_checks(struct node *node)
{
    struct readiness *readiness = &node->readiness;
    const struct health_check checks[] = {
        {"engine", readiness, readiness_engine, NULL},
        {"disk", readiness, readiness_disk, NULL},
        {"commit_queue", readiness, readiness_commit_queue, NULL},
        {"clock", readiness, readiness_clock, NULL},
        {"cluster", node->cluster, cluster_start_is_ready, NULL},
    };
    const struct health_check redis = {"redis", &node->redis_start,
                                       redis_start_is_ready, redis_start_note};

    *readiness = (struct readiness){node->store, node->commit, node->settings};
    for (size_t i = 0; node->store != NULL && i < 4; i++)
        add_check(node, checks[i]);
    if (node->cluster != NULL)
        add_check(node, checks[4]);
    if (node->store == NULL) {
        add_check(node, redis);
        add_check(node, checks[2]);
    }
}

/* Where the records are. */
static void add_records(struct node *node)
{
    node->api.store = node->store;
    if (node->store != NULL) {
        node->api.clock = store_clock(node->store);
        return;
    }
    node->api_redis = (struct api_redis){
        .scans = redis_start_scans(&node->redis_start),
        .ctx = &node->redis_start,
        .is_durable = redis_start_is_durable,
        .watch = redis_start_watch,
        .unwatch = redis_start_unwatch,
    };
    node->api.redis = &node->api_redis;
    node->api.clock = redis_start_clock(&node->redis_start);
}

static void fill_api(struct node *node)
{
    node->api = (struct api){
        .settings = node->settings,
        .log = node->log,
        .metrics = node->metrics,
        .commit = node->commit,
        .waiters = node->waiters,
        .backups = &node->backup_stats,
        .imports = &node->import_progress,
        .loops = count_loops(node->settings),
        .checks = node->checks,
        .quorum = quorum_of(node->settings),
        .cluster = node->cluster,
        .loop_begin = http_loop_begin,
        .turn_end = http_loop_turn_end,
        .loop_end = http_loop_end,
        .loop_rests = http_loop_rests,
    };
    add_records(node);
    add_checks(node);
    node->api.checks_count = node->checks_count;
}

/* In a cluster, the main loop is its home. */
static enum kist_status open_cluster(struct node *node)
{
    if (!settings_are_of_cluster(node->settings))
        return KIST_OK;
    if (!node->has_transport)
        return KIST_IO;
    node->cluster_start = (struct cluster_start){
        .settings = node->settings,
        .log = node->log,
        .home = node->loop,
        .lane = node->lane,
        .store = node->store,
        .loops = count_loops(node->settings),
    };
    return cluster_start_open(&node->cluster_start, &node->cluster);
}

static enum kist_status open_metrics(struct node *node)
{
    enum kist_status status = metrics_open(&node->metrics);

    if (status != KIST_OK)
        return status;
    process_init(&node->process, node->metrics, version_text());
    storage_metrics_init(&node->storage_metrics, node->metrics, node->store,
                         node->commit, node->settings->commit_queue_bytes);
    if (node->store == NULL) {
        redis_start_metrics(&node->redis_start, node->metrics);
    } else {
        storage_metrics_add_sweep(node->metrics,
                                  maintenance_sweep(node->maintenance));
        storage_metrics_add_verify(node->metrics,
                                   maintenance_verify(node->maintenance));
        large_metrics_init(node->metrics, store_large(node->store),
                           maintenance_large_care(node->maintenance));
        backup_metrics_init(node->metrics, &node->backup_stats);
    }
    import_progress_register(node->metrics, &node->import_progress);
    metrics_gauge(node->metrics, "kist_waiting_requests",
                  "Requests that wait for a key to change.", NULL,
                  waiters_count(node->waiters));
    if (node->cluster != NULL)
        cluster_metrics_init(node->metrics, node->cluster);
    return KIST_OK;
}

static void log_listener(struct node *node, const char *event,
                         struct address address, uint16_t port)
{
    struct log_line line = log_begin(node->log, LOG_INFO, event);
    struct blob text = BLOB_EMPTY;

    address_set_port(&address, port);
    address_print(&address, &text);
    log_text(&line, "address", blob_view(&text));
    log_end(&line);
    blob_free(&text);
}

static void log_listeners(struct node *node)
{
    const struct settings *settings = node->settings;

    for (size_t i = 0; i < settings->listen.count; i++)
        log_listener(node, "listening", settings->listen.addresses[i],
                     server_port(node->server, i));
    for (size_t i = 0; node->cluster != NULL && i < settings->peer_listen.count;
         i++)
        log_listener(node, "listening.peers",
                     settings->peer_listen.addresses[i],
                     server_peer_port(node->server, i));
    for (size_t i = 0; i < settings->admin_listen.count; i++)
        log_listener(node, "listening.admin",
                     settings->admin_listen.addresses[i],
                     server_admin_port(node->server, i));
}

static enum kist_status open_server(struct node *node)
{
    struct server_fault fault = {{0}};
    enum kist_status status;

    fill_api(node);
    status = server_open(&node->api, &fault, &node->server);
    if (status != KIST_OK)
        log_why(node->log, LOG_ERROR, "start.refused", fault.text);
    return status;
}

/* From start to stop. */

static enum kist_status open_parts(struct node *node)
{
    enum kist_status status;

    size_pool(node->settings);
    node->has_transport =
        settings_are_of_cluster(node->settings) && transport_begin_process();
    status = open_loop(node);
    if (status == KIST_OK)
        status = open_storage(node);
    if (status == KIST_OK)
        status = open_commit(node);
    if (status == KIST_OK)
        status = open_maintenance(node);
    if (status == KIST_OK)
        status = open_cluster(node);
    if (status == KIST_OK)
        status = open_metrics(node);
    if (status == KIST_OK)
        status = open_server(node);
    return status;
}

enum kist_status node_open(const struct node_start *start,
                           struct node **out_node)
{
    struct node *node = calloc(1, sizeof(*node));
    enum kist_status status = KIST_NO_MEMORY;

    if (node != NULL) {
        node->input = start->input;
        node->settings = start->settings;
        node->log = start->log;
        node->notify = start->notify;
        status = open_parts(node);
    }
    if (status == KIST_OK) {
        *out_node = node;
        return KIST_OK;
    }
    log_why(start->log, LOG_ERROR, "start.failed", kist_status_name(status));
    node_close(node);
    return status;
}

/* The loop has ended: who insists is heard between two looks. */
static bool drain(struct node *node)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t end_ns =
        now_ns + node->settings->shutdown_grace_ms * UINT64_C(1000000);
    bool drained = false;

    server_drain(node->server);
    while (!drained && !node->insisted && now_ns < end_ns) {
        uint64_t next_ns = now_ns + LOOK_NS;

        drained = server_await_drained(node->server,
                                       next_ns < end_ns ? next_ns : end_ns);
        signals_take(node->signals);
        now_ns = clock_mono_ns();
    }
    return drained;
}

void node_run(struct node *node)
{
    bool drained;

    log_listeners(node);
    log_why(node->log, LOG_INFO, "ready", version_text());
    notify_tell(node->notify, NOTIFY_READY, node->log);
    loop_run(node->loop);

    drained = drain(node);
    log_why(node->log, LOG_INFO, "stopped",
            drained ? "all requests were answered"
                    : "some requests were cut off");
}

void node_close(struct node *node)
{
    if (node == NULL)
        return;
    server_close(node->server);
    signals_close(node->signals);
    maintenance_close(node->maintenance);
    cluster_close(node->cluster);
    commit_close(node->commit);
    commit_lane_close(node->lane);
    loop_close(node->loop);
    metrics_close(node->metrics);
    redis_start_close(&node->redis_start); /* It tells waiters of changes. */
    waiters_close(node->waiters);
    store_close(node->store);
    if (node->has_transport)
        transport_end_process();
    free(node);
}
