/*
 * snapshot - the records as they were at one moment, for as long as it takes.
 *
 * It is an iterator of the engine that stays open, so it costs room: what the
 * engine rewrites, and the files of large values that are replaced or deleted,
 * stay on the disk until it is closed. The one who has it gives it up when
 * room gets scarce (snapshot_is_dear()). Hence one at a time.
 *
 * It is lost when the engine is opened anew (storage/store.h); that waits for
 * a call at most, not for the snapshot.
 *
 * Threads: any, one at a time.
 */
#ifndef KIST_STORAGE_SNAPSHOT_H
#define KIST_STORAGE_SNAPSHOT_H

#include "storage/store.h"

struct snapshot;

/*
 * Of this moment: what was acknowledged is in it. Does not block. KIST_BUSY:
 * there is one. KIST_READ_ONLY: the engine is away. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status snapshot_open(struct store *store,
                                            struct snapshot **out_snapshot);
void snapshot_close(struct snapshot *snapshot); /* Takes NULL. */

/*
 * The next record, key and bytes appended to *out_key and *out_bytes, in the
 * order of keys; dead ones, too. KIST_NOT_FOUND: there is none after the last
 * one. KIST_READ_ONLY: the snapshot is lost. KIST_CORRUPT, KIST_IO: it cannot
 * be read. Blocks.
 */
KIST_CHECKED enum kist_status snapshot_next(struct snapshot *snapshot,
                                            struct blob *out_key,
                                            struct blob *out_bytes);

/*
 * There was room on the disk, and soon there is too little for writes: closing
 * it may give some back. Blocks shortly.
 */
bool snapshot_is_dear(struct snapshot *snapshot);

#endif
