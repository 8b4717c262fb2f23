#include "storage/scan.h"

#include "storage/cursor.h"

#include <string.h>

/* Sorts behind every key that continues a prefix: no key holds this byte. */
#define AFTER_ALL '\xff'

static void set(struct blob *blob, struct view bytes)
{
    blob_clear(blob);
    blob_append(blob, bytes);
}

enum kist_status scan_init(struct scan *scan, struct store *store,
                           const struct scan_range *range)
{
    *scan = (struct scan){
        .store = store,
        .prefix_size = range->prefix.size,
        .reverse = range->reverse,
    };
    set(&scan->lower, range->prefix);
    if (view_compare(range->start, range->prefix) > 0)
        set(&scan->lower, range->start);

    if (range->prefix.size > 0) {
        set(&scan->upper, range->prefix);
        blob_append_byte(&scan->upper, AFTER_ALL);
    }
    if (range->end.size > 0 &&
        (scan->upper.size == 0 ||
         view_compare(range->end, blob_view(&scan->upper)) < 0))
        set(&scan->upper, range->end);
    set(&scan->delimiter, range->delimiter);

    if (scan->lower.failed || scan->upper.failed || scan->delimiter.failed)
        return KIST_NO_MEMORY;
    return KIST_OK;
}

void scan_clear(struct scan *scan)
{
    blob_free(&scan->lower);
    blob_free(&scan->upper);
    blob_free(&scan->delimiter);
}

struct view scan_position(const struct scan *scan)
{
    return blob_view(scan->reverse ? &scan->upper : &scan->lower);
}

static enum kist_status narrow(struct scan *scan, struct view bound)
{
    struct blob *moving = scan->reverse ? &scan->upper : &scan->lower;

    set(moving, bound);
    return moving->failed ? KIST_NO_MEMORY : KIST_OK;
}

enum kist_status scan_resume(struct scan *scan, struct view position)
{
    struct view lower = blob_view(&scan->lower);
    struct view upper = blob_view(&scan->upper);

    /* A position outside of the range leaves nothing, or changes nothing. */
    if (!scan->reverse && view_compare(position, lower) > 0)
        return narrow(scan, position);
    if (scan->reverse && position.size > 0 &&
        (upper.size == 0 || view_compare(position, upper) < 0))
        return narrow(scan, position);
    return KIST_OK;
}

/* The end of the first delimiter behind the range's prefix, or 0. */
static size_t common_size(const struct scan *scan, struct view key)
{
    struct view delimiter = blob_view(&scan->delimiter);
    const char *found;

    if (delimiter.size == 0 || key.size < scan->prefix_size)
        return 0;
    found = memmem(key.data + scan->prefix_size, key.size - scan->prefix_size,
                   delimiter.data, delimiter.size);
    if (found == NULL)
        return 0;
    return (size_t)(found - key.data) + delimiter.size;
}

static void seek(const struct scan *scan, struct cursor *cursor)
{
    if (scan->reverse)
        cursor_seek_before(cursor, blob_view(&scan->upper));
    else
        cursor_seek(cursor, blob_view(&scan->lower));
}

static bool in_range(const struct scan *scan, struct view key)
{
    if (scan->reverse)
        return view_compare(key, blob_view(&scan->lower)) >= 0;
    return scan->upper.size == 0 ||
           view_compare(key, blob_view(&scan->upper)) < 0;
}

/* Past key, which was looked at; past all with its common prefix if told. */
static enum kist_status pass(struct scan *scan, struct view key, size_t common)
{
    struct blob *moving = scan->reverse ? &scan->upper : &scan->lower;

    if (common > 0)
        key.size = common;
    set(moving, key);
    if (!scan->reverse)
        blob_append_byte(moving, common > 0 ? AFTER_ALL : '\0');
    return moving->failed ? KIST_NO_MEMORY : KIST_OK;
}

/* *out_common: the size of the common prefix that it stands for, or 0. */
static enum kist_status tell(struct scan *scan,
                             const struct scan_visitor *visitor,
                             struct view key, const struct record *record,
                             uint64_t now_ms, bool *out_go_on,
                             size_t *out_common)
{
    size_t common = 0;

    if (!record_is_dead(record, now_ms)) {
        common = common_size(scan, key);
        if (common > 0)
            *out_go_on = visitor->common_prefix(
                visitor->ctx, (struct view){key.data, common});
        else
            *out_go_on = visitor->key(visitor->ctx, key, record);
    }
    *out_common = common;
    return pass(scan, key, common);
}

enum kist_status scan_tell(struct scan *scan,
                           const struct scan_visitor *visitor, struct view key,
                           const struct record *record, uint64_t now_ms,
                           bool *out_go_on)
{
    size_t common;

    *out_go_on = true;
    if (view_compare(key, blob_view(&scan->lower)) < 0 ||
        (scan->upper.size > 0 &&
         view_compare(key, blob_view(&scan->upper)) >= 0))
        return KIST_OK; /* Behind a common prefix that was told. */
    return tell(scan, visitor, key, record, now_ms, out_go_on, &common);
}

/* One record: told, passed, and the cursor on the next. */
static enum kist_status step(struct scan *scan, struct cursor *cursor,
                             const struct scan_visitor *visitor,
                             struct view key, uint64_t now_ms, bool *out_go_on)
{
    struct record record;
    size_t common;
    enum kist_status status = cursor_record(cursor, &record);

    if (status == KIST_OK)
        status = tell(scan, visitor, key, &record, now_ms, out_go_on, &common);
    if (status != KIST_OK)
        return status;
    if (common > 0)
        seek(scan, cursor);
    else if (scan->reverse)
        cursor_previous(cursor);
    else
        cursor_next(cursor);
    return KIST_OK;
}

enum kist_status scan_run(struct scan *scan, const struct scan_visitor *visitor,
                          uint64_t now_ms, size_t steps)
{
    struct cursor *cursor;
    struct view key;
    bool go_on = true;
    enum kist_status status;

    if (scan->source != NULL)
        return scan->source->run(scan->source->ctx, scan, visitor, now_ms);
    status = cursor_open(scan->store, CURSOR_RECORDS, &cursor);
    if (status != KIST_OK)
        return status;
    seek(scan, cursor);
    for (; go_on && steps > 0 && status == KIST_OK; steps--) {
        if (!cursor_key(cursor, &key) || !in_range(scan, key)) {
            status = cursor_error(cursor);
            scan->done = status == KIST_OK;
            break;
        }
        status = step(scan, cursor, visitor, key, now_ms, &go_on);
    }
    cursor_close(cursor);
    return status;
}
