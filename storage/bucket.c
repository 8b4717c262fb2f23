#include "storage/bucket.h"

#include <assert.h>
#include <string.h>

enum { FIXED_SIZE = 25, KEY_MAX = 1024 };

struct bucket_secret bucket_secret_of(uint64_t cluster)
{
    struct siphash_key plain = {cluster, 0};

    return (struct bucket_secret){
        .high = {siphash(plain, VIEW_LITERAL("kist bucket 1")),
                 siphash(plain, VIEW_LITERAL("kist bucket 2"))},
        .low = {siphash(plain, VIEW_LITERAL("kist bucket 3")),
                siphash(plain, VIEW_LITERAL("kist bucket 4"))},
    };
}

static char *put_u64(char *at, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        *at++ = (char)(number >> (56 - 8 * i));
    return at;
}

static struct bucket_sum number_of(const struct bucket_secret *secret,
                                   struct view key, const struct record *record)
{
    char bytes[FIXED_SIZE + KEY_MAX];
    struct view whole = {bytes, FIXED_SIZE + key.size};
    char *at = bytes;

    assert(key.size <= KEY_MAX);
    at = put_u64(at, record->version.hlc);
    at = put_u64(at, record->version.incarnation);
    at = put_u64(at, record->expiry_ms);
    *at++ = record->tombstone;
    memcpy(at, key.data, key.size);
    return (struct bucket_sum){siphash(secret->high, whole),
                               siphash(secret->low, whole)};
}

void bucket_add(struct bucket_sum *sum, const struct bucket_secret *secret,
                struct view key, const struct record *record)
{
    struct bucket_sum number = number_of(secret, key, record);

    sum->low += number.low;
    sum->high += number.high + (sum->low < number.low); /* The carry. */
}

void bucket_subtract(struct bucket_sum *sum, const struct bucket_secret *secret,
                     struct view key, const struct record *record)
{
    struct bucket_sum number = number_of(secret, key, record);

    sum->high -= number.high + (sum->low < number.low);
    sum->low -= number.low;
}

bool bucket_sum_equal(struct bucket_sum a, struct bucket_sum b)
{
    return a.high == b.high && a.low == b.low;
}
