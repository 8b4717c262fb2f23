/*
 * wal - LevelDB's log file format, surveyed for damage; RocksDB's is the same.
 *
 * LevelDB's own reader answers "is everything before the end readable?", and
 * not even that: a record whose length points past the end of the file, or a
 * run of zeros, ends its reading without a word, whatever lies behind. This
 * reader never stops at damage. It looks behind it for whole records, because
 * those decide what the damage means: none is a write cut off by a crash, some
 * are acknowledged writes lost in the middle.
 *
 * The same format serves MANIFEST files.
 */
#ifndef KIST_STORAGE_WAL_H
#define KIST_STORAGE_WAL_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdint.h>

struct wal_survey {
    uint64_t size;          /* Of the file. */
    uint64_t records;       /* Whole ones before the first damage. */
    uint64_t damage_at;     /* Its offset; equal to size: none. */
    uint64_t damaged_bytes; /* In no whole record. */
    uint64_t records_after; /* Whole and believed ones behind it. */
};

struct wal_record {
    struct view bytes;
    uint64_t at;     /* In the file. */
    uint64_t behind; /* Bytes since damage began; 0 before any. */
};

struct wal_visitor {
    void *ctx;
    /*
     * One whole record, in file order; its bytes are valid for the call. Where
     * behind is not 0 the answer counts: false says that this cannot be a
     * record but only looks like one, as bytes inside a value may.
     */
    bool (*record)(void *ctx, const struct wal_record *record);
};

/*
 * Reads the whole file in blocks; memory is the largest record.
 * KIST_NOT_FOUND, KIST_IO, KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status wal_survey(int directory, const char *name,
                                         const struct wal_visitor *visitor,
                                         struct wal_survey *out_survey);

#endif
