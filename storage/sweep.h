/*
 * sweep - takes expired records out of the engine, a bounded number a second.
 *
 * Readers never see an expired record (record_is_dead), so the sweep is about
 * space, and about telling watchers. It follows the expiry entries in order
 * of time and hands the keys to the commit, which looks again.
 *
 * Threads: the loop it was opened on.
 */
#ifndef KIST_STORAGE_SWEEP_H
#define KIST_STORAGE_SWEEP_H

#include "base/loop.h"
#include "base/metric.h"
#include "storage/commit.h"

struct sweep;

/*
 * lane is loop's; keys_per_second is at least 10. Everything is kept. sync is
 * what clients' writes get: an unsynced tail of a log that LevelDB then
 * leaves, torn by a power loss before synced writes in the next one, would
 * look like their loss.
 */
KIST_CHECKED enum kist_status sweep_open(struct store *store, struct loop *loop,
                                         struct commit_lane *lane,
                                         enum engine_sync sync,
                                         uint64_t keys_per_second,
                                         struct sweep **out_sweep);

/* Starts nothing more. What is under way ends on its own: sweep_idle(). */
void sweep_stop(struct sweep *sweep);
bool sweep_idle(const struct sweep *sweep);

/* Stopped and idle. Takes NULL. */
void sweep_close(struct sweep *sweep);

struct sweep_stats {
    struct counter expired; /* Records taken out. */
};

struct sweep_stats *sweep_stats(struct sweep *sweep);

#endif
