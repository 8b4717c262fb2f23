#include "api/batch_read.h"

#include "api/json_check.h"
#include "api/json_string.h"
#include "api/json_text.h"
#include "base/clock.h"
#include "service/settings.h"

#include <stdlib.h>
#include <string.h>

static struct batch_operation *next_place(struct batch_operations *operations)
{
    size_t capacity = operations->capacity < 16 ? 16 : operations->capacity * 2;
    struct batch_operation *list;

    if (operations->count < operations->capacity)
        return &operations->list[operations->count];
    list = realloc(operations->list, capacity * sizeof(*list));
    if (list == NULL)
        return NULL;
    operations->list = list;
    operations->capacity = capacity;
    return &list[operations->count];
}

/* An operation without shape refuses all: nobody knows what it meant. */
static enum kist_status add(struct batch_operations *operations,
                            struct view json, size_t offset,
                            const struct settings *settings,
                            struct batch_fault *out_fault)
{
    struct batch_operation *place;
    enum kist_status status;

    if (operations->count == settings->batch_operations ||
        operations->patch_bytes > settings->max_json_bytes)
        return KIST_TOO_LARGE;
    place = next_place(operations);
    if (place == NULL)
        return KIST_NO_MEMORY;
    status = batch_operation_read(place, json, settings, clock_wall_ms());
    operations->count++; /* Also a half-read one: it is to be cleared. */
    operations->memory += sizeof(*place) + batch_operation_memory(place);
    if (place->edit.patch != NULL)
        operations->patch_bytes += json.size;
    if (status != KIST_OK || !place->refused ||
        place->problem != PROBLEM_INVALID_JSON)
        return status;
    *out_fault = (struct batch_fault){offset, place->detail};
    return KIST_INVALID;
}

static enum kist_status check(struct view text, size_t offset,
                              struct batch_fault *out_fault)
{
    struct json_fault fault;
    enum json_type type;
    enum kist_status status = json_check(text, &fault, &type);

    if (status == KIST_INVALID)
        *out_fault = (struct batch_fault){offset + fault.offset, fault.reason};
    return status;
}

static enum kist_status read_json(struct view body,
                                  const struct settings *settings,
                                  struct batch_operations *out,
                                  struct batch_fault *out_fault)
{
    struct json_parts parts;
    struct json_part part;
    enum kist_status status = check(body, 0, out_fault);

    if (status != KIST_OK)
        return status;
    *out_fault = (struct batch_fault){
        0, "a batch is an object with one member, the array \"operations\""};
    if (json_text_type(body) != JSON_IS_OBJECT)
        return KIST_INVALID;
    parts = json_parts_of(body);
    if (!json_parts_next(&parts, &part) ||
        !json_string_means(part.name, VIEW_LITERAL("operations")) ||
        json_text_type(part.value) != JSON_IS_ARRAY)
        return KIST_INVALID;
    struct json_parts list = json_parts_of(part.value);
    if (json_parts_next(&parts, &part))
        return KIST_INVALID;

    while (status == KIST_OK && json_parts_next(&list, &part))
        status = add(out, part.value, (size_t)(part.value.data - body.data),
                     settings, out_fault);
    return status;
}

static enum kist_status read_lines(struct view body,
                                   const struct settings *settings,
                                   struct batch_operations *out,
                                   struct batch_fault *out_fault)
{
    size_t offset = 0;
    enum kist_status status = KIST_OK;

    while (status == KIST_OK && offset < body.size) {
        struct view rest = view_from(body, offset);
        const char *end = memchr(rest.data, '\n', rest.size);
        struct view line = {rest.data, end != NULL ? (size_t)(end - rest.data)
                                                   : rest.size};
        struct view json = json_text_trim(line);

        if (json.size > 0)
            status = check(line, offset, out_fault);
        if (json.size > 0 && status == KIST_OK)
            status = add(out, json, (size_t)(json.data - body.data), settings,
                         out_fault);
        offset += line.size + 1;
    }
    return status;
}

enum kist_status batch_read(struct view body, enum batch_format format,
                            const struct settings *settings,
                            struct batch_operations *out,
                            struct batch_fault *out_fault)
{
    return format == BATCH_JSON ? read_json(body, settings, out, out_fault)
                                : read_lines(body, settings, out, out_fault);
}

void batch_operations_clear(struct batch_operations *operations)
{
    for (size_t i = 0; i < operations->count; i++)
        batch_operation_clear(&operations->list[i]);
    free(operations->list);
    *operations = (struct batch_operations){0};
}
