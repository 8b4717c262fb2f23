/*
 * engine_failure - what the error messages of LevelDB and RocksDB mean.
 *
 * Their C interfaces say what failed only in words: the class as a prefix, and
 * errno as the C library describes it.
 */
#ifndef KIST_STORAGE_ENGINE_FAILURE_H
#define KIST_STORAGE_ENGINE_FAILURE_H

#include "base/status.h"

/*
 * KIST_CORRUPT, KIST_DISK_FULL, KIST_BUSY (the lock is held, or a write would
 * have had to wait) or KIST_IO; never KIST_OK.
 */
enum kist_status engine_failure_status(const char *text);

#endif
