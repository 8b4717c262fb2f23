/*
 * wal_mend - an entry of LevelDB's MANIFEST that a failed write cut off, with
 * others behind it.
 *
 * When LevelDB cannot write an entry it forgets it, in memory as well, and does
 * nothing more in the background; but a compaction that is under way then (it
 * makes a table of the memory on its way) goes on, and puts its own entry
 * behind the half one. LevelDB reads no further than that, so it would not open
 * the directory any more, though all tables and logs are there.
 *
 * The half entry never took effect. In its place comes one of the same length
 * that changes nothing, so that all behind it lies where it was meant to lie.
 */
#ifndef KIST_STORAGE_WAL_MEND_H
#define KIST_STORAGE_WAL_MEND_H

#include "base/status.h"

#include <stdint.h>

/*
 * damage_at: of the first damage, as surveyed (storage/wal.h). KIST_CORRUPT: it
 * is something else; nothing was changed. KIST_DISK_FULL, KIST_IO,
 * KIST_NO_MEMORY: the old file is still there.
 */
KIST_CHECKED enum kist_status wal_mend_manifest(int directory, const char *name,
                                                uint64_t damage_at);

#endif
