/*
 * Changing. A change makes every container above it forget its text, and
 * corrects sizes and heights on the way up, which is as long as the path of
 * the edit. Every change checks first and then cannot fail half-way.
 */
#include "api/json_edit.h"
#include "api/json_check.h"
#include "api/json_text.h"
#include "api/json_tree_internal.h"

#include <assert.h>

/* Containers around the children of node, itself included. */
static unsigned level_of(const struct json_node *node)
{
    unsigned level = 0;

    for (; node != NULL; node = node->parent)
        level++;
    return level;
}

/* Find out the true height after removals. Deep as the nesting at most. */
static enum kist_status measure(struct json_tree *tree, struct json_node *node)
{
    struct json_children children;
    unsigned height = 0;

    if (node->text != NULL) {
        node->height = (uint8_t)json_text_height(json_node_text(node));
        return json_tree_charge(tree, node->size);
    }
    enum kist_status status = json_tree_children(tree, node, &children);
    while (status == KIST_OK && json_children_next(&children)) {
        status = measure(tree, children.value);
        if (children.value->height > height)
            height = children.value->height;
    }
    node->height = (uint8_t)(height + 1);
    return status == KIST_OK ? json_tree_charge(tree, 1) : status;
}

/* Whether value may stand in container: not too deep and not too much. */
static enum kist_status check_room(struct json_tree *tree,
                                   const struct json_node *container,
                                   struct json_node *value)
{
    unsigned level = level_of(container);
    enum kist_status status = KIST_OK;

    if (level + value->height > JSON_MAX_DEPTH)
        status = measure(tree, value);
    if (status != KIST_OK)
        return status;
    if (level + value->height > JSON_MAX_DEPTH)
        return json_tree_refuse(tree,
                                "the result would be nested deeper than 64 "
                                "levels");
    while (container->parent != NULL)
        container = container->parent;
    if (value->size > JSON_TREE_LARGEST - container->size)
        return json_tree_refuse(tree, "the result would be larger than 1 GiB");
    return KIST_OK;
}

/*
 * The children of container have changed, their bytes by more - less: from
 * here up every text is stale, and every size and height may be another.
 */
static void changed(struct json_node *container, size_t more, size_t less)
{
    unsigned height = 0;

    for (; container != NULL; container = container->parent) {
        size_t count = json_node_count(container);
        size_t commas = count == 0 ? 0 : count - 1;

        container->inside->bytes += (uint32_t)more;
        container->inside->bytes -= (uint32_t)less;
        less = container->size;
        container->text = NULL;
        container->size = container->inside->bytes + (uint32_t)commas + 2;
        more = container->size;
        if (container->height < height)
            container->height = (uint8_t)height;
        height = container->height + 1u;
    }
}

/* value is in container now, its name and colon have extra bytes. */
static void attach(struct json_node *container, struct json_node *value,
                   size_t extra)
{
    assert(value->parent == NULL);
    value->parent = container;
    if (container->height <= value->height)
        container->height = (uint8_t)(value->height + 1);
    changed(container, value->size + extra, 0);
}

static void detach(struct json_node *value, size_t extra)
{
    struct json_node *container = value->parent;

    value->parent = NULL;
    changed(container, 0, value->size + extra);
}

enum kist_status json_edit_insert(struct json_tree *tree,
                                  struct json_node *array, size_t index,
                                  struct json_node *value)
{
    enum kist_status status = json_tree_look(tree, array);

    if (status == KIST_OK && index > json_node_count(array))
        return KIST_NOT_FOUND;
    if (status == KIST_OK)
        status = check_room(tree, array, value);
    if (status == KIST_OK)
        status = json_tree_explain(
            tree, json_elements_insert(&array->inside->elements, &tree->arena,
                                       index, value));
    if (status == KIST_OK)
        attach(array, value, 0);
    return status;
}

enum kist_status json_edit_set(struct json_tree *tree, struct json_node *array,
                               size_t index, struct json_node *value)
{
    struct json_node *old;
    enum kist_status status = json_tree_element(tree, array, index, &old);

    if (status == KIST_OK)
        status = check_room(tree, array, value);
    if (status != KIST_OK)
        return status;
    *json_elements_at(&array->inside->elements, index) = value;
    detach(old, 0);
    attach(array, value, 0);
    return KIST_OK;
}

enum kist_status json_edit_remove(struct json_tree *tree,
                                  struct json_node *array, size_t index,
                                  struct json_node **out_removed)
{
    struct json_node *old;
    enum kist_status status = json_tree_element(tree, array, index, &old);

    if (status != KIST_OK)
        return status;
    json_elements_remove(&array->inside->elements, index);
    detach(old, 0);
    *out_removed = old;
    return KIST_OK;
}

/* A name as JSON, in the tree's memory. */
static enum kist_status spell_name(struct json_tree *tree, struct view name,
                                   struct view *out_literal)
{
    struct blob literal = BLOB_EMPTY;
    enum kist_status status = KIST_NO_MEMORY;

    blob_append_json(&literal, name);
    if (!literal.failed)
        status = json_tree_explain(
            tree, arena_copy(&tree->arena, blob_view(&literal), out_literal));
    blob_free(&literal);
    return status;
}

static enum kist_status add_member(struct json_tree *tree,
                                   struct json_node *object, struct view name,
                                   struct view literal, struct json_node *value)
{
    enum kist_status status = KIST_OK;

    if (literal.size == 0)
        status = spell_name(tree, name, &literal);
    if (status == KIST_OK)
        status = json_tree_explain(
            tree, json_members_add(&object->inside->members, &tree->arena,
                                   literal, value));
    if (status == KIST_OK)
        attach(object, value, literal.size + 1);
    return status;
}

enum kist_status json_edit_put_member(struct json_tree *tree,
                                      struct json_node *object,
                                      struct view name, struct view literal,
                                      struct json_node *value)
{
    struct json_member *member;
    enum kist_status status = json_tree_find(tree, object, name, &member);

    if (status == KIST_OK)
        status = check_room(tree, object, value);
    if (status != KIST_OK)
        return status;
    if (member == NULL)
        return add_member(tree, object, name, literal, value);

    struct json_node *old = member->value;
    member->value = value;
    detach(old, 0);
    attach(object, value, 0);
    return KIST_OK;
}

enum kist_status json_edit_remove_member(struct json_tree *tree,
                                         struct json_node *object,
                                         struct view name,
                                         struct json_node **out_removed)
{
    struct json_member *member;
    enum kist_status status = json_tree_find(tree, object, name, &member);

    if (status != KIST_OK)
        return status;
    if (member == NULL)
        return KIST_NOT_FOUND;

    struct json_node *old = member->value;
    json_members_remove(&object->inside->members, member);
    detach(old, member->literal_size + 1);
    *out_removed = old;
    return KIST_OK;
}
