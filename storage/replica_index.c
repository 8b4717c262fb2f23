#include "storage/replica_index.h"

#include "storage/key_hash.h"

#include <assert.h>
#include <string.h>

enum { KEY_MAX = 1024, HASH_SIZE = REPLICA_INDEX_HASH_SIZE, TOMBSTONE = 1 };

static void write_u64(char *at, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        at[i] = (char)(number >> (56 - 8 * i));
}

static void put(struct engine_batch *batch, struct view place,
                const struct record *record)
{
    char value[REPLICA_INDEX_VALUE_SIZE];

    write_u64(value, record->version.hlc);
    write_u64(value + 8, record->version.incarnation);
    value[16] = record->tombstone ? TOMBSTONE : 0;
    write_u64(value + 17, record->expiry_ms);
    engine_batch_put(batch, place, (struct view){value, sizeof(value)});
}

enum kist_status replica_index_enter(const struct bucket_sums *sums,
                                     struct bucket_changes *changes,
                                     struct engine_batch *batch,
                                     struct view key, const struct record *old,
                                     const struct record *next)
{
    char bytes[1 + HASH_SIZE + KEY_MAX] = {REPLICA_INDEX_SPACE};
    struct view place = {bytes, 1 + HASH_SIZE + key.size};
    uint64_t hash = key_hash(key);

    assert(key.size <= KEY_MAX);
    write_u64(bytes + 1, hash);
    memcpy(bytes + 1 + HASH_SIZE, key.data, key.size);
    if (next != NULL)
        put(batch, place, next);
    else
        engine_batch_delete(batch, place);
    return bucket_sums_note(sums, changes, hash, key, old, next);
}

enum kist_status replica_index_decode(struct view place, struct view value,
                                      struct replica_entry *out_entry)
{
    if (place.size <= HASH_SIZE || place.size > HASH_SIZE + KEY_MAX ||
        value.size != REPLICA_INDEX_VALUE_SIZE)
        return KIST_CORRUPT;
    *out_entry = (struct replica_entry){
        .key = view_from(place, HASH_SIZE),
        .version = {read_u64(value.data), read_u64(value.data + 8)},
        .tombstone = (value.data[16] & TOMBSTONE) != 0,
        .expiry_ms = read_u64(value.data + 17),
    };
    return KIST_OK;
}

void replica_index_place(struct view key, struct blob *out)
{
    blob_append_u64(out, key_hash(key));
    blob_append(out, key);
}
