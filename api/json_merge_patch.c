/*
 * MergePatch() of RFC 7396, section 2. It calls itself as deep as the patch
 * is nested, which its check has limited to JSON_MAX_DEPTH.
 */
#include "api/json_merge_patch.h"
#include "api/json_edit.h"

static enum kist_status merge_members(struct json_tree *tree,
                                      struct json_node *target,
                                      struct json_node *patch);

static bool is_object(const struct json_node *node)
{
    return json_node_type(node) == JSON_IS_OBJECT;
}

/* What a patch makes where there is nothing, or nothing that can merge. */
static enum kist_status make(struct json_tree *tree, struct json_node *patch,
                             struct json_node **out_result)
{
    enum kist_status status;

    if (!is_object(patch))
        return json_tree_copy(tree, patch, out_result);
    status = json_tree_read(tree, VIEW_LITERAL("{}"), out_result);
    if (status == KIST_OK)
        status = merge_members(tree, *out_result, patch);
    return status;
}

static enum kist_status merge_member(struct json_tree *tree,
                                     struct json_node *target,
                                     struct view literal,
                                     struct json_node *value)
{
    struct json_node *old, *made;
    struct view name;
    enum kist_status status = json_tree_name(tree, literal, &name);

    if (status != KIST_OK)
        return status;
    if (json_node_type(value) == JSON_IS_NULL) {
        status = json_edit_remove_member(tree, target, name, &old);
        return status == KIST_NOT_FOUND ? KIST_OK : status;
    }

    status = json_tree_member(tree, target, name, &old);
    if (status == KIST_OK && is_object(old) && is_object(value))
        return merge_members(tree, old, value);
    if (status == KIST_OK || status == KIST_NOT_FOUND)
        status = make(tree, value, &made);
    if (status == KIST_OK)
        status = json_edit_put_member(tree, target, name, literal, made);
    return status;
}

static enum kist_status merge_members(struct json_tree *tree,
                                      struct json_node *target,
                                      struct json_node *patch)
{
    struct json_children members;
    enum kist_status status = json_tree_children(tree, patch, &members);

    while (status == KIST_OK && json_children_next(&members))
        status = merge_member(tree, target, members.literal, members.value);
    return status;
}

/* Whether the target is merged into or replaced, at the top. */
static enum kist_status merge(struct json_tree *tree, struct view target,
                              struct json_node *patch,
                              struct json_node **out_result)
{
    struct json_node *old = NULL;
    enum kist_status status = KIST_OK;

    if (target.size > 0)
        status = json_tree_read(tree, target, &old);
    if (status != KIST_OK)
        return status;
    if (old == NULL || !is_object(old) || !is_object(patch))
        return make(tree, patch, out_result);
    *out_result = old;
    return merge_members(tree, old, patch);
}

enum kist_status json_merge_patch(struct view target, struct view patch,
                                  size_t limit, struct blob *out)
{
    struct json_tree tree;
    struct json_node *changes, *result;
    enum kist_status status;

    json_tree_init(&tree, target.size + patch.size);
    status = json_tree_read(&tree, patch, &changes);
    if (status == KIST_OK)
        status = merge(&tree, target, changes, &result);
    if (status == KIST_OK && json_node_size(result) > limit)
        status = KIST_TOO_LARGE;
    if (status == KIST_OK)
        status = json_tree_write(result, out);
    json_tree_clear(&tree);
    return status;
}
