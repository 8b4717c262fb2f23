#include "storage/redis_scan.h"

#include "base/owner.h"
#include "storage/redis_call.h"
#include "storage/redis_script.h"

#include <stdlib.h>
#include <string.h>

/* Keys of a slice if many are expected. */
#define SLICE_KEYS 4096

/* Values that a slice brings into memory, and one more. */
#define SLICE_BYTES (4u << 20)

#define CREATED_SIZE 8

/* All of a record but its value, however long its media type. */
#define HEAD_BYTES (CREATED_SIZE + RECORD_HEAD_SIZE + RECORD_MEDIA_TYPE_MAX)

/* The next keys of one shard. */
struct page {
    struct redis_call call;
    struct slice *slice;
    struct blob text; /* One key after the other. */
    size_t *ends;     /* Where each ends in text. */
    size_t count;
    size_t told;  /* So many were merged. */
    bool is_last; /* The index has no more in the range. */
};

/* A key that was merged, and its record. */
struct found {
    struct redis_call call;
    struct slice *slice;
    struct view key; /* In the text of its page. */
    struct blob bytes;
    bool is_whole; /* bytes are a whole record, else the head of one. */
};

struct slice {
    struct scan *scan;
    struct redis_scans *by;
    struct redis_calls calls;
    size_t page_keys;
    struct page *pages; /* REDIS_SLOT_SHARDS */
    struct found *found;
    size_t count, capacity;
};

static uint32_t tag_of(const struct slice *slice, unsigned shard)
{
    return redis_map_tag(slice->by->map, shard);
}

/* The indexes. */

static void add_bound(struct redis_command *command, char sign,
                      struct view bound, const char *without)
{
    size_t size = command->text.size;

    if (bound.size == 0) {
        redis_command_add(command, view_of(without));
        return;
    }
    blob_append_byte(&command->text, sign);
    blob_append(&command->text, bound);
    redis_command_add(command, view_from(blob_view(&command->text), size));
}

static void say_page(struct redis_call *call, struct redis_command *command)
{
    struct page *page = OWNER(call, struct page, call);
    struct slice *slice = page->slice;
    const struct scan *scan = slice->scan;
    struct view lower = blob_view(&scan->lower);
    struct view upper = blob_view(&scan->upper);

    redis_command_begin(command, lower.size + upper.size + 2 +
                                     REDIS_COMMAND_NAME_SIZE +
                                     2 * REDIS_COMMAND_NUMBER_SIZE);
    redis_command_add(command, scan->reverse ? VIEW_LITERAL("ZREVRANGEBYLEX")
                                             : VIEW_LITERAL("ZRANGEBYLEX"));
    redis_command_add_name(command, tag_of(slice, call->task.shard),
                           REDIS_NAME_INDEX, (struct view){0});
    if (scan->reverse)
        add_bound(command, '(', upper, "+");
    add_bound(command, '[', lower, "-");
    if (!scan->reverse)
        add_bound(command, '(', upper, "+");
    redis_command_add(command, VIEW_LITERAL("LIMIT"));
    redis_command_add_number(command, 0);
    redis_command_add_number(command, slice->page_keys);
}

static enum kist_status hear_page(struct redis_call *call,
                                  const struct redis_answer *answer)
{
    struct page *page = OWNER(call, struct page, call);

    if (answer->kind != REDIS_ANSWER_LIST)
        return KIST_IO;
    page->is_last = answer->count < page->slice->page_keys;
    page->ends = calloc(answer->count + 1, sizeof(*page->ends));
    if (page->ends == NULL)
        return KIST_NO_MEMORY;
    for (size_t i = 0; i < answer->count; i++) {
        blob_append(&page->text, redis_answer_at(answer, i).text);
        page->ends[i] = page->text.size;
    }
    page->count = answer->count;
    return page->text.failed ? KIST_NO_MEMORY : KIST_OK;
}

/* Keys are dealt to shards as by chance: some get more than their share. */
static size_t share_of(size_t keys)
{
    size_t mean = keys / REDIS_SLOT_SHARDS, root = 0;

    while (root * root < mean)
        root++;
    return mean + 4 * root + 5;
}

