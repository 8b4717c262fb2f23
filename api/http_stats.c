#include "api/http_stats.h"

#include "api/head.h"
#include "service/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { LABELS_SIZE = 160 };

enum kist_status http_stats_open(struct http_stats **out_stats)
{
    struct http_stats *stats = calloc(1, sizeof(*stats));

    if (stats == NULL)
        return KIST_NO_MEMORY;
    stats->routes = calloc(routes_count + 1, sizeof(*stats->routes));
    if (stats->routes == NULL) {
        free(stats);
        return KIST_NO_MEMORY;
    }
    *out_stats = stats;
    return KIST_OK;
}

void http_stats_close(struct http_stats *stats)
{
    if (stats == NULL)
        return;
    free(stats->routes);
    free(stats);
}

static void register_route(struct http_stats *stats, struct metrics *metrics,
                           size_t i)
{
    static const char *const classes[HTTP_CLASSES] = {"2xx", "3xx", "4xx",
                                                      "5xx"};
    bool matched = i < routes_count;
    const char *route = matched ? routes[i].label : "none";
    const char *method = matched ? head_method_name(routes[i].method) : "any";
    char labels[LABELS_SIZE];
    int size;

    for (size_t class = 0; class < HTTP_CLASSES; class ++) {
        size = snprintf(labels, sizeof(labels),
                        "route=\"%s\",method=\"%s\",code=\"%s\"", route, method,
                        classes[class]);
        assert(size > 0 && (size_t)size < sizeof(labels));
        metrics_counter(metrics, "kist_http_requests_total",
                        "Requests answered.", labels,
                        &stats->routes[i].answered[class]);
    }
    size = snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\"", route,
                    method);
    assert(size > 0 && (size_t)size < sizeof(labels));
    metrics_histogram(metrics, "kist_http_request_duration_seconds",
                      "From the whole request head to the last byte sent.",
                      labels, &stats->routes[i].duration);
}

static void register_reasons(struct http_stats *stats, struct metrics *metrics)
{
    static const char *const refusals[HTTP_REFUSALS] = {
        [HTTP_REFUSED_TOTAL] = "reason=\"total\"",
        [HTTP_REFUSED_ADDRESS] = "reason=\"address\"",
        [HTTP_REFUSED_FAILED] = "reason=\"failed\"",
    };
    static const char *const ends[HTTP_ENDS] = {
        [HTTP_END_HEAD] = "reason=\"head\"",
        [HTTP_END_BODY] = "reason=\"body\"",
        [HTTP_END_ANSWER] = "reason=\"answer\"",
        [HTTP_END_IDLE] = "reason=\"idle\"",
        [HTTP_END_GONE] = "reason=\"gone\"",
        [HTTP_END_EVICTED] = "reason=\"evicted\"",
        [HTTP_END_STOPPING] = "reason=\"stopping\"",
    };

    for (size_t i = 0; i < HTTP_REFUSALS; i++)
        metrics_counter(metrics, "kist_http_connections_refused_total",
                        "Connections not let in.", refusals[i],
                        &stats->refused[i]);
    for (size_t i = 0; i < HTTP_ENDS; i++)
        metrics_counter(metrics, "kist_http_connections_ended_total",
                        "Connections ended by this node.", ends[i],
                        &stats->ended[i]);
}

static void register_problems(struct http_stats *stats, struct metrics *metrics)
{
    char labels[LABELS_SIZE];

    for (enum problem problem = 0; problem < PROBLEM_COUNT; problem++) {
        int size = snprintf(labels, sizeof(labels), "problem=\"%s\"",
                            problem_row(problem)->slug);

        assert(size > 0 && (size_t)size < sizeof(labels));
        metrics_counter(metrics, "kist_http_problems_total",
                        "Problem documents sent, by type.", labels,
                        &stats->problems[problem]);
    }
}

static void register_totals(struct http_stats *stats, struct metrics *metrics)
{
    metrics_counter(metrics, "kist_http_connections_accepted_total",
                    "Connections let in.", NULL, &stats->accepted);
    metrics_counter(metrics, "kist_http_requests_lost_total",
                    "Requests whose answer did not go out whole.", NULL,
                    &stats->lost);
    metrics_counter(metrics, "kist_http_request_body_bytes_total",
                    "Bytes of request bodies received.", NULL,
                    &stats->received_bytes);
    metrics_counter(metrics, "kist_http_response_body_bytes_total",
                    "Bytes of response bodies handed over for sending.", NULL,
                    &stats->sent_bytes);
    metrics_gauge(metrics, "kist_http_connections", "Connections open now.",
                  NULL, &stats->connections);
    metrics_gauge(metrics, "kist_http_requests_in_flight",
                  "Requests between their head and their last byte.", NULL,
                  &stats->in_flight);
    metrics_gauge(metrics, "kist_http_requests_parked",
                  "Requests that wait for their answer to be made.", NULL,
                  &stats->parked);
}

void http_stats_register(struct http_stats *stats, struct metrics *metrics)
{
    for (size_t i = 0; i <= routes_count; i++)
        register_route(stats, metrics, i);
    register_totals(stats, metrics);
    register_reasons(stats, metrics);
    register_problems(stats, metrics);
}

void http_stats_answered(struct http_stats *stats, const struct route *route,
                         unsigned code, uint64_t duration_ns)
{
    size_t i = route == NULL ? routes_count : (size_t)(route - routes);

    assert(code >= 200 && code < 600);
    counter_add(&stats->routes[i].answered[code / 100 - 2], 1);
    histogram_observe(&stats->routes[i].duration, duration_ns);
}
