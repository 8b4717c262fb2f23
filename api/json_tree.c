/*
 * Reading: one level at a time, and only where somebody asks. What holds for
 * every node stands in json_tree_internal.h.
 */
#include "api/json_tree.h"
#include "api/json_check.h"
#include "api/json_string.h"
#include "api/json_text.h"
#include "api/json_tree_internal.h"

#include <assert.h>
#include <string.h>

enum {
    MEMORY_PER_BYTE = 40,
    WORK_PER_BYTE = 64,
    FREE_BUDGET = 1 << 20,
};

void json_tree_init(struct json_tree *tree, size_t text_size)
{
    *tree = (struct json_tree){
        .work_left = FREE_BUDGET + (uint64_t)text_size * WORK_PER_BYTE,
        .excess = "",
    };
    if (text_size > JSON_TREE_LARGEST)
        text_size = JSON_TREE_LARGEST;
    arena_init(&tree->arena, FREE_BUDGET + text_size * MEMORY_PER_BYTE);
}

void json_tree_clear(struct json_tree *tree)
{
    arena_clear(&tree->arena);
}

const char *json_tree_excess(const struct json_tree *tree)
{
    return tree->excess;
}

enum kist_status json_tree_refuse(struct json_tree *tree, const char *excess)
{
    tree->excess = excess;
    return KIST_TOO_LARGE;
}

enum kist_status json_tree_charge(struct json_tree *tree, size_t bytes)
{
    if (bytes > tree->work_left)
        return json_tree_refuse(tree,
                                "the changes read and copy much more than "
                                "texts of this size justify");
    tree->work_left -= bytes;
    return KIST_OK;
}

/* What an allocation in the arena answered, with the reason kept. */
enum kist_status json_tree_explain(struct json_tree *tree,
                                   enum kist_status status)
{
    if (status == KIST_TOO_LARGE)
        return json_tree_refuse(tree,
                                "the changes need much more memory than texts "
                                "of this size justify");
    return status;
}

static enum kist_status new_node(struct json_tree *tree, struct view text,
                                 enum json_type type, unsigned height,
                                 struct json_node **out_node)
{
    void *piece;
    enum kist_status status =
        arena_take(&tree->arena, sizeof(struct json_node), &piece);

    if (status != KIST_OK)
        return json_tree_explain(tree, status);
    *out_node = piece;
    **out_node = (struct json_node){
        .text = text.data,
        .size = (uint32_t)text.size,
        .type = (uint8_t)type,
        .height = (uint8_t)height,
    };
    return KIST_OK;
}

enum kist_status json_tree_read(struct json_tree *tree, struct view text,
                                struct json_node **out_node)
{
    enum json_type type = json_text_type(text);
    unsigned height;

    if (text.size > JSON_TREE_LARGEST)
        return json_tree_refuse(tree, "the text is larger than 1 GiB");
    if (type == JSON_NONE)
        return KIST_INVALID;
    height = json_text_height(text);
    if (height > JSON_MAX_DEPTH)
        return KIST_INVALID;
    return new_node(tree, text, type, height, out_node);
}

enum json_type json_node_type(const struct json_node *node)
{
    return (enum json_type)node->type;
}

size_t json_node_size(const struct json_node *node)
{
    return node->size;
}

struct view json_node_text(const struct json_node *node)
{
    return (struct view){node->text, node->size};
}

struct view json_node_scalar(const struct json_node *node)
{
    assert(node->inside == NULL && node->text != NULL);
    return json_text_trim(json_node_text(node));
}

bool json_node_is_object(const struct json_node *node)
{
    return node->type == JSON_IS_OBJECT;
}

size_t json_node_count(const struct json_node *container)
{
    return json_node_is_object(container) ? container->inside->members.count
                                          : container->inside->elements.count;
}

/* Looking inside. */

static enum kist_status add_child(struct json_tree *tree,
                                  struct json_node *container,
                                  const struct json_part *part)
{
    struct json_inside *inside = container->inside;
    struct json_node *child = NULL;
    enum kist_status status = new_node(
        tree, part->value, json_text_type(part->value), part->height, &child);

    if (status != KIST_OK)
        return status;
    child->parent = container;
    inside->bytes += child->size;
    if (json_node_is_object(container)) {
        inside->bytes += (uint32_t)part->name.size + 1;
        status =
            json_members_add(&inside->members, &tree->arena, part->name, child);
    } else {
        status = json_elements_insert(&inside->elements, &tree->arena,
                                      inside->elements.count, child);
    }
    return json_tree_explain(tree, status);
}

/* Afterwards inside is there; a second look costs nothing. */
enum kist_status json_tree_look(struct json_tree *tree,
                                struct json_node *container)
{
    struct json_part part;
    void *piece;

    assert(json_node_is_object(container) || container->type == JSON_IS_ARRAY);
    if (container->inside != NULL)
        return KIST_OK;
    enum kist_status status = json_tree_charge(tree, container->size);
    if (status != KIST_OK)
        return status;
    status = arena_take(&tree->arena, sizeof(struct json_inside), &piece);
    if (status != KIST_OK)
        return json_tree_explain(tree, status);
    container->inside = piece;
    *container->inside = (struct json_inside){0};

