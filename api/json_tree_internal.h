/*
 * json_tree_internal - what a node is, for the files of the tree alone.
 *
 * Invariants of a node:
 *  - text is its spelling and NULL once something inside was changed; then
 *    inside is there, and size is what putting it together will give.
 *  - inside is there once somebody looked; looking does not change text.
 *  - height is at least the nesting below it, exactly that while nothing was
 *    removed. With the depth of its place it never exceeds JSON_MAX_DEPTH, so
 *    the functions that call themselves do so at most that deep.
 * A change makes every container above it forget its text, and corrects sizes
 * and heights on the way up, which is as long as the path of the edit.
 */
#ifndef KIST_API_JSON_TREE_INTERNAL_H
#define KIST_API_JSON_TREE_INTERNAL_H

#include "api/json_elements.h"
#include "api/json_members.h"
#include "api/json_tree.h"

/* Far from where 32-bit sizes overflow, even when one text is doubled. */
enum { JSON_TREE_LARGEST = 1 << 30 };

struct json_inside {
    uint32_t bytes; /* Of the names, their colons and the values. */
    union {
        struct json_elements elements;
        struct json_members members;
    };
};

struct json_node {
    const char *text;
    struct json_node *parent;
    struct json_inside *inside;
    uint32_t size;
    uint8_t type;
    uint8_t height;
};

struct view json_node_text(const struct json_node *node);
bool json_node_is_object(const struct json_node *node);

/* How many children; somebody has looked inside. */
size_t json_node_count(const struct json_node *container);

/* Keep the reason for json_tree_excess(). Always KIST_TOO_LARGE. */
KIST_CHECKED enum kist_status json_tree_refuse(struct json_tree *tree,
                                               const char *excess);

/* Pass on what the arena answered, with the reason kept. */
KIST_CHECKED enum kist_status json_tree_explain(struct json_tree *tree,
                                                enum kist_status status);

/* Afterwards container->inside is there; a second look costs nothing. */
KIST_CHECKED enum kist_status json_tree_look(struct json_tree *tree,
                                             struct json_node *container);

/* The member itself; *out_member is NULL if there is none. */
KIST_CHECKED enum kist_status json_tree_find(struct json_tree *tree,
                                             struct json_node *object,
                                             struct view name,
                                             struct json_member **out_member);

#endif
