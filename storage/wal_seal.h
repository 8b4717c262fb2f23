/*
 * wal_seal - what an orderly close leaves behind: which log and which
 * MANIFEST were the last, and how long.
 *
 * After a crash a damaged last record can only be taken for a write that was
 * cut off. After an orderly close nothing was cut off, so every damaged byte
 * is damage. LevelDB never writes to a log or MANIFEST of an earlier opening,
 * so a seal stays true of its files for as long as they exist, and one that
 * names files which are gone says nothing.
 */
#ifndef KIST_STORAGE_WAL_SEAL_H
#define KIST_STORAGE_WAL_SEAL_H

#include <stdbool.h>
#include <stdint.h>

struct wal_seal {
    uint64_t log, log_size; /* The log's number and size. */
    uint64_t manifest, manifest_size;
};

/* False: there is none, or it is damaged itself. */
bool wal_seal_read(int directory, struct wal_seal *out_seal);

/*
 * Replaces the seal there is. The files it names must be synced before. If it
 * fails there is no seal.
 */
void wal_seal_write(int directory, const struct wal_seal *seal);

#endif
