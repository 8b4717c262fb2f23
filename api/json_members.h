/*
 * json_members - the members of one object, in order, found by name.
 *
 * A list keeps the order in which members are written. Once there are more
 * than a few, the first search builds a hash index, so that merging m members
 * into n costs about n + m. A removed member stays in list and index without
 * a value. Memory comes from the caller's arena and is never given back.
 *
 * Threads: those of the tree it belongs to.
 */
#ifndef KIST_API_JSON_MEMBERS_H
#define KIST_API_JSON_MEMBERS_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct json_node;

struct json_member {
    struct json_member *next;
    struct json_node *value; /* NULL: removed. */
    const char *literal;     /* The name as spelled, with its quotes. */
    uint32_t literal_size;
    uint32_t hash; /* Set once there is an index. */
};

struct json_index;

/* All zero is an empty object. */
struct json_members {
    struct json_member *first;
    struct json_member *last;
    struct json_index *index; /* NULL: none yet. */
    uint32_t listed;          /* Members in the list, removed ones, too. */
    uint32_t count;           /* Members that have a value. */
};

struct view json_member_literal(const struct json_member *member);

/*
 * The member with this decoded name; *out_member is NULL if there is none.
 * May build the index, so it fails as arena_take() does.
 */
KIST_CHECKED enum kist_status
json_members_find(struct json_members *members, struct arena *arena,
                  struct view name, struct json_member **out_member);

/*
 * Append a member whose name is not there; keeps literal. Fails as
 * arena_take() does, and then has changed nothing.
 */
KIST_CHECKED enum kist_status json_members_add(struct json_members *members,
                                               struct arena *arena,
                                               struct view literal,
                                               struct json_node *value);

void json_members_remove(struct json_members *members,
                         struct json_member *member);

#endif
