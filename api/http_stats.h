/*
 * http_stats - what is counted about HTTP.
 *
 * Labels come from our own tables (routes, problems, reasons), never from a
 * client, and each series exists from the start.
 *
 * Threads: the counters may be touched by any thread.
 */
#ifndef KIST_API_HTTP_STATS_H
#define KIST_API_HTTP_STATS_H

#include "api/problem.h"
#include "api/router.h"
#include "base/metric.h"
#include "base/status.h"

struct metrics;

enum { HTTP_CLASSES = 4 }; /* 2xx, 3xx, 4xx, 5xx */

struct http_route_stats {
    struct counter answered[HTTP_CLASSES];
    struct histogram duration; /* From the whole head to the last byte. */
};

/* Why a connection was not let in. */
enum http_refusal {
    HTTP_REFUSED_TOTAL,   /* --max-connections, and none of them idle. */
    HTTP_REFUSED_ADDRESS, /* --max-connections-per-address. */
    HTTP_REFUSED_FAILED,  /* Memory or descriptors ran out. */
    HTTP_REFUSALS
};

/* Why a connection was ended from our side before its client ended it. */
enum http_end {
    HTTP_END_HEAD,    /* The head was not complete in time. */
    HTTP_END_BODY,    /* The body came too slowly. */
    HTTP_END_ANSWER,  /* The answer was taken too slowly. */
    HTTP_END_IDLE,    /* No request for too long. */
    HTTP_END_GONE,    /* The client closed, and nobody noticed at once. */
    HTTP_END_EVICTED, /* The longest idle one, for a new connection. */
    HTTP_END_STOPPING,
    HTTP_ENDS
};

struct http_stats {
    struct http_route_stats *routes; /* routes_count, and one for no route. */
    struct counter problems[PROBLEM_COUNT];
    struct counter accepted;
    struct counter refused[HTTP_REFUSALS];
    struct counter ended[HTTP_ENDS];
    struct counter lost; /* Requests whose answer did not go out whole. */
    struct counter received_bytes;
    struct counter sent_bytes;
    struct gauge connections;
    struct gauge in_flight;
    struct gauge parked;
};

/* The caller ends *out_stats with http_stats_close(). */
KIST_CHECKED enum kist_status http_stats_open(struct http_stats **out_stats);
void http_stats_close(struct http_stats *stats); /* Takes NULL. */

/* metrics keeps the counters: close it first. */
void http_stats_register(struct http_stats *stats, struct metrics *metrics);

/* route NULL: nothing matched. */
void http_stats_answered(struct http_stats *stats, const struct route *route,
                         unsigned code, uint64_t duration_ns);

#endif
