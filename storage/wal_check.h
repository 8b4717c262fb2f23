/*
 * wal_check - may LevelDB or RocksDB open this directory, and what would it
 * lose?
 *
 * To be asked before every open, by the holder of the directory's lock.
 * LevelDB alone would lose acknowledged writes without a word in several
 * cases, even with paranoid_checks: a run of zeros or a damaged length in a
 * log, a missing log, and, worst, a missing CURRENT, for which it begins a
 * new database and deletes the tables of the old one. RocksDB, which writes
 * the same logs, does no better.
 *
 * The rule: damage with no whole record behind it, in any log, is a write
 * that a crash cut off. It was never acknowledged, and goes. Damage with
 * whole records behind it is lost data. After an orderly close (wal_seal.h)
 * all damage is lost data.
 *
 * A record behind damage is believed only if its sequence number could follow
 * those before it: a value may hold bytes that look like a log.
 */
#ifndef KIST_STORAGE_WAL_CHECK_H
#define KIST_STORAGE_WAL_CHECK_H

#include "base/status.h"
#include "storage/engine.h"
#include "storage/wal_seal.h"

#include <stdint.h>

enum wal_damage {
    WAL_WHOLE,
    WAL_TORN_TAIL,  /* A write was cut off; opening drops it. */
    WAL_DATA_LOST,  /* Opening would drop acknowledged writes. */
    WAL_UNREADABLE, /* Opening is impossible, or would destroy the rest. */
};

/* Whose directory it is. */
enum wal_owner {
    WAL_OF_LEVELDB,
    WAL_OF_ROCKSDB,
};

struct wal_verdict {
    enum wal_damage damage;
    struct engine_fault fault; /* "" for WAL_WHOLE. */

    /* Over all logs. */
    uint64_t records_before; /* Whole records up to the first damage. */
    uint64_t damaged_bytes;
    uint64_t records_after;

    /* With WAL_UNREADABLE: the damage may be a cut (storage/wal_mend.h). */
    bool manifest_may_be_cut;
    uint64_t manifest; /* Its number. */
    uint64_t manifest_damage_at;
};

/*
 * Reads only. path is the owner's directory; an empty one, and one where a
 * first creation was cut off, are WAL_WHOLE. KIST_IO, KIST_NO_MEMORY: no
 * verdict.
 */
KIST_CHECKED enum kist_status wal_check(const char *path, enum wal_owner owner,
                                        struct wal_verdict *out_verdict);

/*
 * Seals a directory that its owner has just closed, if all in it is in order.
 * Syncs the log first: unsynced writes in it are durable from then on. If any
 * of this fails there is no seal, and the next check knows only as much as
 * after a crash.
 */
void wal_check_seal(const char *path, enum wal_owner owner);

#endif
