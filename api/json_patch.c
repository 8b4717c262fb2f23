/*
 * Applying. The operations edit one tree; the document itself is only read,
 * so a failure at any of them leaves nothing to undo.
 */
#include "api/json_patch.h"
#include "api/json_edit.h"
#include "api/json_patch_internal.h"
#include "api/json_tree_equal.h"

#include <assert.h>
#include <stdlib.h>

/* One run of a patch over a document. */
struct run {
    struct json_tree tree;
    struct json_node *root;
    const char *reason; /* Why the current operation failed. */
};

static enum kist_status fail(struct run *run, enum kist_status status,
                             const char *reason)
{
    run->reason = reason;
    return status;
}

static enum kist_status not_found(struct run *run, const char *reason)
{
    return fail(run, KIST_NOT_FOUND, reason);
}

static bool is_container(const struct json_node *node)
{
    enum json_type type = json_node_type(node);

    return type == JSON_IS_OBJECT || type == JSON_IS_ARRAY;
}

/* The container in which path's last token names a place. */
static enum kist_status find_parent(struct run *run,
                                    const struct json_pointer *path,
                                    struct json_node **out_parent)
{
    enum kist_status status;

    assert(path->count > 0);
    status = json_pointer_walk(&run->tree, path, path->count - 1, run->root,
                               out_parent);
    if (status == KIST_NOT_FOUND)
        return not_found(run, "a part on the way to the place does not exist: "
                              "add it before");
    if (status == KIST_OK && !is_container(*out_parent))
        return not_found(run, "the place would be inside a value that is "
                              "neither an object nor an array");
    return status;
}

static struct view last_token(const struct json_pointer *path)
{
    return path->tokens[path->count - 1];
}

static enum kist_status insert(struct run *run, struct json_node *array,
                               struct view token, struct json_node *value)
{
    size_t index;
    enum kist_status status = json_tree_count(&run->tree, array, &index);

    if (status != KIST_OK)
        return status;
    if (!view_is(token, "-") && !json_pointer_index(token, &index))
        return not_found(run, "an array has places 0, 1, 2 ... and - for its "
                              "end only");
    status = json_edit_insert(&run->tree, array, index, value);
    if (status == KIST_NOT_FOUND)
        return not_found(run, "the index is greater than the number of "
                              "elements");
    return status;
}

static enum kist_status add(struct run *run, const struct json_pointer *path,
                            struct json_node *value)
{
    struct json_node *parent;
    enum kist_status status;

    if (path->count == 0) {
        run->root = value;
        return KIST_OK;
    }
    status = find_parent(run, path, &parent);
    if (status != KIST_OK)
        return status;
    if (json_node_type(parent) == JSON_IS_ARRAY)
        return insert(run, parent, last_token(path), value);
    return json_edit_put_member(&run->tree, parent, last_token(path),
                                (struct view){NULL, 0}, value);
}

static enum kist_status take_out(struct run *run,
                                 const struct json_pointer *path,
                                 struct json_node **out_removed)
{
    struct json_node *parent;
    enum kist_status status = find_parent(run, path, &parent);
    size_t index;

    if (status != KIST_OK)
        return status;
    if (json_node_type(parent) == JSON_IS_OBJECT)
        status = json_edit_remove_member(&run->tree, parent, last_token(path),
                                         out_removed);
    else if (json_pointer_index(last_token(path), &index))
        status = json_edit_remove(&run->tree, parent, index, out_removed);
    else
        status = KIST_NOT_FOUND;
    if (status == KIST_NOT_FOUND)
        return not_found(run, "there is no value to take away at the place");
    return status;
}

static enum kist_status find(struct run *run, const struct json_pointer *path,
                             struct json_node **out_node)
{
    enum kist_status status =
        json_pointer_walk(&run->tree, path, path->count, run->root, out_node);

    if (status == KIST_NOT_FOUND)
        return not_found(run, "there is no value at the place");
    return status;
}

static enum kist_status replace(struct run *run,
                                const struct json_pointer *path,
                                struct json_node *value)
{
    struct json_node *old, *parent;
    enum kist_status status = find(run, path, &old);
    size_t index;

    if (status != KIST_OK)
        return status;
    if (path->count == 0) {
        run->root = value;
        return KIST_OK;
    }
    status = find_parent(run, path, &parent);
    if (status != KIST_OK)
        return status;
    if (json_node_type(parent) == JSON_IS_ARRAY &&
        json_pointer_index(last_token(path), &index))
        return json_edit_set(&run->tree, parent, index, value);
    return json_edit_put_member(&run->tree, parent, last_token(path),
                                (struct view){NULL, 0}, value);
}

