#include "api/json_tree_equal.h"
#include "api/json_number.h"
#include "api/json_string.h"
#include "api/json_tree_internal.h"

static enum kist_status equal_elements(struct json_tree *tree,
                                       struct json_node *a, struct json_node *b,
                                       bool *out_equal)
{
    struct json_children in_a, in_b;
    enum kist_status status = json_tree_children(tree, a, &in_a);

    if (status == KIST_OK)
        status = json_tree_children(tree, b, &in_b);
    /* Both have as many, so the walks end together. */
    while (status == KIST_OK && *out_equal && json_children_next(&in_a) &&
           json_children_next(&in_b))
        status = json_tree_equal(tree, in_a.value, in_b.value, out_equal);
    return status;
}

/* The member of object that has the same name, whatever the spelling. */
static enum kist_status namesake(struct json_tree *tree,
                                 struct json_node *object, struct view literal,
                                 struct json_node **out_node)
{
    struct view name;
    enum kist_status status = json_tree_name(tree, literal, &name);

    if (status == KIST_OK)
        status = json_tree_member(tree, object, name, out_node);
    return status;
}

static enum kist_status equal_members(struct json_tree *tree,
                                      struct json_node *a, struct json_node *b,
                                      bool *out_equal)
{
    struct json_children in_a;
    struct json_node *other;
    enum kist_status status = json_tree_children(tree, a, &in_a);

    while (status == KIST_OK && *out_equal && json_children_next(&in_a)) {
        status = namesake(tree, b, in_a.literal, &other);
        if (status == KIST_OK)
            status = json_tree_equal(tree, in_a.value, other, out_equal);
    }
    if (status == KIST_NOT_FOUND) {
        *out_equal = false;
        return KIST_OK;
    }
    return status;
}

static enum kist_status equal_containers(struct json_tree *tree,
                                         struct json_node *a,
                                         struct json_node *b, bool *out_equal)
{
    enum kist_status status = json_tree_look(tree, a);

    if (status == KIST_OK)
        status = json_tree_look(tree, b);
    if (status != KIST_OK)
        return status;
    *out_equal = json_node_count(a) == json_node_count(b);
    return json_node_is_object(a) ? equal_members(tree, a, b, out_equal)
                                  : equal_elements(tree, a, b, out_equal);
}

static bool equal_scalars(enum json_type type, struct view a, struct view b)
{
    if (type == JSON_IS_NUMBER)
        return json_number_equal(a, b);
    if (type == JSON_IS_STRING)
        return json_string_equal(a, b);
    return view_equal(a, b);
}

static bool same_text(const struct json_node *a, const struct json_node *b)
{
    return a->text != NULL && b->text != NULL &&
           view_equal(json_node_text(a), json_node_text(b));
}

enum kist_status json_tree_equal(struct json_tree *tree, struct json_node *a,
                                 struct json_node *b, bool *out_equal)
{
    enum json_type type = json_node_type(a);
    enum kist_status status;

    *out_equal = false;
    if (type != json_node_type(b))
        return KIST_OK;
    status = json_tree_charge(tree, a->size < b->size ? a->size : b->size);
    if (status != KIST_OK)
        return status;
    *out_equal = same_text(a, b);
    if (*out_equal)
        return KIST_OK;
    if (type == JSON_IS_OBJECT || type == JSON_IS_ARRAY)
        return equal_containers(tree, a, b, out_equal);

    /* A short number may equal a very long one: both are read. */
    status = json_tree_charge(tree, (size_t)a->size + b->size);
    if (status == KIST_OK)
        *out_equal =
            equal_scalars(type, json_node_scalar(a), json_node_scalar(b));
    return status;
}
