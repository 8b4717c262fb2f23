#include "storage/key_hash.h"

#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SEED UINT64_C(0x6b69737472696e67) /* "kistring" */

enum { LEAF_BITS = 6 };

static_assert(1 << LEAF_BITS == KEY_HASH_LEAVES, "each leaf has its number");

uint64_t key_hash(struct view key)
{
    return XXH3_64bits_withSeed(key.data, key.size, SEED);
}

unsigned key_hash_partition(uint64_t hash, unsigned bits)
{
    /* In two steps: a shift by 64 is not defined. */
    return (unsigned)(hash >> 1 >> (63 - bits));
}

unsigned key_hash_leaf(uint64_t hash, unsigned bits)
{
    return (unsigned)(hash << bits >> (64 - LEAF_BITS));
}

struct key_hash_range key_hash_range(unsigned partition, unsigned leaf,
                                     unsigned bits)
{
    uint64_t first = (uint64_t)partition << (63 - bits) << 1;
    uint64_t rest = UINT64_MAX >> bits;

    if (leaf != KEY_HASH_ALL_LEAVES) {
        assert(leaf < KEY_HASH_LEAVES);
        first += (uint64_t)leaf << (64 - LEAF_BITS - bits);
        rest >>= LEAF_BITS;
    }
    return (struct key_hash_range){first, first + rest};
}
