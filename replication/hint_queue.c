#include "replication/hint_queue.h"

#include "base/siphash.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAPACITY 64

struct hint *hint_new(struct view key, const struct record *record,
                      uint64_t born_ms)
{
    struct hint *hint = calloc(1, sizeof(*hint));

    if (hint == NULL)
        return NULL;
    blob_append(&hint->bytes, key);
    record_encode(key, record, &hint->bytes);
    if (hint->bytes.failed) {
        hint_free(hint);
        return NULL;
    }
    hint->key = (struct view){hint->bytes.data, key.size};
    hint->version = record->version;
    hint->born_ms = born_ms;
    hint->hash = siphash(siphash_process_key(), key);
    return hint;
}

void hint_free(struct hint *hint)
{
    if (hint == NULL)
        return;
    blob_free(&hint->bytes);
    free(hint);
}

size_t hint_cost(const struct hint *hint)
{
    return sizeof(*hint) + sizeof(hint) + hint->bytes.capacity;
}

struct record hint_record(const struct hint *hint)
{
    struct view bytes = view_from(blob_view(&hint->bytes), hint->key.size);
    struct record record;
    enum kist_status status = record_decode(hint->key, bytes, &record);

    assert(status == KIST_OK); /* We encoded it. */
    (void)status;
    return record;
}

static struct hint **chain_of(const struct hint_queue *queue, uint64_t hash)
{
    return &queue->chains[hash & (queue->capacity - 1)];
}

struct hint *hint_queue_find(const struct hint_queue *queue, struct view key)
{
    uint64_t hash = siphash(siphash_process_key(), key);
    struct hint *hint = queue->capacity > 0 ? *chain_of(queue, hash) : NULL;

    while (hint != NULL && !view_equal(hint->key, key))
        hint = hint->chain;
    return hint;
}

static void link_hint(struct hint_queue *queue, struct hint *hint)
{
    struct hint **chain = chain_of(queue, hint->hash);

    hint->chain = *chain;
    *chain = hint;
}

static enum kist_status grow(struct hint_queue *queue)
{
    size_t capacity =
        queue->capacity == 0 ? FIRST_CAPACITY : 2 * queue->capacity;
    struct hint **chains = calloc(capacity, sizeof(struct hint *));

    if (chains == NULL)
        return KIST_NO_MEMORY;
    free(queue->chains);
    queue->chains = chains;
    queue->capacity = capacity;
    for (struct hint *hint = queue->oldest; hint != NULL; hint = hint->newer)
        link_hint(queue, hint);
    return KIST_OK;
}

enum kist_status hint_queue_add(struct hint_queue *queue, struct hint *hint)
{
    if (queue->count == queue->capacity) {
        enum kist_status status = grow(queue);

        if (status != KIST_OK)
            return status;
    }
    link_hint(queue, hint);
    hint->older = queue->newest;
    hint->newer = NULL;
    if (queue->newest != NULL)
        queue->newest->newer = hint;
    else
        queue->oldest = hint;
    queue->newest = hint;
    queue->count++;
    return KIST_OK;
}

void hint_queue_remove(struct hint_queue *queue, struct hint *hint)
{
    struct hint **chain = chain_of(queue, hint->hash);

    while (*chain != hint)
        chain = &(*chain)->chain;
    *chain = hint->chain;
    if (hint->older != NULL)
        hint->older->newer = hint->newer;
    else
        queue->oldest = hint->newer;
    if (hint->newer != NULL)
        hint->newer->older = hint->older;
    else
        queue->newest = hint->older;
    queue->count--;
}

void hint_queue_clear(struct hint_queue *queue)
{
    assert(queue->count == 0);
    free(queue->chains);
    *queue = (struct hint_queue){0};
}
