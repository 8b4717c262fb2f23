#include "replication/scan_page.h"

#include "storage/cursor.h"

enum {
    REVERSE = 1,
    VALUES = 2,
    BOUND_MAX = STORE_KEY_MAX + 1,
};

static void add_sized(struct view bytes, struct blob *out)
{
    blob_append_u16(out, (uint16_t)bytes.size);
    blob_append(out, bytes);
}

static bool take(struct view *body, size_t size, struct view *out_part)
{
    if (body->size < size)
        return false;
    *out_part = (struct view){body->data, size};
    *body = view_from(*body, size);
    return true;
}

static bool take_sized(struct view *body, size_t limit, struct view *out_bytes)
{
    struct view size;

    return take(body, 2, &size) && read_u16(size.data) <= limit &&
           take(body, read_u16(size.data), out_bytes);
}

/* What is asked. */

void scan_page_add_range(const struct env_scan_range *range, struct blob *out)
{
    blob_append_byte(out, (char)((range->reverse ? REVERSE : 0) |
                                 (range->values ? VALUES : 0)));
    blob_append_u16(out, (uint16_t)(range->limit < SCAN_PAGE_RECORDS
                                        ? range->limit
                                        : SCAN_PAGE_RECORDS));
    blob_append_u32(out, range->value_limit);
    add_sized(range->lower, out);
    add_sized(range->upper, out);
}

enum kist_status scan_page_next_range(struct view *body,
                                      struct env_scan_range *out_range)
{
    struct view flags, lower, upper;

    if (!take(body, 7, &flags) ||
        (unsigned char)flags.data[0] > (REVERSE | VALUES) ||
        !take_sized(body, BOUND_MAX, &lower) ||
        !take_sized(body, BOUND_MAX, &upper))
        return KIST_CORRUPT;
    *out_range = (struct env_scan_range){
        .lower = lower,
        .upper = upper,
        .reverse = (flags.data[0] & REVERSE) != 0,
        .values = (flags.data[0] & VALUES) != 0,
        .limit = read_u16(flags.data + 1),
        .value_limit = read_u32(flags.data + 3),
    };
    return KIST_OK;
}

/* The page. */

bool scan_page_owns(const struct env_scan *scan, uint64_t self, struct view key)
{
    const struct ring *ring = scan->ring;
    const uint16_t *owners = ring_owners_of(ring, ring_partition_of(ring, key));

    for (unsigned i = 0; i < ring->copies; i++)
        if (ring->members[owners[i]].incarnation == self)
            return true;
    return false;
}

bool scan_page_add(struct env_scan *scan, struct view key,
                   const struct record *record)
{
    struct record told = *record;
    struct blob bytes = BLOB_EMPTY;

    if (!scan->range.values && !record->large)
        told.value.size = 0;
    record_encode(key, &told, &bytes);
    add_sized(key, &scan->page);
    blob_append_u64(&scan->page, record->value.size);
    blob_append_u32(&scan->page, (uint32_t)bytes.size);
    if (bytes.failed)
        scan->page.failed = true;
    else
        blob_append(&scan->page, blob_view(&bytes));
    blob_free(&bytes);
    scan->count++;
    return scan->count == SCAN_PAGE_RECORDS ||
           scan->count == scan->range.limit ||
           scan->page.size >= SCAN_PAGE_BYTES;
}

void scan_page_end(struct env_scan *scan, bool is_done, struct view last)
{
    struct view start =
        scan->range.reverse ? scan->range.upper : scan->range.lower;
    bool is_successor = last.size > 0 && !scan->range.reverse;

    if (last.size == 0) /* Nothing was looked at. */
        last = start;
    blob_append_byte(&scan->page, is_done);
    blob_append_u16(&scan->page, (uint16_t)(last.size + is_successor));
    blob_append(&scan->page, last);
    if (is_successor)
        blob_append_byte(&scan->page, '\0');
}

