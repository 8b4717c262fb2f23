#include "storage/store_read.h"

#include "base/clock.h"
#include "storage/cache.h"
#include "storage/store.h"

#include <assert.h>
#include <string.h>

void item_free(struct item *item)
{
    hold_release(&item->hold);
}

/* What the media type lay in may go with the item. */
void item_hold_value(struct item *item, struct blob *loaded)
{
    size_t media_size = item->record.media_type.size;
    struct view bytes = blob_view(loaded);

    item_free(item);
    item->hold = hold_blob(loaded);
    item->record.media_type = (struct view){bytes.data, media_size};
    item->record.value = view_from(bytes, media_size);
    item->record.large = false;
}

static void count_read(struct store_stats *stats, enum kist_status status,
                       uint64_t started_ns)
{
    histogram_observe(&stats->read_time, clock_mono_ns() - started_ns);
    if (status == KIST_CORRUPT)
        counter_add(&stats->corrupt_records, 1);
    if (status != KIST_OK && status != KIST_NOT_FOUND)
        counter_add(&stats->read_errors, 1);
}

/* Whether the caller may wait for a reopen. */
enum patience { WAIT, DO_NOT_WAIT };

static enum kist_status get(struct store *store, struct view key,
                            enum patience patience, struct view *out_bytes,
                            struct hold *out_hold)
{
    char engine_key[1 + STORE_KEY_MAX];
    struct engine *engine = patience == WAIT ? store_borrow_engine(store)
                                             : store_try_borrow_engine(store);
    enum kist_status status;

    if (engine == NULL)
        return KIST_READ_ONLY;
    assert(key.size <= STORE_KEY_MAX);
    engine_key[0] = STORE_SPACE_RECORDS;
    if (key.size > 0)
        memcpy(engine_key + 1, key.data, key.size);
    status = engine->ops->get(engine, (struct view){engine_key, 1 + key.size},
                              out_bytes, out_hold);
    store_return_engine(store);
    return status;
}

static enum kist_status read_engine(struct store *store, struct view key,
                                    enum patience patience,
                                    struct item *out_item,
                                    struct view *out_encoded)
{
    uint64_t started_ns = clock_mono_ns();
    struct hold hold = HOLD_NOTHING;
    enum kist_status status = get(store, key, patience, out_encoded, &hold);

    if (status == KIST_OK)
        status = record_decode(key, *out_encoded, &out_item->record);
    count_read(store_stats(store), status, started_ns);
    if (status != KIST_OK) {
        hold_release(&hold);
        return status;
    }
    out_item->hold = hold;
    return KIST_OK;
}

/* A dead record would be dropped by the next one who asks for it. */
static bool is_worth_keeping(enum kist_status status,
                             const struct record *record)
{
    if (status == KIST_OK)
        return record->expiry_ms == 0 || record->expiry_ms > clock_wall_ms();
    return status == KIST_NOT_FOUND;
}

static enum kist_status read_and_fill(struct store *store, struct view key,
                                      enum patience patience,
                                      const struct cache_ticket *ticket,
                                      struct item *out_item,
                                      enum store_source *out_source)
{
    struct view encoded = {0};
    enum kist_status status =
        read_engine(store, key, patience, out_item, &encoded);

    *out_source = STORE_ENGINE;
    if (is_worth_keeping(status, &out_item->record) &&
        cache_fill(store_cache(store), key, ticket, encoded))
        *out_source = STORE_ENGINE_KEPT;
    return status;
}

/* True: the cache knows, and *out_status with *out_item is the answer. */
static bool ask_cache(struct cache *cache, struct view key,
                      enum cache_reader reader, struct item *out_item,
                      struct cache_ticket *out_ticket,
                      enum kist_status *out_status)
{
    struct cache_found found;

    switch (cache_get(cache, key, reader, &found)) {
    case CACHE_MISS:
        break;
    case CACHE_ABSENT:
        *out_status = KIST_NOT_FOUND;
        return true;
    case CACHE_HIT:
        record_trust(found.record, &out_item->record);
        out_item->hold = found.hold;
        *out_status = KIST_OK;
        return true;
    }
    *out_ticket = found.ticket;
    return false;
}

static enum kist_status read_through(struct store *store, struct view key,
                                     enum store_reader reader,
                                     enum patience patience,
                                     struct item *out_item,
                                     enum store_source *out_source)
{
    struct cache *cache = store_cache(store);
    struct cache_ticket ticket;
    enum kist_status status;
    struct view ignored;

    if (cache == NULL) {
        *out_source = STORE_NO_CACHE;
        return read_engine(store, key, patience, out_item, &ignored);
    }
    if (reader == STORE_FRESH) {
        ticket = cache_pass_by(cache, key);
    } else if (ask_cache(cache, key, CACHE_READ, out_item, &ticket, &status)) {
        *out_source = STORE_CACHE;
        return status;
    }
    return read_and_fill(store, key, patience, &ticket, out_item, out_source);
}

enum kist_status store_read(struct store *store, struct view key,
                            enum store_reader reader, struct item *out_item,
                            enum store_source *out_source)
{
    return read_through(store, key, reader, WAIT, out_item, out_source);
}

enum kist_status store_get(struct store *store, struct view key,
                           struct item *out_item)
{
    enum store_source source;

    return read_through(store, key, STORE_USUAL, WAIT, out_item, &source);
}

enum kist_status store_get_under_cursor(struct store *store, struct view key,
                                        struct item *out_item)
{
    enum store_source source;

    return read_through(store, key, STORE_USUAL, DO_NOT_WAIT, out_item,
                        &source);
}

enum kist_status store_peek(struct store *store, struct view key,
                            struct item *out_item)
{
    struct cache *cache = store_cache(store);
    struct cache_ticket unused;
    enum kist_status status;
    struct view ignored;

    if (cache != NULL &&
        ask_cache(cache, key, CACHE_PEEK, out_item, &unused, &status))
        return status;
    return read_engine(store, key, WAIT, out_item, &ignored);
}
