/*
 * json_pointer - RFC 6901: the name of one place in a document.
 *
 * Threads: no state.
 */
#ifndef KIST_API_JSON_POINTER_H
#define KIST_API_JSON_POINTER_H

#include "api/json_tree.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Empty, or tokens that begin with / and use ~ for ~0 and ~1 only. */
bool json_pointer_is_valid(struct view pointer);

/*
 * The part of a checked text at pointer, a view into it, without building
 * anything; every byte is read once. KIST_INVALID: no JSON Pointer.
 * KIST_NOT_FOUND: no such part. KIST_NO_MEMORY: only if a token has escapes.
 */
KIST_CHECKED enum kist_status
json_pointer_find(struct view text, struct view pointer, struct view *out_part);

/* A pointer taken apart: what its tokens mean. */
struct json_pointer {
    struct view *tokens;
    size_t count;
};

/*
 * Takes memory from arena and keeps pointer. KIST_INVALID: no JSON Pointer.
 * KIST_TOO_LARGE, KIST_NO_MEMORY: as arena_take().
 */
KIST_CHECKED enum kist_status json_pointer_parse(struct arena *arena,
                                                 struct view pointer,
                                                 struct json_pointer *out);

/* The index that token is for an array: no sign, no leading zero. */
KIST_CHECKED bool json_pointer_index(struct view token, size_t *out_index);

/*
 * Go down from node by count of the tokens. KIST_NOT_FOUND: no such part.
 * KIST_TOO_LARGE, KIST_NO_MEMORY: as the tree.
 */
KIST_CHECKED enum kist_status
json_pointer_walk(struct json_tree *tree, const struct json_pointer *pointer,
                  size_t count, struct json_node *node,
                  struct json_node **out_node);

#endif
