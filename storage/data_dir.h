/*
 * data_dir - the directory that holds one node's data, and the proof that it
 * is ours alone.
 *
 *     kist.lock   locked while a kistd runs on it; holds its process id
 *     FORMAT      which format and engine wrote this directory
 *     leveldb/    the engine's files; the folder has its name
 *     large/      values too large for it: storage/large.h
 *     ballast     storage/disk.h
 *
 * FORMAT is the first file to be written, so a directory with anything in it
 * but no FORMAT is somebody else's and is left alone. The lock is flock's: it
 * ends with the process, however that ends.
 *
 * Threads: one at a time.
 */
#ifndef KIST_STORAGE_DATA_DIR_H
#define KIST_STORAGE_DATA_DIR_H

#include "base/status.h"
#include "storage/engine.h"

enum { DATA_DIR_FORMAT = 1 };

struct data_dir;

/*
 * Locks path for the engine called engine_name (engine_ops.name; a copy is
 * kept). Creates it with mode 0700 if only its last part is missing. Gives
 * *out_data_dir, ended by data_dir_close().
 *
 * KIST_BUSY: another process has it. KIST_INVALID: not a directory, not empty
 * and not ours, another engine's, or a newer kist's. KIST_CORRUPT: FORMAT
 * cannot be read. KIST_DISK_FULL, KIST_IO, KIST_NO_MEMORY. out_fault says
 * which, and what to do.
 */
KIST_CHECKED enum kist_status data_dir_open(const char *path,
                                            const char *engine_name,
                                            struct engine_fault *out_fault,
                                            struct data_dir **out_data_dir);
void data_dir_close(struct data_dir *data_dir); /* Takes NULL. */

/* As given to open; and path/engine_name. Valid until close. */
const char *data_dir_path(const struct data_dir *data_dir);
const char *data_dir_engine_path(const struct data_dir *data_dir);

#endif
