#include "api/large_value.h"

#include "base/clock.h"
#include "storage/large.h"

/* Against one who replaces a value faster than it can be opened. */
enum { TRIES = 8 };

enum kist_status large_value_open(struct store *store,
                                  const struct record *record,
                                  int *out_descriptor)
{
    struct large_reference reference;
    enum kist_status status = large_reference_decode(record->value, &reference);

    if (status != KIST_OK)
        return status;
    return large_open_file(store_large(store), &reference, out_descriptor);
}

static enum kist_status read_again(struct store *store, struct view key,
                                   struct item *item)
{
    enum kist_status status;

    item_free(item);
    *item = (struct item){0};
    status = store_get_under_cursor(store, key, item);
    if (status == KIST_OK && record_is_dead(&item->record, clock_wall_ms())) {
        item_free(item);
        status = KIST_NOT_FOUND;
    }
    return status;
}

enum kist_status large_value_load(struct store *store, struct view key,
                                  uint64_t limit, struct item *item)
{
    for (int i = 0; i < TRIES; i++) {
        enum kist_status status = store_load(store, key, item, limit);

        if (status == KIST_TOO_LARGE)
            return KIST_OK;
        if (status != KIST_NOT_FOUND)
            return status;
        status = read_again(store, key, item);
        if (status != KIST_OK)
            return status;
    }
    return KIST_BUSY;
}
