/*
 * restore - fills an empty data directory from a backup, wholly or not at all.
 *
 * It is built in DIRECTORY/kist-restore.tmp, as a data directory of its own.
 * When all of it is there, checked and synced, its parts move up, FORMAT last:
 * without FORMAT a directory is none of kist's, and no kistd starts on it. So
 * a crash at any moment leaves nothing, leftovers that a start refuses and
 * names and that the next restore removes, or the whole.
 *
 * Records are as they were, to the last bit of their versions. Who the node is
 * is not restored: the directory is a new one's (a new incarnation), because
 * the old one may still live, or have written since. Its clock begins above
 * what the old one's had reached.
 *
 * Threads: one.
 */
#ifndef KIST_STORAGE_RESTORE_H
#define KIST_STORAGE_RESTORE_H

#include "storage/backup_read.h"

#define RESTORE_DIRECTORY "kist-restore.tmp"

/*
 * descriptor: the backup. options: of the store that is to be; its path is the
 * data directory, which is empty, or is made if only its last part is missing.
 *
 * KIST_INVALID: it is not empty. KIST_BUSY: somebody else restores there, or
 * the engine has not taken a write for a minute. KIST_DISK_FULL, KIST_IO;
 * failures of backup_read() and of store_open(). *out_fault says what, and
 * where, unless it is KIST_NO_MEMORY. After any failure nothing is left in the
 * directory that was not there before.
 */
KIST_CHECKED enum kist_status restore_run(int descriptor,
                                          const struct store_options *options,
                                          struct engine_fault *out_fault,
                                          struct backup_summary *out_summary);

#endif
