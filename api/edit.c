#include "api/edit.h"

#include "api/entity.h"
#include "api/integer.h"
#include "api/json_check.h"
#include "api/json_merge_patch.h"
#include "api/json_text.h"
#include "api/large_value.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes that are not JSON are in memory here, as in a batch. */
void edit_limit(struct edit *edit, const struct settings *settings)
{
    edit->max_json_bytes = settings->max_json_bytes;
    edit->max_value_bytes = settings->max_value_bytes;
    if (edit->max_value_bytes > settings->max_batch_bytes)
        edit->max_value_bytes = settings->max_batch_bytes;
}

uint64_t edit_load_limit(const struct edit *edit)
{
    switch (edit->kind) {
    case EDIT_APPEND:
        return edit->body_type == JSON_NONE ? edit->max_value_bytes
                                            : edit->max_json_bytes;
    case EDIT_MERGE_PATCH:
    case EDIT_JSON_PATCH:
        return edit->max_json_bytes;
    case EDIT_NONE:
    case EDIT_READ:
    case EDIT_TAKE:
    case EDIT_INCREMENT:
    case EDIT_EXPIRY:
        break;
    }
    return 0;
}

void edit_clear(struct edit *edit)
{
    json_patch_free(edit->patch);
    blob_free(&edit->result);
    if (edit->is_open)
        close(edit->descriptor);
    edit->is_open = false;
    edit->patch = NULL;
}

static enum kist_status KIST_PRINTF(3, 4)
    refuse(struct edit *edit, enum problem problem, const char *detail, ...)
{
    va_list values;

    va_start(values, detail);
    vsnprintf(edit->detail, sizeof(edit->detail), detail, values);
    va_end(values);
    edit->refused = true;
    edit->problem = problem;
    return KIST_INVALID;
}

static enum kist_status refuse_size(struct edit *edit, uint64_t limit)
{
    return refuse(edit, PROBLEM_BODY_TOO_LARGE,
                  "The value would exceed %" PRIu64 " bytes.", limit);
}

static enum kist_status keep(struct edit *edit, const struct record *current)
{
    edit->seen = *current;
    memcpy(edit->media_type, current->media_type.data,
           current->media_type.size);
    edit->seen.media_type.data = edit->media_type;
    blob_append(&edit->result, current->value);
    edit->seen.value = blob_view(&edit->result);
    return edit->result.failed ? KIST_NO_MEMORY : KIST_OK;
}

/*
 * The file is opened now, before the deletion that follows can remove it; its
 * bytes stay there while they are sent.
 */
static enum kist_status take(struct edit *edit, const struct record *current)
{
    enum kist_status status = keep(edit, current);

    if (status != KIST_OK || !current->large)
        return status;
    status = large_value_open(edit->store, current, &edit->descriptor);
    edit->is_open = status == KIST_OK;
    return status == KIST_NOT_FOUND ? KIST_CORRUPT : status;
}

static enum kist_status
increment(struct edit *edit, const struct record *current, struct record *next)
{
    int64_t number = 0;

    if (current != NULL &&
        (current->type != JSON_IS_NUMBER || current->large ||
         !integer_read(json_text_trim(current->value), &number)))
        return refuse(edit, PROBLEM_WRONG_TYPE,
                      "incr needs a whole number between -2^63 and 2^63-1, "
                      "and this value is none.");
    if (__builtin_add_overflow(number, edit->by, &number))
        return refuse(edit, PROBLEM_UNPROCESSABLE,
                      "The sum does not fit between -2^63 and 2^63-1.");
    blob_printf(&edit->result, "%" PRId64, number);
    if (edit->result.failed)
        return KIST_NO_MEMORY;
    next->type = JSON_IS_NUMBER;
    next->media_type = VIEW_LITERAL(JSON_MEDIA_TYPE);
    next->value = blob_view(&edit->result);
    return KIST_OK;
}

static enum kist_status append_bytes(struct edit *edit,
                                     const struct record *current)
{
    uint64_t size = edit->body.size;

    if (current != NULL)
        size += current->value.size;
    if (size > edit->max_value_bytes)
        return refuse_size(edit, edit->max_value_bytes);
    if (current != NULL)
        blob_append(&edit->result, current->value);
    blob_append(&edit->result, edit->body);
    return edit->result.failed ? KIST_NO_MEMORY : KIST_OK;
}

static enum kist_status append_element(struct edit *edit,
                                       const struct record *current)
{
    struct view element = json_text_trim(edit->body);
    struct view array =
        current != NULL ? json_text_trim(current->value) : VIEW_LITERAL("[]");
    struct view inside = {array.data + 1, array.size - 2};

    if (json_text_height(element) >= JSON_MAX_DEPTH)
        return refuse(edit, PROBLEM_INVALID_JSON,
                      "With this element the array would nest more than %d "
                      "deep.",
                      JSON_MAX_DEPTH);
    blob_append(&edit->result, (struct view){array.data, array.size - 1});
    if (json_text_trim(inside).size > 0)
        blob_append_byte(&edit->result, ',');
    blob_append(&edit->result, element);
    blob_append_byte(&edit->result, ']');
    if (edit->result.failed)
        return KIST_NO_MEMORY;
    if (edit->result.size > edit->max_json_bytes)
        return refuse_size(edit, edit->max_json_bytes);
    return KIST_OK;
}