static enum kist_status ask_indexes(struct slice *slice)
{
    struct redis_task_list list;
    size_t expected = slice->scan->expected;

    if (expected == 0 || expected > SLICE_KEYS)
        expected = SLICE_KEYS;
    slice->page_keys = share_of(expected);
    redis_task_list_init(&list);
    for (unsigned i = 0; i < REDIS_SLOT_SHARDS; i++) {
        struct page *page = &slice->pages[i];

        page->slice = slice;
        page->call.task.shard = i;
        page->call.say = say_page;
        page->call.hear = hear_page;
        redis_calls_add(&slice->calls, &list, &page->call);
    }
    return redis_calls_run(&slice->calls, &list);
}

/* Merging: a heap of pages by their next key. */

static struct view next_key(const struct page *page)
{
    size_t start = page->told == 0 ? 0 : page->ends[page->told - 1];

    return (struct view){page->text.data + start,
                         page->ends[page->told] - start};
}

static bool comes_first(const struct scan *scan, const struct page *a,
                        const struct page *b)
{
    int order = view_compare(next_key(a), next_key(b));

    return scan->reverse ? order > 0 : order < 0;
}

struct heap {
    struct page *pages[REDIS_SLOT_SHARDS];
    size_t count;
    const struct scan *scan;
};

static void sink(struct heap *heap, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
        struct page *page = heap->pages[at];

        if (child + 1 < heap->count &&
            comes_first(heap->scan, heap->pages[child + 1], heap->pages[child]))
            child++;
        if (!comes_first(heap->scan, heap->pages[child], page))
            return;
        heap->pages[at] = heap->pages[child];
        heap->pages[child] = page;
    }
}

static enum kist_status add_found(struct slice *slice, struct view key,
                                  unsigned shard)
{
    if (slice->count == slice->capacity) {
        size_t capacity = slice->capacity * 2 + 128;
        struct found *found =
            reallocarray(slice->found, capacity, sizeof(*found));

        if (found == NULL)
            return KIST_NO_MEMORY;
        slice->found = found;
        slice->capacity = capacity;
    }
    slice->found[slice->count] = (struct found){.slice = slice, .key = key};
    slice->found[slice->count].call.task.shard = shard;
    slice->count++;
    return KIST_OK;
}

/* Up to the page that has told all that was asked of it, and has more. */
static enum kist_status merge(struct slice *slice, bool *out_is_last)
{
    struct heap heap = {.scan = slice->scan};
    enum kist_status status = KIST_OK;

    for (size_t i = 0; i < REDIS_SLOT_SHARDS; i++)
        if (slice->pages[i].count > 0)
            heap.pages[heap.count++] = &slice->pages[i];
    for (size_t i = heap.count / 2; i > 0; i--)
        sink(&heap, i - 1);
    *out_is_last = true;
    while (status == KIST_OK && heap.count > 0) {
        struct page *page = heap.pages[0];

        status = add_found(slice, next_key(page), page->call.task.shard);
        page->told++;
        if (page->told == page->count && !page->is_last) {
            *out_is_last = false;
            break;
        }
        if (page->told == page->count)
            heap.pages[0] = heap.pages[--heap.count];
        sink(&heap, 0);
    }
    return status;
}

/* The records. */

static void say_head(struct redis_call *call, struct redis_command *command)
{
    struct found *found = OWNER(call, struct found, call);

    redis_command_begin(command, found->key.size + REDIS_COMMAND_NAME_SIZE +
                                     2 * REDIS_COMMAND_NUMBER_SIZE);
    redis_command_add(command, VIEW_LITERAL("GETRANGE"));
    redis_command_add_name(command, tag_of(found->slice, call->task.shard),
                           REDIS_NAME_RECORD, found->key);
    redis_command_add_number(command, 0);
    redis_command_add_number(command, HEAD_BYTES - 1);
}

