#include "service/readiness.h"

#include "base/clock.h"

bool readiness_engine(void *ctx, const char **out_why)
{
    const struct readiness *node = ctx;

    *out_why = "the engine is closed and being opened again";
    return store_state(node->store) != STORE_DOWN;
}

bool readiness_disk(void *ctx, const char **out_why)
{
    const struct readiness *node = ctx;

    *out_why = "the disk is too full to write; reads go on";
    return store_state(node->store) != STORE_READ_ONLY;
}

bool readiness_commit_queue(void *ctx, const char **out_why)
{
    const struct readiness *node = ctx;
    int64_t queued = gauge_read(&commit_stats(node->commit)->queued_bytes);

    *out_why = "nine tenths of --commit-queue-bytes wait to be written";
    return queued < 0 ||
           (uint64_t)queued < node->settings->commit_queue_bytes / 10 * 9;
}

bool readiness_clock(void *ctx, const char **out_why)
{
    const struct readiness *node = ctx;

    *out_why = "the wall clock was set back by more than a minute";
    return hlc_ahead_ms(store_clock(node->store), clock_wall_ms()) <
           READINESS_CLOCK_MS;
}
