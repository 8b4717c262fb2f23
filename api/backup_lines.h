/*
 * backup_lines - `kistd --lines FILE`: a backup as lines for an import
 * (api/export_line.h), without a node.
 *
 * All that is in it, deletions and expired records too: how several nodes'
 * backups become one cluster again.
 */
#ifndef KIST_API_BACKUP_LINES_H
#define KIST_API_BACKUP_LINES_H

#include "storage/backup_read.h"

/*
 * Write the lines of the backup to out. Failures as backup_read(), and KIST_IO:
 * nobody takes the lines; *out_fault says which. The line that says that all of
 * it was there is then missing.
 */
KIST_CHECKED enum kist_status
backup_lines_write(int backup, int out, struct engine_fault *out_fault);

#endif