static void say_whole(struct redis_call *call, struct redis_command *command)
{
    struct found *found = OWNER(call, struct found, call);

    redis_command_begin(command, found->key.size + REDIS_COMMAND_NAME_SIZE);
    redis_command_add(command, VIEW_LITERAL("GET"));
    redis_command_add_name(command, tag_of(found->slice, call->task.shard),
                           REDIS_NAME_RECORD, found->key);
}

static enum kist_status hear_bytes(struct redis_call *call,
                                   const struct redis_answer *answer)
{
    struct found *found = OWNER(call, struct found, call);

    blob_clear(&found->bytes);
    if (answer->kind == REDIS_ANSWER_TEXT)
        blob_append(&found->bytes, answer->text);
    return found->bytes.failed ? KIST_NO_MEMORY : KIST_OK;
}

/* False: it is damaged. */
static bool read_head(struct view bytes, struct record *out_record)
{
    if (bytes.size < CREATED_SIZE + RECORD_HEAD_SIZE)
        return false;
    record_trust(view_from(bytes, CREATED_SIZE), out_record);
    out_record->created_ms = read_u64(bytes.data);
    out_record->value.data = NULL;
    return out_record->media_type.size <=
           bytes.size - CREATED_SIZE - RECORD_HEAD_SIZE;
}

static enum kist_status ask_found(struct slice *slice, size_t count,
                                  void (*say)(struct redis_call *call,
                                              struct redis_command *command))
{
    struct redis_task_list list;

    redis_task_list_init(&list);
    for (size_t i = 0; i < count; i++) {
        struct found *found = &slice->found[i];

        if (say == say_whole && found->bytes.size == 0)
            continue; /* It has expired. */
        found->is_whole = say == say_whole;
        found->call.say = say;
        found->call.hear = hear_bytes;
        redis_calls_add(&slice->calls, &list, &found->call);
    }
    return redis_calls_run(&slice->calls, &list);
}

/* So many of those that were found fit, at least one. */
static size_t fitting(const struct slice *slice)
{
    uint64_t bytes = 0;
    struct record record;

    for (size_t i = 0; i < slice->count; i++) {
        if (read_head(blob_view(&slice->found[i].bytes), &record))
            bytes += record.value.size;
        if (i > 0 && bytes > SLICE_BYTES)
            return i;
    }
    return slice->count;
}

/* The index without those that have expired. */

static void say_tidy(struct redis_call *call, struct redis_command *command)
{
    struct found *found = OWNER(call, struct found, call);
    uint32_t tag = tag_of(found->slice, call->task.shard);
    static const char zeros[16];

    redis_command_begin(command, found->key.size + 3 * REDIS_COMMAND_NAME_SIZE);
    redis_command_add_script(command, REDIS_SCRIPT_CHANGE);
    redis_command_add(command, VIEW_LITERAL("3"));
    redis_command_add_name(command, tag, REDIS_NAME_INDEX, (struct view){0});
    redis_command_add_name(command, tag, REDIS_NAME_FLOOR, (struct view){0});
    redis_command_add_name(command, tag, REDIS_NAME_RECORD, found->key);
    redis_command_add(command, VIEW_LITERAL("00"));
    redis_command_add(command, (struct view){zeros, 1}); /* CONDITION_NONE */
    redis_command_add(command, VIEW_LITERAL("t"));
    redis_command_add(command, (struct view){zeros, 16});
    redis_command_add(command, (struct view){zeros, 8});
    redis_command_add(command, VIEW_LITERAL("0"));
    redis_command_add(command, (struct view){0});
}

static enum kist_status hear_tidied(struct redis_call *call,
                                    const struct redis_answer *answer)
{
    (void)call;
    (void)answer;
    return KIST_OK;
}

/* What cannot be tidied now will be found again. */
static void tidy(struct slice *slice)
{
    struct redis_task_list list;
    enum kist_status status;

    redis_task_list_init(&list);
    for (size_t i = 0; i < slice->count; i++) {
        struct found *found = &slice->found[i];

        if (found->bytes.size > 0)
            continue;
        found->call.say = say_tidy;
        found->call.hear = hear_tidied;
        redis_calls_add(&slice->calls, &list, &found->call);
    }
    if (list.first == NULL)
        return;
    status = redis_calls_run(&slice->calls, &list);
    (void)status;
}

