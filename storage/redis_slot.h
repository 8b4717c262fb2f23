/*
 * redis_slot - where Redis Cluster puts a key, and where kist puts its own.
 *
 * Redis hashes a key, or the part of it between the first { and the next },
 * to one of 16384 slots (CRC16, as in XMODEM). kist cuts them into 256 shards
 * of 64 slots and keeps all of a shard in the first of its slots: the records,
 * the sorted index of their keys and the shard's floor. So one script can
 * change a record and the index at once, a listing has 256 indexes to merge,
 * whatever the number of nodes, and keys with the same {tag} lie together.
 *
 * Threads: any.
 */
#ifndef KIST_STORAGE_REDIS_SLOT_H
#define KIST_STORAGE_REDIS_SLOT_H

#include "base/bytes.h"

#include <stdint.h>

#define REDIS_SLOTS            16384u
#define REDIS_SLOT_SHARDS      256u
#define REDIS_SLOT_SHARD_SLOTS (REDIS_SLOTS / REDIS_SLOT_SHARDS)

uint16_t redis_slot_crc16(struct view bytes);

/* Of a key as it is, with Redis' rule of {tags}. */
uint16_t redis_slot(struct view key);

/* The shard of a key of kist's. */
unsigned redis_slot_shard(struct view key);

/*
 * For each shard the least number that, as a {tag}, lies in the shard's first
 * slot. A matter of milliseconds; it is the same for ever, as the names of
 * everything that is stored hold it.
 */
struct redis_slot_tags {
    uint32_t tags[REDIS_SLOT_SHARDS];
};

void redis_slot_find_tags(struct redis_slot_tags *out_tags);

#endif
