/* The text of /metrics, exactly: scrapers parse it by the byte. */
#include "service/metrics.h"

#include <math.h>
#include <signal.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct metrics *metrics;
static struct blob text;

static void set_up(void)
{
    cr_assert(eq(int, metrics_open(&metrics), KIST_OK));
}

static void tear_down(void)
{
    metrics_close(metrics);
    blob_free(&text);
}

TestSuite(metrics, .init = set_up, .fini = tear_down, .timeout = 10);

/* The whole page, terminated; seals the registry. */
static char *render(enum metrics_format format)
{
    cr_assert(eq(int, metrics_seal(metrics), KIST_OK));
    blob_clear(&text);
    metrics_render(metrics, format, &text);
    blob_append_byte(&text, '\0');
    cr_assert(not(text.failed));
    return text.data;
}

static double read_number(void *ctx)
{
    return *(double *)ctx;
}

static struct metric_source source_of(double *number)
{
    return (struct metric_source){read_number, number};
}

Test(metrics, an_empty_registry_is_an_empty_page)
{
    cr_assert(eq(str, render(METRICS_PROMETHEUS), ""));
}

Test(metrics, an_empty_openmetrics_page_still_has_its_end)
{
    cr_assert(eq(str, render(METRICS_OPENMETRICS), "# EOF\n"));
}

Test(metrics, a_family_is_shown_once_where_its_first_series_was_registered)
{
    struct counter got = {0}, put = {0};
    struct gauge open = {0};

    metrics_counter(metrics, "kist_requests_total", "Requests.",
                    "method=\"get\"", &got);
    metrics_gauge(metrics, "kist_connections", "Open now.", NULL, &open);
    metrics_counter(metrics, "kist_requests_total", "Requests.",
                    "method=\"put\"", &put);
    counter_add(&put, UINT64_MAX);
    gauge_add(&open, -3);

    cr_assert(eq(str, render(METRICS_PROMETHEUS),
                 "# HELP kist_requests_total Requests.\n"
                 "# TYPE kist_requests_total counter\n"
                 "kist_requests_total{method=\"get\"} 0\n"
                 "kist_requests_total{method=\"put\"} 18446744073709551615\n"
                 "# HELP kist_connections Open now.\n"
                 "# TYPE kist_connections gauge\n"
                 "kist_connections -3\n"));
}

Test(metrics, openmetrics_names_a_counter_family_without_total)
{
    struct counter requests = {0};
    double seconds = 1.5;

    metrics_counter(metrics, "kist_requests_total", "Requests.", NULL,
                    &requests);
    metrics_read_counter(metrics, "process_cpu_seconds_total", "CPU time.",
                         NULL, source_of(&seconds));
    counter_add(&requests, 7);

    cr_assert(eq(str, render(METRICS_OPENMETRICS),
                 "# HELP kist_requests Requests.\n"
                 "# TYPE kist_requests counter\n"
                 "kist_requests_total 7\n"
                 "# HELP process_cpu_seconds CPU time.\n"
                 "# TYPE process_cpu_seconds counter\n"
                 "# UNIT process_cpu_seconds seconds\n"
                 "process_cpu_seconds_total 1.5\n"
                 "# EOF\n"));
}

Test(metrics, openmetrics_tells_the_unit_of_sizes_and_durations)
{
    struct gauge queued = {0};

    metrics_gauge(metrics, "kist_queue_bytes", "Waiting.", NULL, &queued);

    cr_assert(eq(str, render(METRICS_OPENMETRICS),
                 "# HELP kist_queue_bytes Waiting.\n"
                 "# TYPE kist_queue_bytes gauge\n"
                 "# UNIT kist_queue_bytes bytes\n"
                 "kist_queue_bytes 0\n"
                 "# EOF\n"));
}

/* 50 us, 100 us, 3 ms and 11 s: on a bound, between bounds, above all. */
static void observe_four(struct histogram *histogram)
{
    histogram_observe(histogram, 50000);
    histogram_observe(histogram, 100000);
    histogram_observe(histogram, 3000000);
    histogram_observe(histogram, UINT64_C(11000000001));
}

Test(metrics, a_histogram_is_cumulative_and_in_seconds)
{
    struct histogram took = {0};

    metrics_histogram(metrics, "kist_took_seconds", "Time.", NULL, &took);
    observe_four(&took);

    cr_assert(eq(str, render(METRICS_PROMETHEUS),
                 "# HELP kist_took_seconds Time.\n"
                 "# TYPE kist_took_seconds histogram\n"
                 "kist_took_seconds_bucket{le=\"5e-05\"} 1\n"
                 "kist_took_seconds_bucket{le=\"0.0001\"} 2\n"
                 "kist_took_seconds_bucket{le=\"0.00025\"} 2\n"
                 "kist_took_seconds_bucket{le=\"0.0005\"} 2\n"
                 "kist_took_seconds_bucket{le=\"0.001\"} 2\n"
                 "kist_took_seconds_bucket{le=\"0.0025\"} 2\n"
                 "kist_took_seconds_bucket{le=\"0.005\"} 3\n"
                 "kist_took_seconds_bucket{le=\"0.01\"} 3\n"
                 "kist_took_seconds_bucket{le=\"0.025\"} 3\n"
                 "kist_took_seconds_bucket{le=\"0.05\"} 3\n"
                 "kist_took_seconds_bucket{le=\"0.1\"} 3\n"
                 "kist_took_seconds_bucket{le=\"0.25\"} 3\n"
                 "kist_took_seconds_bucket{le=\"0.5\"} 3\n"
                 "kist_took_seconds_bucket{le=\"1\"} 3\n"
                 "kist_took_seconds_bucket{le=\"2.5\"} 3\n"
                 "kist_took_seconds_bucket{le=\"10\"} 3\n"
                 "kist_took_seconds_bucket{le=\"+Inf\"} 4\n"
                 "kist_took_seconds_sum 11.003150001\n"
                 "kist_took_seconds_count 4\n"));
}

