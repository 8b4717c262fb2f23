#include "service/large_metrics.h"

static double scrub_ended(void *ctx)
{
    const struct large_scrub_stats *stats = ctx;
    return (double)gauge_read(&stats->ended_ms) / 1e3;
}

static void add_files(struct metrics *metrics, struct large_stats *stats)
{
    const struct {
        const char *name, *help;
        struct gauge *gauge;
    } gauges[] = {
        {"kist_large_files",
         "Files of large values; after a start, of those counted so far.",
         &stats->files},
        {"kist_large_bytes", "Bytes in files of large values.", &stats->bytes},
        {"kist_large_uploads", "Large values that are being written.",
         &stats->running},
        {"kist_large_dropped_files",
         "Files of replaced and deleted values, still to be removed.",
         &stats->dropped},
        {"kist_large_damaged_files", "Files that were moved to large/damaged.",
         &stats->damaged},
    };

    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        metrics_gauge(metrics, gauges[i].name, gauges[i].help, NULL,
                      gauges[i].gauge);
    metrics_counter(metrics, "kist_large_written_bytes_total",
                    "Bytes of large values written to files.", NULL,
                    &stats->written_bytes);
    metrics_counter(metrics, "kist_large_refused_total",
                    "Large values for which the disk had no room.", NULL,
                    &stats->refused);
    metrics_counter(metrics, "kist_large_errors_total",
                    "Files of large values not written or not removed.", NULL,
                    &stats->errors);
}

static void add_scrub(struct metrics *metrics, struct large_scrub_stats *stats)
{
    metrics_counter(metrics, "kist_large_scrub_bytes_total",
                    "Bytes that the scrub has read.", NULL, &stats->bytes);
    metrics_counter(metrics, "kist_large_scrub_passes_total",
                    "Times the scrub has read everything.", NULL,
                    &stats->passes);
    metrics_counter(metrics, "kist_large_scrub_damaged_total",
                    "Large values that the scrub found damaged or lost.", NULL,
                    &stats->damaged);
    metrics_counter(metrics, "kist_large_scrub_errors_total",
                    "Files that the scrub could not read.", NULL,
                    &stats->errors);
    metrics_read_gauge(metrics, "kist_large_scrub_last_pass_timestamp_seconds",
                       "When the scrub last had read everything; 0: never.",
                       NULL, (struct metric_source){scrub_ended, stats});
}

void large_metrics_init(struct metrics *metrics, struct large *large,
                        struct large_care *care)
{
    struct large_orphans_stats *orphans = large_care_orphans(care);

    add_files(metrics, large_stats(large));
    metrics_counter(metrics, "kist_large_orphans_total",
                    "Files removed that a crash had left behind.", NULL,
                    &orphans->removed);
    metrics_gauge(metrics, "kist_large_collecting",
                  "1 while such files are looked for after a start.", NULL,
                  &orphans->collecting);
    add_scrub(metrics, large_care_scrub(care));
}