/* Telling. */

static enum kist_status tell_found(struct slice *slice,
                                   const struct scan_visitor *visitor,
                                   struct found *found, uint64_t now_ms,
                                   bool *out_go_on)
{
    struct view bytes = blob_view(&found->bytes);
    struct record record;

    *out_go_on = true;
    if (bytes.size == 0)
        return KIST_OK;
    if (!read_head(bytes, &record) || record.large)
        return KIST_CORRUPT;
    if (found->is_whole &&
        record_decode(found->key, view_from(bytes, CREATED_SIZE), &record) !=
            KIST_OK)
        return KIST_CORRUPT;
    record.created_ms = read_u64(bytes.data);
    return scan_tell(slice->scan, visitor, found->key, &record, now_ms,
                     out_go_on);
}

/* Past a key that may not have been told. */
static enum kist_status pass(struct scan *scan, struct view key)
{
    struct blob after = BLOB_EMPTY;
    enum kist_status status;

    blob_append(&after, key);
    if (!scan->reverse)
        blob_append_byte(&after, '\0');
    status =
        after.failed ? KIST_NO_MEMORY : scan_resume(scan, blob_view(&after));
    blob_free(&after);
    return status;
}

static enum kist_status tell(struct slice *slice,
                             const struct scan_visitor *visitor,
                             uint64_t now_ms, bool is_last)
{
    size_t count = slice->scan->values ? fitting(slice) : slice->count;
    enum kist_status status = KIST_OK;
    bool goes_on = true;

    if (slice->scan->values)
        status = ask_found(slice, count, say_whole);
    for (size_t i = 0; status == KIST_OK && goes_on && i < count; i++)
        status = tell_found(slice, visitor, &slice->found[i], now_ms, &goes_on);
    if (status != KIST_OK || !goes_on)
        return status;
    slice->scan->done = is_last && count == slice->count;
    if (slice->scan->done || count == 0)
        return KIST_OK;
    return pass(slice->scan, slice->found[count - 1].key);
}

static void clear(struct slice *slice)
{
    for (size_t i = 0; slice->pages != NULL && i < REDIS_SLOT_SHARDS; i++) {
        blob_free(&slice->pages[i].text);
        free(slice->pages[i].ends);
    }
    for (size_t i = 0; i < slice->count; i++)
        blob_free(&slice->found[i].bytes);
    free(slice->pages);
    free(slice->found);
    redis_calls_clear(&slice->calls);
}

static enum kist_status find(struct slice *slice, bool *out_is_last)
{
    enum kist_status status;

    slice->pages = calloc(REDIS_SLOT_SHARDS, sizeof(*slice->pages));
    if (slice->pages == NULL)
        return KIST_NO_MEMORY;
    status = ask_indexes(slice);
    if (status == KIST_OK)
        status = merge(slice, out_is_last);
    if (status == KIST_OK)
        status = ask_found(slice, slice->count, say_head);
    return status;
}

/* Nothing is there between bounds that meet. */
static bool is_empty(const struct scan *scan)
{
    return scan->upper.size > 0 &&
           view_compare(blob_view(&scan->lower), blob_view(&scan->upper)) >= 0;
}

enum kist_status redis_scan_run(void *ctx, struct scan *scan,
                                const struct scan_visitor *visitor,
                                uint64_t now_ms)
{
    struct redis_scans *by = ctx;
    struct slice slice = {.scan = scan, .by = by};
    enum kist_status status;
    bool is_last = true;

    if (is_empty(scan)) {
        scan->done = true;
        return KIST_OK;
    }
    redis_calls_init(&slice.calls, by->map, by->timeout_ms);
    status = find(&slice, &is_last);
    if (status == KIST_OK) {
        tidy(&slice);
        status = tell(&slice, visitor, now_ms, is_last);
    }
    clear(&slice);
    return status;
}
