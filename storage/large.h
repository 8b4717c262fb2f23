/*
 * large - values too large for the engine: a file each.
 *
 *     large/incoming/<id>   being written; of an earlier run: rubbish
 *     large/<2 hex>/<id>    whole and synced, before any record names it
 *     large/damaged/<id>    found to be changed on disk (storage/large_scrub.h)
 *
 * The record of such a value holds a reference (storage/large_reference.h),
 * and the engine's key 'l' + id says which key uses the file
 * (storage/large_entry.h). A file is written, synced, renamed into its place,
 * and its directory is synced: only then may a record name it. It goes after
 * the batch that took its last record away was synced. So a crash at any
 * moment leaves the old value or the new one, whole, and at worst a file that
 * nobody names: storage/large_orphans.h.
 *
 * Space: a file asks for its room before it takes it, and what was announced
 * for others counts as taken. A full disk fails that file alone. The room
 * that uploads leave alone is a quarter more than the reserve, so that they do
 * not stop the small writes.
 *
 * Threads: any; each file by one at a time. Calls marked "blocks" belong on
 * the pool or the commit thread.
 */
#ifndef KIST_STORAGE_LARGE_H
#define KIST_STORAGE_LARGE_H

#include "base/metric.h"
#include "storage/engine.h"
#include "storage/large_reference.h"

struct large;

struct large_options {
    const char *directory;  /* The data directory. */
    uint64_t reserve_bytes; /* Free space that files leave alone. */
    /* KIST_OK, or why no file may be begun now. Any thread. */
    enum kist_status (*writable)(void *ctx);
    void *ctx;
};

/*
 * Makes the directories that are missing. Gives *out_large, ended by
 * large_close(). KIST_DISK_FULL: there is no room for a directory. KIST_IO,
 * KIST_NO_MEMORY. Blocks.
 */
KIST_CHECKED enum kist_status large_open(const struct large_options *options,
                                         struct engine_fault *out_fault,
                                         struct large **out_large);

/* Every file was discarded before. Takes NULL. */
void large_close(struct large *large);

/* Writing. */

struct large_file;

/*
 * Begin a file of announced bytes, or of a size that is not known (0).
 * KIST_DISK_FULL: it would not fit. KIST_READ_ONLY: the store takes no writes.
 * KIST_IO, KIST_NO_MEMORY. Gives *out_file, ended by large_discard(). Blocks.
 */
KIST_CHECKED enum kist_status large_create(struct large *large,
                                           uint64_t announced,
                                           struct large_file **out_file);

/*
 * KIST_DISK_FULL, KIST_IO: the file is spoilt, and answers the same to every
 * later call. Blocks.
 */
KIST_CHECKED enum kist_status large_append(struct large_file *file,
                                           struct view bytes);

/* Bytes appended so far. */
uint64_t large_size(const struct large_file *file);

/*
 * On stable storage and in its place; a record may hold *out_reference from
 * now on. Once; nothing is appended after it. Failures as large_append().
 * Blocks, for as long as a sync takes.
 */
KIST_CHECKED enum kist_status
large_finish(struct large_file *file, struct large_reference *out_reference);

/*
 * The same for a value whose record comes from another node: *reference is the
 * record's, and the file gets its name, so that all nodes keep that record as
 * it is. There may be such a file already. KIST_CORRUPT: other bytes came than
 * it says. KIST_NO_MEMORY. Nobody but the commit drops it (large_claim()).
 */
KIST_CHECKED enum kist_status
large_finish_as(struct large_file *file,
                const struct large_reference *reference);

/*
 * The same under a name that the caller gives it in *reference (boot and
 * serial), of which size and hash are what they are. Which name: so that the
 * same write, sent again, has the same file.
 */
KIST_CHECKED enum kist_status
large_finish_named(struct large_file *file, struct large_reference *reference);

/* The hash of all that was appended so far. */
uint64_t large_hash(const struct large_file *file);

/*
 * Frees the handle. A file that was not finished is removed; one that was
 * stays: if no record came to name it, large_drop() it. Takes NULL. Blocks.
 */
void large_discard(struct large_file *file);

/*
 * The file is not needed any more: large_tend() removes it. For the commit,
 * once a record is gone for good, and for who finished a file that no record
 * will name because its write failed (not with KIST_UNKNOWN: then a restart
 * finds out). Does not block.
 */
void large_drop(struct large *large, const struct large_reference *reference);

/*
 * For the commit, which is about to make a record from another node name the
 * file: it is there, and is not dropped any more if it was. False: it has to
 * be brought first.
 */
KIST_CHECKED bool large_claim(struct large *large,
                              const struct large_reference *reference);

/* Reading. Readers of a file go on when it is removed. */

/*
 * Gives *out_descriptor (close()), positioned at the value's start; the file
 * has the size it must have. KIST_NOT_FOUND: no such file. If the record still
 * holds the same reference, it was lost or is damaged, else the value was
 * replaced meanwhile. KIST_CORRUPT: another size. KIST_BUSY: no descriptor is
 * left. KIST_IO.
 */
KIST_CHECKED enum kist_status
large_open_file(struct large *large, const struct large_reference *reference,
                int *out_descriptor);

/*
 * Append the whole value to *out, its hash verified; after a failure *out is
 * as before. As large_open_file(); KIST_CORRUPT: wrong bytes. KIST_NO_MEMORY.
 * Blocks.
 */
KIST_CHECKED enum kist_status
large_read(struct large *large, const struct large_reference *reference,
           struct blob *out);

/* Remove what was dropped. One thread at a time; blocks. */
void large_tend(struct large *large);

/* Any thread: large_tend() ends soon; the next start removes the rest. */
void large_stop(struct large *large);

struct large_stats {
    struct gauge files;   /* In their places. After a start they are counted */
    struct gauge bytes;   /* by storage/large_orphans.h. */
    struct gauge running; /* Created, and not yet discarded. */
    struct gauge dropped; /* To be removed. */
    struct gauge damaged; /* In large/damaged. */
    struct counter written_bytes;
    struct counter refused; /* KIST_DISK_FULL. */
    struct counter errors;  /* Files that could not be written or removed. */
};

struct large_stats *large_stats(struct large *large);

#endif
