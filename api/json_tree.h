/*
 * json_tree - JSON that is looked into only where somebody asks.
 *
 * A node is a piece of some text until somebody looks inside; then it gets
 * one level of children, pieces again. Only containers that json_edit.h has
 * really changed are put together anew (compactly: {"name":value,...}); all
 * the rest is written as it was spelled: numbers, escapes and white space.
 *
 * The texts must have passed json_check(), and stay valid as long as the
 * tree. Cost is bounded, whatever a client sends: memory by a budget, looking
 * and copying by a budget of work, nesting by JSON_MAX_DEPTH. What exceeds a
 * bound is KIST_TOO_LARGE, and json_tree_excess() says which bound. After
 * that, or KIST_NO_MEMORY, only json_tree_clear() makes sense.
 *
 * Threads: one tree belongs to one thread at a time.
 */
#ifndef KIST_API_JSON_TREE_H
#define KIST_API_JSON_TREE_H

#include "api/json_members.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/json_type.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct json_node;

struct json_tree {
    struct arena arena;
    uint64_t work_left; /* Bytes that may still be read or written. */
    const char *excess;
};

/*
 * A tree whose texts have text_size bytes in all: allows it 40 bytes of
 * memory and 64 bytes of work for each of them, and a mebibyte of both.
 */
void json_tree_init(struct json_tree *tree, size_t text_size);
void json_tree_clear(struct json_tree *tree);

/* Why a call answered KIST_TOO_LARGE: a sentence without its full stop. */
const char *json_tree_excess(const struct json_tree *tree);

/*
 * A node that stands alone: the value of text, which the tree keeps.
 * KIST_INVALID: empty or too deep, so it cannot have passed json_check().
 */
KIST_CHECKED enum kist_status json_tree_read(struct json_tree *tree,
                                             struct view text,
                                             struct json_node **out_node);

enum json_type json_node_type(const struct json_node *node);
size_t json_node_size(const struct json_node *node); /* As written. */

/* The spelling of a scalar, without white space around it. */
struct view json_node_scalar(const struct json_node *node);

/* Arrays. KIST_NOT_FOUND: there is no such element. */
KIST_CHECKED enum kist_status json_tree_count(struct json_tree *tree,
                                              struct json_node *container,
                                              size_t *out_count);
KIST_CHECKED enum kist_status json_tree_element(struct json_tree *tree,
                                                struct json_node *array,
                                                size_t index,
                                                struct json_node **out_node);

/* Objects. name is decoded. KIST_NOT_FOUND: there is no such member. */
KIST_CHECKED enum kist_status json_tree_member(struct json_tree *tree,
                                               struct json_node *object,
                                               struct view name,
                                               struct json_node **out_node);

/* A second node, standing alone, with the value that node has now. */
KIST_CHECKED enum kist_status json_tree_copy(struct json_tree *tree,
                                             struct json_node *node,
                                             struct json_node **out_copy);

/* A walk over the children of a container that does not change meanwhile. */
struct json_children {
    struct view literal; /* The member's name as spelled; empty: element. */
    struct json_node *value;

    const struct json_member *next_member; /* Private from here. */
    const struct json_block *block;
    uint32_t slot;
};

KIST_CHECKED enum kist_status
json_tree_children(struct json_tree *tree, struct json_node *container,
                   struct json_children *out_children);
bool json_children_next(struct json_children *children); /* False: the end. */

/*
 * What a name means, for the calls that want it decoded: literal's own bytes
 * if it has no escapes, else the tree's.
 */
KIST_CHECKED enum kist_status json_tree_name(struct json_tree *tree,
                                             struct view literal,
                                             struct view *out_name);

/* Bytes about to be read or written: KIST_TOO_LARGE once it is too much. */
KIST_CHECKED enum kist_status json_tree_charge(struct json_tree *tree,
                                               size_t bytes);

/* Append the text of node to out. KIST_NO_MEMORY. */
KIST_CHECKED enum kist_status json_tree_write(const struct json_node *node,
                                              struct blob *out);

#endif