    struct json_parts parts = json_parts_of(json_node_text(container));
    while (json_parts_next(&parts, &part)) {
        status = add_child(tree, container, &part);
        if (status != KIST_OK)
            return status;
    }
    return KIST_OK;
}

enum kist_status json_tree_count(struct json_tree *tree,
                                 struct json_node *container, size_t *out_count)
{
    enum kist_status status = json_tree_look(tree, container);

    if (status == KIST_OK)
        *out_count = json_node_count(container);
    return status;
}

enum kist_status json_tree_element(struct json_tree *tree,
                                   struct json_node *array, size_t index,
                                   struct json_node **out_node)
{
    enum kist_status status = json_tree_look(tree, array);

    if (status != KIST_OK)
        return status;
    if (index >= json_node_count(array))
        return KIST_NOT_FOUND;
    *out_node = *json_elements_at(&array->inside->elements, index);
    return KIST_OK;
}

/* As json_tree_member(), for changes. */
enum kist_status json_tree_find(struct json_tree *tree,
                                struct json_node *object, struct view name,
                                struct json_member **out_member)
{
    enum kist_status status = json_tree_look(tree, object);

    if (status != KIST_OK)
        return status;
    return json_tree_explain(tree,
                             json_members_find(&object->inside->members,
                                               &tree->arena, name, out_member));
}

enum kist_status json_tree_name(struct json_tree *tree, struct view literal,
                                struct view *out_name)
{
    void *room;

    if (!json_string_has_escapes(literal)) {
        *out_name = json_string_inside(literal);
        return KIST_OK;
    }
    enum kist_status status = json_tree_explain(
        tree, arena_take(&tree->arena, json_string_bound(literal), &room));
    if (status == KIST_OK)
        *out_name = (struct view){room, json_string_decode_to(literal, room)};
    return status;
}

enum kist_status json_tree_member(struct json_tree *tree,
                                  struct json_node *object, struct view name,
                                  struct json_node **out_node)
{
    struct json_member *member;
    enum kist_status status = json_tree_find(tree, object, name, &member);

    if (status != KIST_OK)
        return status;
    if (member == NULL)
        return KIST_NOT_FOUND;
    *out_node = member->value;
    return KIST_OK;
}

enum kist_status json_tree_children(struct json_tree *tree,
                                    struct json_node *container,
                                    struct json_children *out_children)
{
    enum kist_status status = json_tree_look(tree, container);

    if (status != KIST_OK)
        return status;
    *out_children = (struct json_children){0};
    if (json_node_is_object(container))
        out_children->next_member = container->inside->members.first;
    else
        out_children->block = container->inside->elements.first;
    return KIST_OK;
}

bool json_children_next(struct json_children *children)
{
    const struct json_member *member = children->next_member;
    const struct json_block *block = children->block;

    while (member != NULL && member->value == NULL)
        member = member->next;
    if (member != NULL) {
        children->literal = json_member_literal(member);
        children->value = member->value;
        children->next_member = member->next;
        return true;
    }
    children->next_member = NULL;

    while (block != NULL && children->slot == block->count) {
        block = block->next;
        children->slot = 0;
    }
    children->block = block;
    if (block == NULL)
        return false;
    children->value = block->slots[children->slot++];
    return true;
}

/* Writing. */

static char *put(char *at, struct view bytes)
{
    memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

/* The text of node at at, size bytes; gives its end. */
static char *spell(const struct json_node *node, char *at)
{
    struct json_children children = {0};
    const char *separator = "";

    if (node->text != NULL)
        return put(at, json_node_text(node));

    if (json_node_is_object(node))
        children.next_member = node->inside->members.first;
    else
        children.block = node->inside->elements.first;
    *at++ = json_node_is_object(node) ? '{' : '[';
    while (json_children_next(&children)) {
        at = put(at, view_of(separator));
        if (json_node_is_object(node)) {
            at = put(at, children.literal);
            *at++ = ':';
        }
        at = spell(children.value, at);
        separator = ",";
    }
    *at++ = json_node_is_object(node) ? '}' : ']';
    return at;
}

enum kist_status json_tree_write(const struct json_node *node, struct blob *out)
{
    if (blob_reserve(out, node->size) != KIST_OK)
        return KIST_NO_MEMORY;

    char *end = spell(node, out->data + out->size);
    assert(end == out->data + out->size + node->size);
    out->size += node->size;
    return KIST_OK;
}

/*
 * A changed node is spelled out first, and is as good as unchanged then: the
 * next copy shares the text, and there is nothing to copy node by node.
 */
enum kist_status json_tree_copy(struct json_tree *tree, struct json_node *node,
                                struct json_node **out_copy)
{
    void *room;

    if (node->text == NULL) {
        enum kist_status status = json_tree_charge(tree, node->size);
        if (status == KIST_OK)
            status = json_tree_explain(
                tree, arena_take(&tree->arena, node->size, &room));
        if (status != KIST_OK)
            return status;
        spell(node, room);
        node->text = room;
    }
    return new_node(tree, json_node_text(node), json_node_type(node),
                    node->height, out_copy);
}
