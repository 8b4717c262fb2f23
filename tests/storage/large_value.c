#include "tests/storage/large_value.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void repeat(const char *text, size_t size, struct blob *out)
{
    size_t length = strlen(text);

    for (size_t at = 0; at < size; at += length)
        blob_append(
            out, (struct view){text, size - at < length ? size - at : length});
}

enum kist_status large_value_make(struct large *large, const char *text,
                                  size_t size, struct large_reference *out)
{
    struct large_file *file;
    struct blob bytes = BLOB_EMPTY;
    enum kist_status status = large_create(large, size, &file);

    if (status != KIST_OK)
        return status;
    repeat(text, size, &bytes);
    /* In two pieces, so that there is a middle. */
    status = large_append(file, (struct view){bytes.data, size / 2});
    if (status == KIST_OK)
        status = large_append(file, view_from(blob_view(&bytes), size / 2));
    if (status == KIST_OK)
        status = large_finish(file, out);
    large_discard(file);
    blob_free(&bytes);
    return status;
}

struct write large_value_put(const char *key,
                             const struct large_reference *reference,
                             struct blob *bytes)
{
    large_reference_encode(reference, bytes);
    return (struct write){
        .key = view_of(key),
        .next = {.media_type = VIEW_LITERAL("text/plain"),
                 .large = true,
                 .value = blob_view(bytes)},
    };
}

enum kist_status large_value_store(struct node *node, const char *key,
                                   const char *text, size_t size)
{
    struct large *large = store_large(node->store);
    struct large_reference reference;
    struct blob bytes = BLOB_EMPTY;
    struct write write;
    enum kist_status status = large_value_make(large, text, size, &reference);

    if (status != KIST_OK)
        return status;
    write = large_value_put(key, &reference, &bytes);
    status = node_write(node, &write);
    if (status != KIST_OK && status != KIST_UNKNOWN)
        large_drop(large, &reference);
    blob_free(&bytes);
    return status;
}

bool large_value_is(struct node *node, const char *key, const char *text,
                    size_t size)
{
    struct item item;
    struct blob wanted = BLOB_EMPTY;
    enum kist_status status = store_get(node->store, view_of(key), &item);
    bool is;

    if (status == KIST_NOT_FOUND)
        return text == NULL;
    cr_assert(status == KIST_OK, "%s", kist_status_name(status));
    if (record_is_dead(&item.record, clock_wall_ms())) {
        item_free(&item);
        return text == NULL;
    }
    status = store_load(node->store, view_of(key), &item, size);
    repeat(text != NULL ? text : "", text != NULL ? size : 0, &wanted);
    is = status == KIST_OK && text != NULL &&
         view_equal(item.record.value, blob_view(&wanted));
    blob_free(&wanted);
    item_free(&item);
    return is;
}

void large_value_path(const char *path, const struct large_reference *reference,
                      char out_path[160])
{
    char name[LARGE_NAME_SIZE + 1];

    large_reference_name(reference, name);
    snprintf(out_path, 160, "%s/large/%s/%s", path, name + LARGE_NAME_SIZE - 2,
             name);
}

struct large_reference large_value_of(struct node *node, const char *key)
{
    struct large_reference reference;
    struct item item;

    cr_assert(store_get(node->store, view_of(key), &item) == KIST_OK);
    cr_assert(item.record.large);
    cr_assert(large_reference_decode(item.record.value, &reference) == KIST_OK);
    item_free(&item);
    return reference;
}
