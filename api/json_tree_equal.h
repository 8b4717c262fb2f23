/*
 * json_tree_equal - equality as JSON Patch's "test" wants it (RFC 6902, 4.6).
 *
 * Numbers by value and exactly, strings by what they mean, arrays by order,
 * objects without order. Looks inside only as far as texts differ.
 *
 * Threads: those of the tree.
 */
#ifndef KIST_API_JSON_TREE_EQUAL_H
#define KIST_API_JSON_TREE_EQUAL_H

#include "api/json_tree.h"

#include <stdbool.h>

/* Both nodes belong to tree. KIST_TOO_LARGE, KIST_NO_MEMORY as the tree. */
KIST_CHECKED enum kist_status json_tree_equal(struct json_tree *tree,
                                              struct json_node *a,
                                              struct json_node *b,
                                              bool *out_equal);

#endif
