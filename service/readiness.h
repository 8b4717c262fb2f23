/*
 * readiness - what must hold for a node to be sent traffic.
 *
 * Threads: any; nothing blocks. *out_why is a literal, set where the answer
 * is false.
 */
#ifndef KIST_SERVICE_READINESS_H
#define KIST_SERVICE_READINESS_H

#include "service/settings.h"
#include "storage/commit.h"
#include "storage/store.h"

#include <stdbool.h>

/* Above this the clock was set back, and expiry is off by as much. */
#define READINESS_CLOCK_MS 60000

struct readiness {
    struct store *store; /* All kept. */
    struct commit *commit;
    const struct settings *settings;
};

/* ctx is a struct readiness: the shape that api/health.h asks for. */
bool readiness_engine(void *ctx, const char **out_why);
bool readiness_disk(void *ctx, const char **out_why);
bool readiness_commit_queue(void *ctx, const char **out_why);
bool readiness_clock(void *ctx, const char **out_why);

#endif
