/*
 * backup - all that a node holds at one moment, as a file that is made piece
 * by piece: docs/backup.md, storage/backup_frame.h.
 *
 * Records go into it verbatim: versions, expiry, and in a cluster deletions
 * and what has expired. After the frame that ends with a large value's record
 * comes the value. Every record and value is checked on its way, so a backup
 * that comes to its end can be restored; one that meets damage does not.
 *
 * Memory does not follow what is stored: a frame or two, and the largest
 * record. What it costs on disk meanwhile: storage/snapshot.h.
 *
 * Threads: any, one at a time.
 */
#ifndef KIST_STORAGE_BACKUP_H
#define KIST_STORAGE_BACKUP_H

#include "storage/store.h"

enum { BACKUP_FORMAT = 1 };

struct backup;

/*
 * Begin: the backup is as of this moment. about: lines "name value" for the
 * manifest, beside those of the store's own; copied. Does not block.
 * KIST_BUSY: there is another one. KIST_READ_ONLY: the engine is away.
 * KIST_NO_MEMORY. Gives *out_backup, ended by backup_close().
 */
KIST_CHECKED enum kist_status
backup_open(struct store *store, struct view about, struct backup **out_backup);
void backup_close(struct backup *backup); /* Takes NULL. */

/*
 * Append the next frame to *out; nothing: the last one was given. KIST_CORRUPT:
 * a record or value is damaged. KIST_DISK_FULL: the room that it costs is
 * needed. KIST_READ_ONLY: the engine was opened anew. KIST_IO, KIST_NO_MEMORY.
 * After a failure there is no other piece. Blocks.
 */
KIST_CHECKED enum kist_status backup_piece(struct backup *backup,
                                           struct blob *out);

/* Where a failure was met: a key, or empty. Borrowed until the next call. */
struct view backup_key(const struct backup *backup);

/* What is in it so far; all of it once the last piece was given. */
struct backup_counts {
    uint64_t records;
    uint64_t record_bytes; /* Keys and records. */
    uint64_t values;       /* Large ones. */
    uint64_t value_bytes;
    struct version largest;
};

const struct backup_counts *backup_counts(const struct backup *backup);

/* The lines of a tail, as they are written and have to be found. */
void backup_print_tail(const struct backup_counts *counts, struct blob *out);

#endif
