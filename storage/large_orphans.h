/*
 * large_orphans - removes the files of large values that nobody came to name,
 * and counts the others.
 *
 * A crash leaves such files: half uploads, whole ones whose record was not
 * written yet, old ones whose removal was still to come. A start does not look
 * for them, because that takes as long as there are files; this goes through
 * them once, in the background. Only files of earlier runs are looked at. One
 * of them without an entry (storage/large_entry.h) never gets one again, so it
 * goes. What does not look like a file of ours is left alone.
 *
 * Threads: one at a time, the one that also calls large_tend(). Blocks.
 */
#ifndef KIST_STORAGE_LARGE_ORPHANS_H
#define KIST_STORAGE_LARGE_ORPHANS_H

#include "storage/store.h"

struct large_orphans;

/* Keeps store. KIST_NO_MEMORY. Gives *out_orphans. */
KIST_CHECKED enum kist_status
large_orphans_open(struct store *store, struct large_orphans **out_orphans);
void large_orphans_close(struct large_orphans *orphans); /* Takes NULL. */

/*
 * Go on for about so long. True: done for good. False: call it again, soon if
 * the engine is there.
 */
KIST_CHECKED bool large_orphans_run(struct large_orphans *orphans,
                                    uint64_t budget_ms);

struct large_orphans_stats {
    struct counter removed;
    struct gauge collecting; /* 1 until it is done. */
};

struct large_orphans_stats *large_orphans_stats(struct large_orphans *orphans);

#endif
