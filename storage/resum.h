/*
 * resum - the sum of a leaf, computed anew from the index.
 *
 * Sums are kept by adding and subtracting (storage/bucket_sums.h), so one that
 * is wrong, whatever made it so, stays wrong; and two nodes whose wrong sums
 * are equal never find out what they differ in.
 */
#ifndef KIST_STORAGE_RESUM_H
#define KIST_STORAGE_RESUM_H

#include "storage/bucket_sums.h"
#include "storage/store.h"

enum { RESUM_KEY_SIZE = 8 };

/* Which leaf, as the key of a WRITE_RESUM; the bytes are the caller's. */
struct view resum_key(unsigned partition, unsigned leaf,
                      char out_bytes[RESUM_KEY_SIZE]);

/*
 * What the sum of a leaf should be, as of one moment. Any thread; blocks.
 * KIST_READ_ONLY: the engine is away. KIST_CORRUPT, KIST_IO, KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status resum_compute(struct store *store,
                                            unsigned partition, unsigned leaf,
                                            struct bucket_leaf *out_leaf);

/*
 * Note in changes what puts the leaf right. The committing thread; changes may
 * have others of that leaf, but not from here. KIST_NOT_FOUND: it is right.
 * Else as above.
 */
KIST_CHECKED enum kist_status resum_note(struct store *store,
                                         struct bucket_changes *changes,
                                         struct view key);

#endif