static bool same_place(const struct json_pointer *a,
                       const struct json_pointer *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (!view_equal(a->tokens[i], b->tokens[i]))
            return false;
    return a->count == b->count;
}

/* A move from the whole document can only be to itself: parsing saw to it. */
static enum kist_status move(struct run *run,
                             const struct json_operation *operation)
{
    struct json_node *node;

    if (same_place(&operation->from, &operation->path))
        return find(run, &operation->from, &node);
    enum kist_status status = take_out(run, &operation->from, &node);
    if (status == KIST_OK)
        status = add(run, &operation->path, node);
    return status;
}

static enum kist_status copy(struct run *run,
                             const struct json_operation *operation)
{
    struct json_node *node, *twin;
    enum kist_status status = find(run, &operation->from, &node);

    if (status == KIST_OK)
        status = json_tree_copy(&run->tree, node, &twin);
    if (status == KIST_OK)
        status = add(run, &operation->path, twin);
    return status;
}

static enum kist_status test(struct run *run, const struct json_pointer *path,
                             struct json_node *value)
{
    struct json_node *node;
    enum kist_status status = find(run, path, &node);
    bool equal;

    if (status == KIST_OK)
        status = json_tree_equal(&run->tree, value, node, &equal);
    if (status == KIST_OK && !equal)
        return fail(run, KIST_CONFLICT,
                    "the value at the place is not the one "
                    "that was expected");
    return status;
}

static enum kist_status operate(struct run *run,
                                const struct json_operation *operation)
{
    struct json_node *value = NULL, *removed;
    enum kist_status status = KIST_OK;

    if (operation->value.size > 0)
        status = json_tree_read(&run->tree, operation->value, &value);
    if (status != KIST_OK)
        return status;
    switch (operation->kind) {
    case JSON_OPERATION_ADD:
        return add(run, &operation->path, value);
    case JSON_OPERATION_REMOVE:
        return take_out(run, &operation->path, &removed);
    case JSON_OPERATION_REPLACE:
        return replace(run, &operation->path, value);
    case JSON_OPERATION_MOVE:
        return move(run, operation);
    case JSON_OPERATION_COPY:
        return copy(run, operation);
    case JSON_OPERATION_TEST:
        return test(run, &operation->path, value);
    }
    return KIST_INVALID;
}

static enum kist_status operate_all(struct run *run,
                                    const struct json_patch *patch,
                                    size_t limit,
                                    struct json_patch_fault *fault)
{
    enum kist_status status = KIST_OK;

    for (size_t i = 0; i < patch->count && status == KIST_OK; i++) {
        fault->operation = i;
        status = operate(run, &patch->operations[i]);
        if (status == KIST_TOO_LARGE)
            run->reason = json_tree_excess(&run->tree);
        if (status == KIST_OK && json_node_size(run->root) > limit)
            status = fail(run, KIST_TOO_LARGE,
                          "the document would become larger than a value "
                          "may be");
    }
    fault->reason = run->reason;
    return status;
}

size_t json_patch_memory(const struct json_patch *patch)
{
    return patch == NULL ? 0 : sizeof(*patch) + patch->arena.used;
}

enum kist_status json_patch_apply(const struct json_patch *patch,
                                  struct view document, size_t limit,
                                  struct blob *out,
                                  struct json_patch_fault *out_fault)
{
    struct json_patch_fault fault = {
        .operation = JSON_PATCH_WHOLE,
        .reason = "the document is not JSON",
    };
    struct run run = {.reason = "memory ran out"};
    enum kist_status status;

    json_tree_init(&run.tree, document.size + patch->text.size);
    status = json_tree_read(&run.tree, document, &run.root);
    if (status == KIST_TOO_LARGE)
        fault.reason = json_tree_excess(&run.tree);
    if (status == KIST_OK)
        status = operate_all(&run, patch, limit, &fault);
    if (status == KIST_OK)
        status = json_tree_write(run.root, out);
    if (status != KIST_OK)
        *out_fault = fault;
    json_tree_clear(&run.tree);
    return status;
}

void json_patch_free(struct json_patch *patch)
{
    if (patch == NULL)
        return;
    arena_clear(&patch->arena);
    free(patch);
}
