#include "storage/snapshot.h"

#include "storage/large_internal.h"

#include <stdlib.h>

struct snapshot {
    struct store *store;
    bool has_begun; /* The iterator stands at the record given last. */
    bool was_roomy; /* At some moment since it was opened. */
};

static bool is_roomy(struct store *store)
{
    struct store_gauges gauges;

    store_gauges(store, &gauges);
    return gauges.disk_free > gauges.disk_reserve + gauges.disk_reserve / 4;
}

enum kist_status snapshot_open(struct store *store,
                               struct snapshot **out_snapshot)
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    enum kist_status status;

    if (snapshot == NULL)
        return KIST_NO_MEMORY;
    snapshot->store = store;
    /* Files first: what the iterator sees must not have gone since. */
    large_hold(store_large(store));
    status = store_pin(store);
    if (status != KIST_OK) {
        large_release(store_large(store));
        free(snapshot);
        return status;
    }
    *out_snapshot = snapshot;
    return KIST_OK;
}

void snapshot_close(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    store_unpin(snapshot->store);
    large_release(store_large(snapshot->store));
    free(snapshot);
}

static void step(struct snapshot *snapshot, struct engine_iterator *iterator)
{
    static const char space = STORE_SPACE_RECORDS;

    if (snapshot->has_begun) {
        iterator->ops->next(iterator);
        return;
    }
    snapshot->has_begun = true;
    iterator->ops->seek(iterator, (struct view){&space, 1});
}

static enum kist_status take(struct engine_iterator *iterator,
                             struct blob *out_key, struct blob *out_bytes)
{
    struct view key;

    if (!iterator->ops->valid(iterator)) {
        enum kist_status status = iterator->ops->error(iterator);

        return status == KIST_OK ? KIST_NOT_FOUND : status;
    }
    key = iterator->ops->key(iterator);
    if (key.size == 0 || key.data[0] != STORE_SPACE_RECORDS)
        return KIST_NOT_FOUND;
    blob_append(out_key, view_from(key, 1));
    blob_append(out_bytes, iterator->ops->value(iterator));
    return out_key->failed || out_bytes->failed ? KIST_NO_MEMORY : KIST_OK;
}

enum kist_status snapshot_next(struct snapshot *snapshot, struct blob *out_key,
                               struct blob *out_bytes)
{
    struct engine_iterator *iterator = store_borrow_pinned(snapshot->store);
    enum kist_status status;

    if (iterator == NULL)
        return KIST_READ_ONLY;
    step(snapshot, iterator);
    status = take(iterator, out_key, out_bytes);
    store_return_engine(snapshot->store);
    return status;
}

bool snapshot_is_dear(struct snapshot *snapshot)
{
    bool roomy = is_roomy(snapshot->store);

    if (roomy)
        snapshot->was_roomy = true;
    return snapshot->was_roomy && !roomy;
}
