#include "service/storage_metrics.h"

#include "base/clock.h"

#include <assert.h>
#include <stdio.h>

static double is_in_state(void *ctx)
{
    const struct storage_state_series *series = ctx;
    return store_state(series->store) == series->state ? 1 : 0;
}

static double disk_free(void *ctx)
{
    struct store_gauges gauges;
    store_gauges(ctx, &gauges);
    return (double)gauges.disk_free;
}

static double disk_reserve(void *ctx)
{
    struct store_gauges gauges;
    store_gauges(ctx, &gauges);
    return (double)gauges.disk_reserve;
}

static double engine_memory(void *ctx)
{
    struct store_gauges gauges;
    store_gauges(ctx, &gauges);
    return (double)gauges.engine_memory;
}

static double records_size(void *ctx)
{
    struct store_gauges gauges;
    store_gauges(ctx, &gauges);
    return (double)gauges.records_size;
}

static double backlog(void *ctx)
{
    struct store_gauges gauges;
    store_gauges(ctx, &gauges);
    return gauges.backlog;
}

static double clock_ahead(void *ctx)
{
    uint64_t ahead_ms = hlc_ahead_ms(store_clock(ctx), clock_wall_ms());
    return (double)ahead_ms / 1e3;
}

static double queue_limit(void *ctx)
{
    const struct storage_metrics *self = ctx;
    return self->queue_limit;
}

static void add_states(struct storage_metrics *self, struct metrics *metrics)
{
    for (enum store_state state = 0; state <= STORE_DOWN; state++) {
        char labels[48];
        int size = snprintf(labels, sizeof(labels), "state=\"%s\"",
                            store_state_name(state));
        assert(size > 0 && (size_t)size < sizeof(labels));

        self->states[state].store = self->store;
        self->states[state].state = state;
        metrics_read_gauge(
            metrics, "kist_engine_state",
            "What the storage engine lets happen; 1 for the present state.",
            labels, (struct metric_source){is_in_state, &self->states[state]});
    }
}

/* What is looked up with the store alone. */
static void add_lookups(struct store *store, struct metrics *metrics)
{
    static const struct {
        const char *name;
        const char *help;
        double (*read)(void *ctx);
    } rows[] = {
        {"kist_disk_free_bytes", "Free space of the data directory's disk.",
         disk_free},
        {"kist_disk_reserve_bytes", "Free space below which writes stop.",
         disk_reserve},
        {"kist_engine_memory_bytes", "Memory of the engine's tables.",
         engine_memory},
        {"kist_engine_records_bytes", "Size of the records on disk, roughly.",
         records_size},
        {"kist_engine_backlog_tables",
         "Tables at level 0: the engine slows writes at 8, stops them at 12.",
         backlog},
        {"kist_clock_ahead_seconds",
         "How far versions run ahead of a wall clock that was set back.",
         clock_ahead},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        metrics_read_gauge(metrics, rows[i].name, rows[i].help, NULL,
                           (struct metric_source){rows[i].read, store});
}

static void add_store_counts(struct store_stats *stats, struct metrics *metrics)
{
    metrics_histogram(metrics, "kist_engine_read_duration_seconds",
                      "One key read from the engine.", NULL, &stats->read_time);
    metrics_histogram(metrics, "kist_engine_write_duration_seconds",
                      "One batch written by the engine, with its sync.", NULL,
                      &stats->write_time);
    metrics_counter(metrics, "kist_engine_read_errors_total",
                    "Reads that the engine failed.", NULL, &stats->read_errors);
    metrics_counter(metrics, "kist_engine_write_errors_total",
                    "Batches that the engine failed.", NULL,
                    &stats->write_errors);
    metrics_counter(metrics, "kist_engine_reopens_total",
                    "Times the engine was closed and opened again.", NULL,
                    &stats->reopens);
    metrics_counter(metrics, "kist_corrupt_records_total",
                    "Records read whose checksum did not hold.", NULL,
                    &stats->corrupt_records);
}

static void add_commit(struct storage_metrics *self, struct metrics *metrics,
                       struct commit_stats *stats)
{
    metrics_counter(metrics, "kist_commit_batches_total",
                    "Batches that all waiting writes were merged into.", NULL,
                    &stats->batches);
    metrics_counter(metrics, "kist_commit_writes_total",
                    "Writes that a commit decided.", NULL, &stats->writes);
    metrics_counter(metrics, "kist_commit_refused_total",
                    "Writes refused because the queue was full.", NULL,
                    &stats->refused);
    metrics_gauge(metrics, "kist_commit_queue_groups",
                  "Groups of writes that wait or are being written.", NULL,
                  &stats->queued_groups);
    metrics_gauge(metrics, "kist_commit_queue_bytes",
                  "Memory of the writes that wait or are being written.", NULL,
                  &stats->queued_bytes);
    metrics_read_gauge(metrics, "kist_commit_queue_limit_bytes",
                       "Where the queue is full and writes get 503.", NULL,
                       (struct metric_source){queue_limit, self});
    metrics_histogram(metrics, "kist_commit_wait_duration_seconds",
                      "From a write's hand-over until its outcome is known.",
                      NULL, &stats->wait_time);
}

void storage_metrics_init(struct storage_metrics *self, struct metrics *metrics,
                          struct store *store, struct commit *commit,
                          uint64_t queue_limit_bytes)
{
    self->store = store;
    self->queue_limit = (double)queue_limit_bytes;

    add_commit(self, metrics, commit_stats(commit));
    if (store == NULL)
        return;
    add_states(self, metrics);
    add_lookups(store, metrics);
    add_store_counts(store_stats(store), metrics);
    cache_metrics_init(&self->cache, metrics, store_cache(store));
}

void storage_metrics_add_sweep(struct metrics *metrics, struct sweep *sweep)
{
    metrics_counter(metrics, "kist_expired_keys_total",
                    "Expired records that the sweep took out.", NULL,
                    &sweep_stats(sweep)->expired);
}

void storage_metrics_add_verify(struct metrics *metrics, struct verify *verify)
{
    struct verify_stats *stats;

    if (verify == NULL)
        return;
    stats = verify_stats(verify);
    metrics_counter(metrics, "kist_replica_leaves_verified_total",
                    "Leaves whose sums and records were verified.", NULL,
                    &stats->leaves);
    metrics_counter(metrics, "kist_replica_sums_corrected_total",
                    "Sums that were not those of their records.", NULL,
                    &stats->corrected);
    metrics_counter(metrics, "kist_replica_damaged_records_total",
                    "Records that the verification could not read.", NULL,
                    &stats->damaged);
    metrics_counter(metrics, "kist_replica_verify_errors_total",
                    "Leaves that could not be verified just then.", NULL,
                    &stats->errors);
}
