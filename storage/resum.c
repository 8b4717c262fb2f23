/*
 * The committing thread sees no batch half way: what the engine has is what
 * the sums in memory are of. The batch in the making is in neither, and its
 * changes are added to the corrected sum as they would have been to the wrong
 * one.
 */
#include "storage/resum.h"

#include "storage/replica_list.h"

#include <assert.h>

struct adding {
    const struct bucket_sums *sums;
    struct bucket_leaf *leaf;
};

static bool add_entry(void *ctx, const struct replica_entry *entry)
{
    const struct adding *adding = ctx;
    struct record record = {
        .version = entry->version,
        .tombstone = entry->tombstone,
        .expiry_ms = entry->expiry_ms,
    };

    bucket_sums_add(adding->sums, adding->leaf, entry->key, &record);
    return true;
}

enum kist_status resum_compute(struct store *store, unsigned partition,
                               unsigned leaf, struct bucket_leaf *out_leaf)
{
    struct bucket_sums *sums = store_sums(store);
    struct adding adding = {sums, out_leaf};
    struct replica_visitor visitor = {&adding, add_entry};

    *out_leaf = (struct bucket_leaf){0};
    return replica_list(store,
                        key_hash_range(partition, leaf, bucket_sums_bits(sums)),
                        (struct view){0}, &visitor);
}

static void write_u32(char *at, unsigned number)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(number >> (24 - 8 * i));
}

struct view resum_key(unsigned partition, unsigned leaf,
                      char out_bytes[RESUM_KEY_SIZE])
{
    write_u32(out_bytes, partition);
    write_u32(out_bytes + 4, leaf);
    return (struct view){out_bytes, RESUM_KEY_SIZE};
}

enum kist_status resum_note(struct store *store, struct bucket_changes *changes,
                            struct view key)
{
    unsigned partition, leaf;
    struct bucket_leaf right;
    enum kist_status status;

    assert(key.size == RESUM_KEY_SIZE);
    partition = read_u32(key.data);
    leaf = read_u32(key.data + 4);
    status = resum_compute(store, partition, leaf, &right);
    if (status != KIST_OK)
        return status;
    return bucket_sums_note_right(store_sums(store), changes, partition, leaf,
                                  &right);
}
