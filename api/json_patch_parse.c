/*
 * From text to operations. Members that the RFC does not know are ignored,
 * as it demands; names given twice were refused by json_check() already.
 */
#include "api/json_check.h"
#include "api/json_patch.h"
#include "api/json_patch_internal.h"
#include "api/json_string.h"
#include "api/json_text.h"

#include <stdlib.h>

/* The members of one operation as spelled; empty: not there. */
struct spelled {
    struct view kind;
    struct view path;
    struct view from;
    struct view value;
};

enum { MEMORY_PER_BYTE = 32, FREE_BUDGET = 1 << 16 };

static const struct {
    const char *name;
    enum json_operation_kind kind;
} kinds[] = {
    {"add", JSON_OPERATION_ADD},         {"remove", JSON_OPERATION_REMOVE},
    {"replace", JSON_OPERATION_REPLACE}, {"move", JSON_OPERATION_MOVE},
    {"copy", JSON_OPERATION_COPY},       {"test", JSON_OPERATION_TEST},
};

static enum kist_status invalid(struct json_patch_fault *fault,
                                const char *reason)
{
    fault->reason = reason;
    return KIST_INVALID;
}

static struct spelled find_members(struct view operation)
{
    struct json_parts parts = json_parts_of(operation);
    struct spelled found = {.kind.size = 0};
    struct json_part part;

    while (json_parts_next(&parts, &part)) {
        if (json_string_means(part.name, VIEW_LITERAL("op")))
            found.kind = part.value;
        else if (json_string_means(part.name, VIEW_LITERAL("path")))
            found.path = part.value;
        else if (json_string_means(part.name, VIEW_LITERAL("from")))
            found.from = part.value;
        else if (json_string_means(part.name, VIEW_LITERAL("value")))
            found.value = part.value;
    }
    return found;
}

static enum kist_status parse_kind(struct view literal,
                                   struct json_patch_fault *fault,
                                   enum json_operation_kind *out_kind)
{
    if (literal.size == 0)
        return invalid(fault, "the member \"op\" is missing");
    if (json_text_type(literal) != JSON_IS_STRING)
        return invalid(fault, "the member \"op\" is not a string");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (json_string_means(literal, view_of(kinds[i].name))) {
            *out_kind = kinds[i].kind;
            return KIST_OK;
        }
    }
    return invalid(fault, "the member \"op\" is not one of add, remove, "
                          "replace, move, copy, test");
}

/* The reasons differ by member, so that nobody looks at the wrong one. */
struct pointer_faults {
    const char *missing;
    const char *malformed;
};

static const struct pointer_faults path_faults = {
    "the member \"path\" is missing",
    "the member \"path\" is not a JSON Pointer: it is a string, empty or "
    "beginning with /, in which ~ stands only in ~0 and ~1",
};
static const struct pointer_faults from_faults = {
    "the member \"from\" is missing, which move and copy need",
    "the member \"from\" is not a JSON Pointer: it is a string, empty or "
    "beginning with /, in which ~ stands only in ~0 and ~1",
};

static enum kist_status parse_pointer(struct arena *arena, struct view literal,
                                      const struct pointer_faults *faults,
                                      struct json_patch_fault *fault,
                                      struct json_pointer *out_pointer)
{
    enum kist_status status = KIST_OK;
    struct view pointer;
    void *room;

    if (literal.size == 0)
        return invalid(fault, faults->missing);
    if (json_text_type(literal) != JSON_IS_STRING)
        return invalid(fault, faults->malformed);
    pointer = json_string_inside(literal);
    if (json_string_has_escapes(literal)) {
        status = arena_take(arena, json_string_bound(literal), &room);
        if (status != KIST_OK)
            return status;
        pointer = (struct view){room, json_string_decode_to(literal, room)};
    }
    status = json_pointer_parse(arena, pointer, out_pointer);
    return status == KIST_INVALID ? invalid(fault, faults->malformed) : status;
}

static bool needs_from(enum json_operation_kind kind)
{
    return kind == JSON_OPERATION_MOVE || kind == JSON_OPERATION_COPY;
}

static bool needs_value(enum json_operation_kind kind)
{
    return kind == JSON_OPERATION_ADD || kind == JSON_OPERATION_REPLACE ||
           kind == JSON_OPERATION_TEST;
}

