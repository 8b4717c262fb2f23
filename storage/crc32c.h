/*
 * crc32c - Castagnoli's cyclic redundancy check, as LevelDB's files have it.
 *
 * Eight bytes a step out of eight tables (Kounavis and Berry, "slicing by 8").
 * The tables are made at run time, for about 10 us, and belong to the caller.
 */
#ifndef KIST_STORAGE_CRC32C_H
#define KIST_STORAGE_CRC32C_H

#include "base/bytes.h"

#include <stdint.h>

struct crc32c {
    uint32_t table[8][256];
};

void crc32c_init(struct crc32c *crc);
uint32_t crc32c_of(const struct crc32c *crc, struct view bytes);

/* As LevelDB writes a sum down, so that sums of sums are none. */
uint32_t crc32c_masked(uint32_t sum);

#endif