static enum kist_status append(struct edit *edit, const struct record *current,
                               struct record *next)
{
    bool json = edit->body_type != JSON_NONE;
    enum kist_status status;

    if (current != NULL && current->type != (json ? JSON_IS_ARRAY : JSON_NONE))
        return refuse(edit, PROBLEM_WRONG_TYPE,
                      "JSON is appended to a JSON array, and bytes that are "
                      "not JSON to such bytes.");
    status = json ? append_element(edit, current) : append_bytes(edit, current);
    if (status != KIST_OK)
        return status;
    next->type = json ? JSON_IS_ARRAY : JSON_NONE;
    if (current == NULL)
        next->media_type = edit->body_media_type;
    next->value = blob_view(&edit->result);
    return KIST_OK;
}

static enum kist_status
set_expiry(struct edit *edit, const struct record *current, struct record *next)
{
    if (current == NULL)
        return KIST_NOT_FOUND;
    next->expiry_ms = edit->expiry_ms;
    return KIST_OK;
}

/* Patches. */

static enum kist_status patchable(struct edit *edit,
                                  const struct record *current)
{
    if (current == NULL) /* RFC 7396 makes a value of nothing, 6902 cannot. */
        return edit->kind == EDIT_MERGE_PATCH ? KIST_OK : KIST_NOT_FOUND;
    if (current->type == JSON_NONE)
        return refuse(edit, PROBLEM_WRONG_TYPE,
                      "Only JSON can be patched, and this value is stored as "
                      "other bytes. Replace it with PUT.");
    return KIST_OK;
}

static enum kist_status merge_patch(struct edit *edit,
                                    const struct record *current)
{
    struct view target = current != NULL ? current->value : (struct view){0};
    enum kist_status status = json_merge_patch(
        target, edit->body, edit->max_json_bytes, &edit->result);

    if (status == KIST_TOO_LARGE)
        return refuse_size(edit, edit->max_json_bytes);
    return status;
}

static enum kist_status refuse_operation(struct edit *edit,
                                         enum problem problem,
                                         const struct json_patch_fault *fault)
{
    if (fault->operation == JSON_PATCH_WHOLE)
        return refuse(edit, problem, "The patch: %s.", fault->reason);
    return refuse(edit, problem, "Operation %zu of the patch: %s.",
                  fault->operation, fault->reason);
}

static enum kist_status json_patch(struct edit *edit,
                                   const struct record *current)
{
    struct json_patch_fault fault;
    enum kist_status status =
        json_patch_apply(edit->patch, current->value, edit->max_json_bytes,
                         &edit->result, &fault);

    if (status == KIST_CONFLICT)
        return refuse_operation(edit, PROBLEM_PATCH_TEST_FAILED, &fault);
    if (status == KIST_NOT_FOUND)
        return refuse_operation(edit, PROBLEM_UNPROCESSABLE, &fault);
    if (status == KIST_TOO_LARGE)
        return refuse_operation(edit, PROBLEM_BODY_TOO_LARGE, &fault);
    return status;
}

static enum kist_status patch(struct edit *edit, const struct record *current,
                              struct record *next)
{
    enum kist_status status = patchable(edit, current);

    if (status == KIST_OK)
        status = edit->kind == EDIT_MERGE_PATCH ? merge_patch(edit, current)
                                                : json_patch(edit, current);
    if (status != KIST_OK)
        return status;
    next->value = blob_view(&edit->result);
    next->type = json_text_type(next->value);
    if (current == NULL)
        next->media_type = VIEW_LITERAL(JSON_MEDIA_TYPE);
    return KIST_OK;
}

static enum kist_status change(struct edit *edit, const struct record *current,
                               struct record *next)
{
    switch (edit->kind) {
    case EDIT_NONE:
        return KIST_OK;
    case EDIT_READ:
        return current == NULL ? KIST_NOT_FOUND : keep(edit, current);
    case EDIT_TAKE:
        *next = (struct record){.tombstone = true};
        return current == NULL ? KIST_NOT_FOUND : take(edit, current);
    case EDIT_INCREMENT:
        return increment(edit, current, next);
    case EDIT_APPEND:
        return append(edit, current, next);
    case EDIT_EXPIRY:
        return set_expiry(edit, current, next);
    case EDIT_MERGE_PATCH:
    case EDIT_JSON_PATCH:
        return patch(edit, current, next);
    }
    return KIST_INVALID;
}

enum kist_status edit_apply(struct write *write, const struct record *current,
                            struct record *next)
{
    struct edit *edit = write->ctx;
    enum kist_status status;

    /* Others may have come first: then it is tried again. */
    blob_clear(&edit->result);
    edit->refused = false;
    status = change(edit, current, next);
    if (edit->kind == EDIT_READ) {
        write->unchanged = true; /* Absent or not: a read fails no group. */
        return status == KIST_NOT_FOUND ? KIST_OK : status;
    }
    if (status != KIST_OK || next->tombstone)
        return status;
    if (edit->expiry_ms != 0)
        next->expiry_ms = edit->expiry_ms;
    if (edit->kind != EDIT_EXPIRY)
        edit->seen = (struct record){.type = next->type};
    return KIST_OK;
}
