#include "storage/cursor.h"

#include "storage/large_entry.h"
#include "storage/replica_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct cursor {
    struct store *store;
    const struct engine_ops *ops;
    struct engine_iterator *iterator;
    char space; /* The first byte of all keys here. */
    struct blob bound;
};

enum kist_status cursor_open(struct store *store, enum cursor_space space,
                             struct cursor **out_cursor)
{
    static const char spaces[] = {
        [CURSOR_RECORDS] = 'k',
        [CURSOR_EXPIRIES] = 'x',
        [CURSOR_LARGE] = LARGE_ENTRY_SPACE,
        [CURSOR_REPLICA] = REPLICA_INDEX_SPACE,
    };
    struct cursor *cursor = calloc(1, sizeof(*cursor));
    struct engine *engine;
    enum kist_status status = KIST_NO_MEMORY;

    if (cursor == NULL)
        return KIST_NO_MEMORY;
    cursor->space = spaces[space];
    if (blob_reserve(&cursor->bound, STORE_KEY_MAX + 16) != KIST_OK)
        goto fail;

    engine = store_borrow_engine(store);
    status = KIST_READ_ONLY;
    if (engine == NULL)
        goto fail;
    status = engine->ops->iterator_open(engine, &cursor->iterator);
    if (status != KIST_OK) {
        store_return_engine(store);
        goto fail;
    }
    cursor->store = store;
    cursor->ops = engine->ops;
    *out_cursor = cursor;
    return KIST_OK;

fail:
    blob_free(&cursor->bound);
    free(cursor);
    return status;
}

void cursor_close(struct cursor *cursor)
{
    if (cursor == NULL)
        return;
    cursor->ops->iterator_close(cursor->iterator);
    store_return_engine(cursor->store);
    blob_free(&cursor->bound);
    free(cursor);
}

static struct view in_space(struct cursor *cursor, struct view bound)
{
    blob_clear(&cursor->bound);
    blob_append_byte(&cursor->bound, cursor->space);
    blob_append(&cursor->bound, bound);
    assert(!cursor->bound.failed); /* Reserved at opening. */
    return blob_view(&cursor->bound);
}

void cursor_seek(struct cursor *cursor, struct view bound)
{
    assert(bound.size <= STORE_KEY_MAX + 10);
    cursor->ops->seek(cursor->iterator, in_space(cursor, bound));
}

void cursor_seek_before(struct cursor *cursor, struct view bound)
{
    char after = (char)(cursor->space + 1);

    assert(bound.size <= STORE_KEY_MAX + 10);
    if (bound.size == 0)
        cursor->ops->seek_before(cursor->iterator, (struct view){&after, 1});
    else
        cursor->ops->seek_before(cursor->iterator, in_space(cursor, bound));
}

void cursor_next(struct cursor *cursor)
{
    cursor->ops->next(cursor->iterator);
}

void cursor_previous(struct cursor *cursor)
{
    cursor->ops->previous(cursor->iterator);
}

bool cursor_key(const struct cursor *cursor, struct view *out_key)
{
    struct view key;

    if (!cursor->ops->valid(cursor->iterator))
        return false;
    key = cursor->ops->key(cursor->iterator);
    if (key.size == 0 || key.data[0] != cursor->space)
        return false;
    *out_key = view_from(key, 1);
    return true;
}

struct view cursor_value(const struct cursor *cursor)
{
    return cursor->ops->value(cursor->iterator);
}

enum kist_status cursor_record(const struct cursor *cursor,
                               struct record *out_record)
{
    struct view key;

    if (!cursor_key(cursor, &key))
        return KIST_NOT_FOUND;
    return record_decode(key, cursor->ops->value(cursor->iterator), out_record);
}

enum kist_status cursor_error(const struct cursor *cursor)
{
    return cursor->ops->error(cursor->iterator);
}
