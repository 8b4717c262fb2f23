/*
 * small_file - a file of a few lines, read whole and replaced whole.
 *
 * A replacement is written beside the old one, synced, renamed over it, and
 * the directory is synced: after a crash the old bytes or the new ones are
 * there, never a mixture.
 */
#ifndef KIST_STORAGE_SMALL_FILE_H
#define KIST_STORAGE_SMALL_FILE_H

#include "base/bytes.h"
#include "base/status.h"

enum { SMALL_FILE_MAX = 4096 };

/*
 * Appends the file's bytes to *bytes. KIST_NOT_FOUND: there is none.
 * KIST_TOO_LARGE: above SMALL_FILE_MAX, so it is not one of ours. KIST_IO,
 * KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status small_file_read(int directory, const char *name,
                                              struct blob *bytes);

/* KIST_DISK_FULL, KIST_IO: the old file is still there. */
KIST_CHECKED enum kist_status
small_file_replace(int directory, const char *name, struct view bytes);

/* The directory's own name is durable then. KIST_IO: errno says why. */
KIST_CHECKED enum kist_status small_file_sync_parent(int directory);

#endif
