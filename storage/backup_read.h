/*
 * backup_read - goes through a backup from its first byte to its last, and
 * checks all of it.
 *
 * Every frame's checksum, every record's, every large value's; that the keys
 * are in order, that what the tail says was there, and that nothing comes
 * after. What is told to the visitor before the end was checked by itself, but
 * the whole is known to be good only when the call returns.
 *
 * Memory: a frame, packed and unpacked.
 *
 * Threads: one.
 */
#ifndef KIST_STORAGE_BACKUP_READ_H
#define KIST_STORAGE_BACKUP_READ_H

#include "storage/backup.h"

/* What the manifest says; the rest of it is for people. */
struct backup_manifest {
    uint64_t node; /* The incarnation of who made it. */
    uint64_t time_ms;
    uint64_t clock_lease_ms;
};

/* Each may be NULL. Another status than KIST_OK ends the reading with it. */
struct backup_visitor {
    void *ctx;
    /* First of all. text: its lines. */
    enum kist_status (*manifest)(void *ctx,
                                 const struct backup_manifest *manifest,
                                 struct view text);
    /* bytes is record, encoded. reference: of a large one, else NULL. */
    enum kist_status (*record)(void *ctx, struct view key, struct view bytes,
                               const struct record *record,
                               const struct large_reference *reference);
    /* The next piece of the large value of the record before; is_last: that is
     * whole now, and what it must be. */
    enum kist_status (*value)(void *ctx, struct view bytes, bool is_last);
};

struct backup_summary {
    struct backup_manifest manifest;
    struct backup_counts counts;
    uint64_t bytes; /* Of the backup. */
};

/*
 * Reads descriptor, a file or a pipe, to its end. KIST_CORRUPT: it is damaged,
 * cut, or no backup; KIST_INVALID: of a newer format; KIST_IO: it cannot be
 * read; *out_fault says where and what. KIST_NO_MEMORY, and the visitor's: it
 * is empty unless the visitor fills it.
 */
KIST_CHECKED enum kist_status backup_read(int descriptor,
                                          const struct backup_visitor *visitor,
                                          struct engine_fault *out_fault,
                                          struct backup_summary *out_summary);

#endif
