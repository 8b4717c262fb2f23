/*
 * key_hash - where a key lies among all keys of a cluster.
 *
 * The 64-bit hashes are cut into 2^bits equal partitions, which have owners
 * (replication/ring.h), and each partition into leaves, which are compared
 * (storage/bucket.h). The first bits of a hash say which partition, the next
 * ones which leaf: either is a contiguous run of hashes.
 */
#ifndef KIST_STORAGE_KEY_HASH_H
#define KIST_STORAGE_KEY_HASH_H

#include "base/bytes.h"

#include <stdint.h>

#define KEY_HASH_BITS_MAX   16
#define KEY_HASH_LEAVES     64
#define KEY_HASH_ALL_LEAVES UINT16_MAX /* In place of a leaf. */

/* XXH3-64 with a seed of our own; tests/replication/test_ring.c has vectors. */
uint64_t key_hash(struct view key);

unsigned key_hash_partition(uint64_t hash, unsigned bits);
unsigned key_hash_leaf(uint64_t hash, unsigned bits);

/* All hashes from first to last. */
struct key_hash_range {
    uint64_t first;
    uint64_t last;
};

/* leaf may be KEY_HASH_ALL_LEAVES. */
struct key_hash_range key_hash_range(unsigned partition, unsigned leaf,
                                     unsigned bits);

#endif
