#include "service/backup_metrics.h"

static double last_time(void *ctx)
{
    const struct backup_stats *stats = ctx;
    return (double)gauge_read(&stats->last_ms) / 1e3;
}

void backup_metrics_init(struct metrics *metrics, struct backup_stats *stats)
{
    static const char ended[] = "kist_backups_total";
    static const char ended_help[] =
        "Backups that ended: done, failed here, or cut by the client.";

    metrics_gauge(metrics, "kist_backup_running",
                  "1 while a backup is given out.", NULL, &stats->running);
    metrics_counter(metrics, ended, ended_help, "end=\"done\"", &stats->done);
    metrics_counter(metrics, ended, ended_help, "end=\"failed\"",
                    &stats->failed);
    metrics_counter(metrics, ended, ended_help, "end=\"cut\"", &stats->cut);
    metrics_read_gauge(metrics, "kist_backup_last_timestamp_seconds",
                       "As of when the last whole backup is; 0: there was none "
                       "since the start.",
                       NULL, (struct metric_source){last_time, stats});
    metrics_gauge(metrics, "kist_backup_last_bytes",
                  "The size of the last whole backup.", NULL,
                  &stats->last_size);
}