Test(metrics, openmetrics_bounds_are_floats_and_follow_the_labels)
{
    struct histogram took = {0};

    metrics_histogram(metrics, "kist_took_seconds", "Time.", "route=\"kv\"",
                      &took);
    observe_four(&took);

    const char *page = render(METRICS_OPENMETRICS);
    cr_assert(ne(ptr,
                 strstr(page, "kist_took_seconds_bucket"
                              "{route=\"kv\",le=\"1.0\"} 3\n"),
                 NULL));
    cr_assert(ne(ptr,
                 strstr(page, "kist_took_seconds_bucket"
                              "{route=\"kv\",le=\"10.0\"} 3\n"),
                 NULL));
    cr_assert(ne(ptr, strstr(page, "kist_took_seconds_count{route=\"kv\"} 4\n"),
                 NULL));
}

static size_t guests;

static size_t count_guests(void *ctx)
{
    return *(size_t *)ctx;
}

/* The second one has none. */
static bool read_guest(void *ctx, size_t item, struct blob *labels,
                       double *out_value)
{
    (void)ctx;
    blob_printf(labels, "guest=\"%zu\"", item);
    *out_value = (double)item / 2;
    return item != 1;
}

Test(metrics, of_a_list_come_and_go_with_its_items)
{
    metrics_list_gauge(metrics, "kist_guest", "One.",
                       (struct metric_list){count_guests, read_guest, &guests});
#define HEAD "# HELP kist_guest One.\n# TYPE kist_guest gauge\n"
    cr_assert(eq(str, render(METRICS_PROMETHEUS), HEAD));
    guests = 3;
    cr_assert(eq(str, render(METRICS_PROMETHEUS),
                 HEAD "kist_guest{guest=\"0\"} 0\n"
                      "kist_guest{guest=\"2\"} 1\n"));
#undef HEAD
}

Test(metrics, values_are_looked_up_at_each_scrape_and_lose_nothing)
{
    double number = 0.1;

    metrics_read_gauge(metrics, "kist_number", "One.", NULL,
                       source_of(&number));
#define PAGE(value)                                                            \
    "# HELP kist_number One.\n# TYPE kist_number gauge\nkist_number " value "\n"
    cr_assert(eq(str, render(METRICS_PROMETHEUS), PAGE("0.1")));
    number = 1.0 / 3;
    cr_assert(eq(str, render(METRICS_PROMETHEUS), PAGE("0.33333333333333331")));
    number = 9007199254740991;
    cr_assert(eq(str, render(METRICS_PROMETHEUS), PAGE("9007199254740991")));
    number = -INFINITY;
    cr_assert(eq(str, render(METRICS_PROMETHEUS), PAGE("-Inf")));
    number = NAN;
    cr_assert(eq(str, render(METRICS_PROMETHEUS), PAGE("NaN")));
#undef PAGE
}

Test(metrics, labels_may_be_built_in_a_buffer_that_goes_away)
{
    struct counter requests = {0};
    char labels[] = "code=\"2xx\"";

    metrics_counter(metrics, "kist_requests_total", "Requests.", labels,
                    &requests);
    memset(labels, 'x', sizeof(labels) - 1);

    cr_assert(ne(ptr, strstr(render(METRICS_PROMETHEUS), "{code=\"2xx\"} 0\n"),
                 NULL));
}

Test(metrics, registering_after_the_start_is_our_mistake, .signal = SIGABRT)
{
    struct counter late = {0};

    render(METRICS_PROMETHEUS);
    metrics_counter(metrics, "kist_late_total", "Late.", NULL, &late);
}

Test(metrics, a_series_cannot_come_twice, .signal = SIGABRT)
{
    struct counter once = {0};

    metrics_counter(metrics, "kist_once_total", "Once.", NULL, &once);
    metrics_counter(metrics, "kist_once_total", "Once.", NULL, &once);
}

Test(metrics, a_family_keeps_its_type, .signal = SIGABRT)
{
    struct gauge gauge = {0};
    struct histogram histogram = {0};

    metrics_histogram(metrics, "kist_age_seconds", "Age.", "of=\"a\"",
                      &histogram);
    metrics_gauge(metrics, "kist_age_seconds", "Age.", "of=\"b\"", &gauge);
}

Test(metrics, only_a_counter_ends_in_total, .signal = SIGABRT)
{
    struct gauge gauge = {0};

    metrics_gauge(metrics, "kist_keys_total", "Keys.", NULL, &gauge);
}
