/*
 * metrics - every series that kistd shows, and their text.
 *
 * Counting knows no names: a module owns its counters, gauges and histograms
 * (base/metric.h) and registers them here once, at start. So a count costs
 * one relaxed add, every series is there from the first scrape on with its
 * zero, and a name or label is checked when the process starts, not when
 * somebody looks.
 *
 * A family is all series of one name: it is shown once, where its first
 * series was registered, with HELP and TYPE before all of its series.
 *
 * Threads: one thread registers and then calls metrics_seal(); from then on
 * the registry never changes and metrics_render() may run on any thread,
 * several at once. Registering after that is our mistake: an assertion.
 */
#ifndef KIST_SERVICE_METRICS_H
#define KIST_SERVICE_METRICS_H

#include "base/bytes.h"
#include "base/metric.h"
#include "base/status.h"

#include <stdbool.h>

struct metrics;

/* An empty registry. The caller ends *out_metrics with metrics_close(). */
KIST_CHECKED enum kist_status metrics_open(struct metrics **out_metrics);
void metrics_close(struct metrics *metrics); /* Takes NULL. */

/*
 * One more series of the family name. Keeps name, help and the metric;
 * copies labels, which are NULL or ready text (`route="key",code="2xx"`: the
 * caller writes only values that need no escaping, as all of ours do).
 *
 * Asserted: a counter's name, and no other, ends in _total; durations and
 * sizes are in seconds and bytes and say so; a family keeps its type and
 * help; no series comes twice. Running out of memory is remembered for
 * metrics_seal().
 */
void metrics_counter(struct metrics *metrics, const char *name,
                     const char *help, const char *labels,
                     const struct counter *counter);
void metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                   const char *labels, const struct gauge *gauge);
/* Nanoseconds inside, seconds in the text; name ends in _seconds. */
void metrics_histogram(struct metrics *metrics, const char *name,
                       const char *help, const char *labels,
                       const struct histogram *histogram);

/*
 * A value that is looked up at each scrape. read is called on the thread that
 * renders, maybe on several at once, with no lock held; it must not block.
 */
struct metric_source {
    double (*read)(void *ctx);
    void *ctx; /* Kept. */
};

/* As above, for what somebody else counts (the kernel, the engine). */
void metrics_read_counter(struct metrics *metrics, const char *name,
                          const char *help, const char *labels,
                          struct metric_source source);
void metrics_read_gauge(struct metrics *metrics, const char *name,
                        const char *help, const char *labels,
                        struct metric_source source);

/*
 * A family whose series come and go: one for each item of a list, as it is at
 * the scrape. Called as above.
 */
struct metric_list {
    size_t (*count)(void *ctx);
    /* Append the labels; false: this item has no series now. */
    bool (*read)(void *ctx, size_t item, struct blob *labels,
                 double *out_value);
    void *ctx; /* Kept. */
};

void metrics_list_gauge(struct metrics *metrics, const char *name,
                        const char *help, struct metric_list list);

/*
 * Registration is over; needed once, before the first metrics_render().
 * KIST_NO_MEMORY: some series found no room, and kistd must not start blind.
 */
KIST_CHECKED enum kist_status metrics_seal(struct metrics *metrics);

enum metrics_format {
    METRICS_PROMETHEUS,  /* Text format 0.0.4. */
    METRICS_OPENMETRICS, /* OpenMetrics 1.0, ends in `# EOF`. */
};

/* The media type that goes with the text. */
const char *metrics_media_type(enum metrics_format format);

/* Append all families to out; as with any append, check out->failed. */
void metrics_render(const struct metrics *metrics, enum metrics_format format,
                    struct blob *out);

#endif