static bool in_range(const struct env_scan *scan, struct view key)
{
    if (scan->range.reverse)
        return view_compare(key, scan->range.lower) >= 0;
    return scan->range.upper.size == 0 ||
           view_compare(key, scan->range.upper) < 0;
}

struct walker {
    struct env_scan *scan;
    struct store *store;
    struct cursor *cursor;
    uint64_t self;
};

/* What cannot be loaded here is told as it is: another owner may have it. */
static void load(const struct walker *walker, struct view key,
                 struct item *item)
{
    enum kist_status status;

    if (!walker->scan->range.values || !item->record.large)
        return;
    status =
        store_load(walker->store, key, item, walker->scan->range.value_limit);
    (void)status;
}

static enum kist_status look(const struct walker *walker, struct view key,
                             bool *out_full)
{
    struct item item = {0}; /* Its record is the cursor's, if not loaded. */
    enum kist_status status = KIST_OK;

    if (!scan_page_owns(walker->scan, walker->self, key))
        return KIST_OK;
    status = cursor_record(walker->cursor, &item.record);
    if (status != KIST_OK)
        return status;
    load(walker, key, &item);
    *out_full = scan_page_add(walker->scan, key, &item.record);
    item_free(&item);
    return KIST_OK;
}

static enum kist_status walk(const struct walker *walker)
{
    struct env_scan *scan = walker->scan;
    struct cursor *cursor = walker->cursor;
    struct blob last = BLOB_EMPTY;
    struct view key;
    enum kist_status status = KIST_OK;
    bool is_full = false, is_done = false;

    for (unsigned i = 0; i < SCAN_PAGE_STEPS && !is_full; i++) {
        if (!cursor_key(cursor, &key) || !in_range(scan, key)) {
            status = cursor_error(cursor);
            is_done = true;
            break;
        }
        status = look(walker, key, &is_full);
        if (status != KIST_OK)
            break;
        blob_clear(&last);
        blob_append(&last, key);
        if (scan->range.reverse)
            cursor_previous(cursor);
        else
            cursor_next(cursor);
    }
    if (status == KIST_OK && last.failed)
        status = KIST_NO_MEMORY;
    if (status == KIST_OK)
        scan_page_end(scan, is_done, blob_view(&last));
    blob_free(&last);
    return status;
}

void scan_page_fill(struct env_scan *scan, struct store *store, uint64_t self)
{
    struct cursor *cursor;

    scan->status = cursor_open(store, CURSOR_RECORDS, &cursor);
    if (scan->status != KIST_OK)
        return;
    if (scan->range.reverse)
        cursor_seek_before(cursor, scan->range.upper);
    else
        cursor_seek(cursor, scan->range.lower);
    scan->status = walk(&(struct walker){scan, store, cursor, self});
    cursor_close(cursor);
    if (scan->status == KIST_OK && scan->page.failed)
        scan->status = KIST_NO_MEMORY;
}

/* And back. */

enum kist_status scan_page_next(struct view *body,
                                struct scan_page_record *out_record)
{
    struct view size, bytes;
    uint64_t value_size;

    if (!take_sized(body, STORE_KEY_MAX, &out_record->key) ||
        out_record->key.size == 0 || !take(body, 12, &size) ||
        !take(body, read_u32(size.data + 8), &bytes) ||
        record_decode(out_record->key, bytes, &out_record->record) != KIST_OK)
        return KIST_CORRUPT;
    value_size = read_u64(size.data);
    if (out_record->record.value.size != value_size)
        out_record->record.value = (struct view){NULL, value_size};
    return KIST_OK;
}

enum kist_status scan_page_last(struct view *body, bool *out_done,
                                struct view *out_place)
{
    struct view done;

    if (!take(body, 1, &done) || (unsigned char)done.data[0] > 1 ||
        !take_sized(body, BOUND_MAX, out_place) || body->size != 0)
        return KIST_CORRUPT;
    *out_done = done.data[0] == 1;
    return KIST_OK;
}
