/*
 * json_edit - the changes to a json_tree, one place at a time.
 *
 * A value that is put somewhere stands alone before; what it replaces, and
 * what is removed, stands alone afterwards. Every call answers KIST_NOT_FOUND
 * if there is no such place, and KIST_TOO_LARGE and KIST_NO_MEMORY as the
 * tree does.
 *
 * Threads: those of the tree.
 */
#ifndef KIST_API_JSON_EDIT_H
#define KIST_API_JSON_EDIT_H

#include "api/json_tree.h"

/* Before element index, or at the end if there are index elements. */
KIST_CHECKED enum kist_status json_edit_insert(struct json_tree *tree,
                                               struct json_node *array,
                                               size_t index,
                                               struct json_node *value);

/* In the place of element index. */
KIST_CHECKED enum kist_status json_edit_set(struct json_tree *tree,
                                            struct json_node *array,
                                            size_t index,
                                            struct json_node *value);

/* Element index leaves the array. */
KIST_CHECKED enum kist_status json_edit_remove(struct json_tree *tree,
                                               struct json_node *array,
                                               size_t index,
                                               struct json_node **out_removed);

/*
 * The member with this decoded name. A new one comes last, and is spelled as
 * in literal, which the tree keeps; if that is empty, in the usual way.
 */
KIST_CHECKED enum kist_status json_edit_put_member(struct json_tree *tree,
                                                   struct json_node *object,
                                                   struct view name,
                                                   struct view literal,
                                                   struct json_node *value);

/* The member with this decoded name leaves the object. */
KIST_CHECKED enum kist_status
json_edit_remove_member(struct json_tree *tree, struct json_node *object,
                        struct view name, struct json_node **out_removed);

#endif
