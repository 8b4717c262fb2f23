/*
 * A scan reads a page of keys first and then, with the cursor closed, their
 * records one by one: nobody may wait for a reopen of the engine while he
 * holds one off. A record that was replaced meanwhile is told as it is now.
 */
#include "storage/replica_list.h"

#include "storage/cursor.h"

#include <assert.h>

struct bucket_leaf replica_list_sum(struct store *store, unsigned partition,
                                    unsigned leaf)
{
    return bucket_sums_of(store_sums(store), partition, leaf);
}

/* The place behind `after`, but not before the range. */
static void first_place(struct key_hash_range range, struct view after,
                        struct blob *out)
{
    if (after.size > 0 && key_hash(after) >= range.first) {
        replica_index_place(after, out);
        blob_append_byte(out, '\0');
    } else {
        blob_append_u64(out, range.first);
    }
}

static bool is_in_range(struct key_hash_range range, struct view place)
{
    return place.size < REPLICA_INDEX_HASH_SIZE ||
           read_u64(place.data) <= range.last;
}

static enum kist_status walk(struct cursor *cursor, struct key_hash_range range,
                             const struct replica_visitor *visitor)
{
    struct replica_entry entry;
    struct view place;

    for (; cursor_key(cursor, &place) && is_in_range(range, place);
         cursor_next(cursor)) {
        enum kist_status status =
            replica_index_decode(place, cursor_value(cursor), &entry);

        if (status != KIST_OK || !visitor->entry(visitor->ctx, &entry))
            return status;
    }
    return cursor_error(cursor);
}

enum kist_status replica_list(struct store *store, struct key_hash_range range,
                              struct view after,
                              const struct replica_visitor *visitor)
{
    struct blob first = BLOB_EMPTY;
    struct cursor *cursor;
    enum kist_status status = KIST_NO_MEMORY;

    first_place(range, after, &first);
    if (!first.failed)
        status = cursor_open(store, CURSOR_REPLICA, &cursor);
    if (status == KIST_OK) {
        cursor_seek(cursor, blob_view(&first));
        status = walk(cursor, range, visitor);
        cursor_close(cursor);
    }
    blob_free(&first);
    return status;
}

enum kist_status replica_list_find(struct store *store, struct view key,
                                   struct replica_entry *out_entry)
{
    struct blob place = BLOB_EMPTY, value = BLOB_EMPTY;
    struct engine *engine = store_borrow_engine(store);
    enum kist_status status = KIST_NO_MEMORY;

    if (engine == NULL)
        return KIST_READ_ONLY;
    blob_append_byte(&place, REPLICA_INDEX_SPACE);
    replica_index_place(key, &place);
    if (!place.failed)
        status = engine_get(engine, blob_view(&place), &value);
    store_return_engine(store);
    if (status == KIST_OK)
        status = replica_index_decode(view_from(blob_view(&place), 1),
                                      blob_view(&value), out_entry);
    out_entry->key = key;
    blob_free(&place);
    blob_free(&value);
    return status;
}

/* Whole records. */

enum kist_status replica_scan_init(struct replica_scan *scan,
                                   struct store *store,
                                   struct key_hash_range range,
                                   struct view after)
{
    *scan = (struct replica_scan){.store = store, .range = range};
    /* For any key: passing one cannot fail then. */
    if (blob_reserve(&scan->after, STORE_KEY_MAX) != KIST_OK)
        return KIST_NO_MEMORY;
    blob_append(&scan->after, after);
    return KIST_OK;
}

void replica_scan_clear(struct replica_scan *scan)
{
    blob_free(&scan->after);
}

/* Keys one after the other, each behind its size (2). */
struct page {
    struct blob keys;
    size_t count, limit;
};

static bool collect(void *ctx, const struct replica_entry *entry)
{
    struct page *page = ctx;

    blob_append_u16(&page->keys, (uint16_t)entry->key.size);
    blob_append(&page->keys, entry->key);
    page->count++;
    return page->count < page->limit;
}

/* One key: told, and passed. */
static enum kist_status read_one(struct replica_scan *scan,
                                 const struct replica_reader *reader,
                                 struct view key, bool *out_go_on)
{
    struct item item;
    enum kist_status status = store_peek(scan->store, key, &item);

    *out_go_on = true;
    if (status == KIST_OK) {
        *out_go_on = reader->record(reader->ctx, key, &item.record);
        item_free(&item);
    }
    if (status == KIST_NOT_FOUND) /* Taken out meanwhile. */
        status = KIST_OK;
    if (status != KIST_OK && status != KIST_CORRUPT)
        return status;
    blob_clear(&scan->after);
    blob_append(&scan->after, key);
    return status;
}

static enum kist_status read_page(struct replica_scan *scan,
                                  const struct replica_reader *reader,
                                  const struct page *page, bool *out_all)
{
    struct view rest = blob_view(&page->keys);
    enum kist_status status = KIST_OK;
    bool go_on = true;

    while (rest.size > 0 && go_on && status == KIST_OK) {
        struct view key = {rest.data + 2, read_u16(rest.data)};

        status = read_one(scan, reader, key, &go_on);
        rest = view_from(rest, 2 + key.size);
    }
    *out_all = rest.size == 0;
    return status;
}

enum kist_status replica_scan_run(struct replica_scan *scan,
                                  const struct replica_reader *reader,
                                  size_t limit)
{
    struct page page = {.limit = limit};
    struct replica_visitor visitor = {&page, collect};
    enum kist_status status;
    bool all = false;

    assert(limit > 0);
    status = replica_list(scan->store, scan->range, blob_view(&scan->after),
                          &visitor);
    if (status == KIST_OK && page.keys.failed)
        status = KIST_NO_MEMORY;
    if (status == KIST_OK)
        status = read_page(scan, reader, &page, &all);
    if (status == KIST_OK)
        scan->done = all && page.count < limit;
    blob_free(&page.keys);
    return status;
}
