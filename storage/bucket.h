/*
 * bucket - the sum of a set of records, for comparing two sets cheaply.
 *
 * Each record adds a 128-bit number made of its key, version, flags and expiry:
 * what all copies of it share, and never whether it is alive just now. A sum
 * does not depend on the order, and a record is taken out again by subtracting,
 * so a sum costs the same few steps whatever the set's size is; the sum of a
 * union is the sum of the sums. (An exclusive or in place of the addition would
 * lose what is there twice.)
 *
 * The numbers are keyed with the cluster's secret: clients choose keys, and
 * sets of the same sum could be made for a hash that anybody can compute.
 */
#ifndef KIST_STORAGE_BUCKET_H
#define KIST_STORAGE_BUCKET_H

#include "base/siphash.h"
#include "storage/record.h"

#define BUCKET_SUM_SIZE 16

struct bucket_sum {
    uint64_t high;
    uint64_t low;
};

struct bucket_secret {
    struct siphash_key high;
    struct siphash_key low;
};

struct bucket_secret bucket_secret_of(uint64_t cluster);

void bucket_add(struct bucket_sum *sum, const struct bucket_secret *secret,
                struct view key, const struct record *record);
void bucket_subtract(struct bucket_sum *sum, const struct bucket_secret *secret,
                     struct view key, const struct record *record);
bool bucket_sum_equal(struct bucket_sum a, struct bucket_sum b);

#endif