static bool is_inside(const struct json_pointer *inner,
                      const struct json_pointer *outer)
{
    if (inner->count <= outer->count)
        return false;
    for (size_t i = 0; i < outer->count; i++)
        if (!view_equal(inner->tokens[i], outer->tokens[i]))
            return false;
    return true;
}

/* What no document could make possible. */
static enum kist_status check_sense(const struct json_operation *operation,
                                    struct json_patch_fault *fault)
{
    if (operation->kind == JSON_OPERATION_REMOVE && operation->path.count == 0)
        return invalid(fault, "the whole document cannot be removed by a "
                              "patch: delete the key instead");
    if (operation->kind == JSON_OPERATION_MOVE &&
        is_inside(&operation->path, &operation->from))
        return invalid(fault, "a value cannot be moved into itself");
    return KIST_OK;
}

static enum kist_status parse_operation(struct arena *arena, struct view text,
                                        struct json_patch_fault *fault,
                                        struct json_operation *out)
{
    struct spelled spelled;
    enum kist_status status;

    if (json_text_type(text) != JSON_IS_OBJECT)
        return invalid(fault, "an operation is not an object");
    spelled = find_members(text);
    *out = (struct json_operation){.value = spelled.value};
    status = parse_kind(spelled.kind, fault, &out->kind);
    if (status == KIST_OK)
        status =
            parse_pointer(arena, spelled.path, &path_faults, fault, &out->path);
    if (status == KIST_OK && needs_from(out->kind))
        status =
            parse_pointer(arena, spelled.from, &from_faults, fault, &out->from);
    if (status == KIST_OK && needs_value(out->kind) && spelled.value.size == 0)
        status = invalid(fault, "the member \"value\" is missing, which add, "
                                "replace and test need");
    return status == KIST_OK ? check_sense(out, fault) : status;
}

static enum kist_status parse_operations(struct json_patch *patch,
                                         struct json_patch_fault *fault)
{
    struct json_parts parts = json_parts_of(patch->text);
    enum kist_status status = KIST_OK;
    struct json_part part;

    while (status == KIST_OK && json_parts_next(&parts, &part)) {
        fault->operation = patch->count;
        fault->offset = (size_t)(part.value.data - patch->text.data);
        status = parse_operation(&patch->arena, part.value, fault,
                                 &patch->operations[patch->count]);
        patch->count++;
    }
    return status;
}

/* Room for the operations, once it is known that text is checked JSON. */
static enum kist_status make_room(struct json_patch *patch,
                                  struct json_patch_fault *fault)
{
    struct json_parts parts = json_parts_of(patch->text);
    struct json_part part;
    size_t count = 0;
    enum kist_status status;
    void *room;

    while (json_parts_next(&parts, &part))
        count++;
    if (count > JSON_PATCH_MAX_OPERATIONS) {
        fault->reason = "the patch has more than 10000 operations";
        return KIST_TOO_LARGE;
    }
    status =
        arena_take(&patch->arena, count * sizeof(patch->operations[0]), &room);
    if (status == KIST_OK)
        patch->operations = room;
    return status;
}

static enum kist_status check_text(struct view text,
                                   struct json_patch_fault *fault)
{
    struct json_fault found;
    enum json_type type;
    enum kist_status status = json_check(text, &found, &type);

    if (status == KIST_INVALID) {
        fault->offset = found.offset;
        fault->reason = found.reason;
    }
    if (status == KIST_OK && type != JSON_IS_ARRAY)
        return invalid(fault, "a JSON Patch is an array of operations");
    return status;
}

enum kist_status json_patch_parse(struct view text,
                                  struct json_patch **out_patch,
                                  struct json_patch_fault *out_fault)
{
    struct json_patch_fault fault = {
        .operation = JSON_PATCH_WHOLE,
        .reason = "the patch needs much more memory than a text of its size "
                  "justifies",
    };
    struct json_patch *patch;
    enum kist_status status = check_text(text, &fault);

    if (status != KIST_OK) {
        *out_fault = fault;
        return status;
    }
    patch = calloc(1, sizeof(*patch));
    if (patch == NULL)
        return KIST_NO_MEMORY;
    patch->text = text;
    arena_init(&patch->arena, FREE_BUDGET + text.size * MEMORY_PER_BYTE);

    status = make_room(patch, &fault);
    if (status == KIST_OK)
        status = parse_operations(patch, &fault);
    if (status != KIST_OK) {
        *out_fault = fault;
        json_patch_free(patch);
        return status;
    }
    *out_patch = patch;
    return KIST_OK;
}
