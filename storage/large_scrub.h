/*
 * large_scrub - reads the files of large values again and again, slowly, to
 * find out that a disk has changed them before a client does.
 *
 * A value that does not have its hash any more, twice, is moved to
 * large/damaged: it is not served any longer (KIST_CORRUPT), and nothing of it
 * is lost. A pass over all values begins at most once a day. Where it stands
 * is kept in large/scrub, so that restarts do not begin it anew.
 *
 * A file that cannot be read now is left where it is, and counted.
 *
 * Threads: one at a time, the one that also calls large_tend(). Blocks.
 */
#ifndef KIST_STORAGE_LARGE_SCRUB_H
#define KIST_STORAGE_LARGE_SCRUB_H

#include "storage/store.h"

#define LARGE_SCRUB_EVERY_MS (UINT64_C(24) * 3600 * 1000)

struct large_scrub;

struct large_scrub_options {
    uint64_t bytes_per_second; /* 0: nothing is read. */
    void *ctx;
    /*
     * The value of key is damaged, or lost: once for each file and pass, in
     * large_scrub_run(). name is the file's.
     */
    void (*damaged)(void *ctx, struct view key, const char *name,
                    const char *why);
};

/* Keeps store, copies options. KIST_NO_MEMORY. Gives *out_scrub. */
KIST_CHECKED enum kist_status
large_scrub_open(struct store *store, const struct large_scrub_options *options,
                 struct large_scrub **out_scrub);
void large_scrub_close(struct large_scrub *scrub); /* Takes NULL. */

/*
 * Read what the rate allows for the time since the last call, one second's
 * worth at most. Times in milliseconds: since some moment, and since 1970.
 */
void large_scrub_run(struct large_scrub *scrub, uint64_t mono_ms,
                     uint64_t wall_ms);

/* Any thread: large_scrub_run() ends soon. */
void large_scrub_stop(struct large_scrub *scrub);

struct large_scrub_stats {
    struct counter bytes;
    struct counter passes;
    struct counter damaged; /* Found so, or lost. */
    struct counter errors;  /* Could not be read. */
    struct gauge ended_ms;  /* The last whole pass, wall time; 0: none yet. */
};

struct large_scrub_stats *large_scrub_stats(struct large_scrub *scrub);

#endif
