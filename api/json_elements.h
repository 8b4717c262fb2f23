/*
 * json_elements - the elements of one array, in order.
 *
 * Pointers stand in a list of blocks of at most 2048: to find, insert or
 * remove an element costs a walk over few blocks and a move inside one, so
 * that thousands of edits at the front of a very long array stay cheap.
 * Memory comes from the caller's arena and is never given back.
 *
 * Threads: those of the tree it belongs to.
 */
#ifndef KIST_API_JSON_ELEMENTS_H
#define KIST_API_JSON_ELEMENTS_H

#include "base/arena.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct json_node;

struct json_block {
    struct json_block *next;
    uint32_t count;
    uint32_t capacity;
    struct json_node *slots[];
};

/* All zero is an empty array. */
struct json_elements {
    struct json_block *first;
    struct json_block *last;
    size_t count;
};

/* The place of element index, which is below count; a node may be put there. */
struct json_node **json_elements_at(struct json_elements *elements,
                                    size_t index);

/* Insert before element index, or at the end. Fails as arena_take() does. */
KIST_CHECKED enum kist_status
json_elements_insert(struct json_elements *elements, struct arena *arena,
                     size_t index, struct json_node *node);

/* Element index, which is below count, leaves the array. */
void json_elements_remove(struct json_elements *elements, size_t index);

#endif
