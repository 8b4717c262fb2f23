/*
 * api - what all handlers work with. Filled by service/main.c.
 */
#ifndef KIST_API_API_H
#define KIST_API_API_H

#include "api/request.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/settings.h"

#include <stdatomic.h>

struct store;
struct commit;
struct commit_lane;
struct waiters;

struct api {
    /* Set before the server opens, then read-only. All kept. */
    const struct settings *settings;
    struct log *log;
    struct metrics *metrics;
    struct store *store;
    struct commit *commit;
    struct waiters *waiters;
    size_t loops;

    atomic_bool stopping; /* Set once: new requests get 503. */
};

/* One a loop, made by api_loop_open on the loop's behalf. */
struct api_loop {
    struct api *api;
    struct loop *loop;
    size_t index;             /* 0 .. api->loops - 1 */
    struct commit_lane *lane; /* Flushed by the server at each turn's end. */
};

#endif
