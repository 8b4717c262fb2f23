#include "storage/large_entry.h"

static void write_u64(char *at, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        at[i] = (char)(number >> (56 - 8 * i));
}

void large_entry_key(const struct large_reference *reference,
                     char out_key[LARGE_ENTRY_KEY_SIZE])
{
    out_key[0] = LARGE_ENTRY_SPACE;
    write_u64(out_key + 1, reference->boot);
    write_u64(out_key + 9, reference->serial);
}

void large_entry_put(struct engine_batch *batch,
                     const struct large_reference *reference, struct view key)
{
    char entry[LARGE_ENTRY_KEY_SIZE];

    large_entry_key(reference, entry);
    engine_batch_put(batch, (struct view){entry, sizeof(entry)}, key);
}

void large_entry_delete(struct engine_batch *batch,
                        const struct large_reference *reference)
{
    char entry[LARGE_ENTRY_KEY_SIZE];

    large_entry_key(reference, entry);
    engine_batch_delete(batch, (struct view){entry, sizeof(entry)});
}

void large_entry_drop_deleted(const struct engine_batch *batch,
                              struct large *large)
{
    struct engine_operation operation;
    size_t offset = 0;

    while (engine_batch_next(batch, &offset, &operation)) {
        if (!operation.is_delete || operation.key.size == 0 ||
            operation.key.data[0] != LARGE_ENTRY_SPACE)
            continue;

        struct large_reference reference = {
            .boot = read_u64(operation.key.data + 1),
            .serial = read_u64(operation.key.data + 9),
        };
        large_drop(large, &reference);
    }
}
