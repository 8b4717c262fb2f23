/*
 * leveldb_failure - what LevelDB's error messages mean.
 *
 * Its C interface says what failed only in words: the class as a prefix, and
 * errno as the C library describes it.
 */
#ifndef KIST_STORAGE_LEVELDB_FAILURE_H
#define KIST_STORAGE_LEVELDB_FAILURE_H

#include "base/status.h"

/*
 * KIST_CORRUPT, KIST_DISK_FULL, KIST_BUSY (the lock is held) or KIST_IO;
 * never KIST_OK.
 */
enum kist_status leveldb_failure_status(const char *text);

#endif
