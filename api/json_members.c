#include "api/json_members.h"
#include "api/json_string.h"
#include "base/siphash.h"

#include <assert.h>
#include <string.h>

/* Up to here a look at each member is cheaper than an index. */
enum { FEW = 8 };

struct view json_member_literal(const struct json_member *member)
{
    return (struct view){member->literal, member->literal_size};
}

struct json_index {
    struct siphash_key key;
    uint32_t nslots; /* A power of two, at least twice the list. */
    struct json_member *slots[];
};

static uint32_t hash_of(const struct json_index *index, struct view name)
{
    return (uint32_t)siphash(index->key, name);
}

/* The hash of what the literal means; an escaped one is decoded for it. */
static enum kist_status set_hash(const struct json_index *index,
                                 struct arena *arena,
                                 struct json_member *member)
{
    struct view literal = json_member_literal(member);
    void *room;

    if (!json_string_has_escapes(literal)) {
        member->hash = hash_of(index, json_string_inside(literal));
        return KIST_OK;
    }
    enum kist_status status =
        arena_take(arena, json_string_bound(literal), &room);
    if (status != KIST_OK)
        return status;
    size_t size = json_string_decode_to(literal, room);
    member->hash = hash_of(index, (struct view){room, size});
    return KIST_OK;
}

static struct json_member *search(const struct json_index *index,
                                  struct view name)
{
    uint32_t mask = index->nslots - 1, hash = hash_of(index, name);
    uint32_t slot = hash & mask;

    for (; index->slots[slot] != NULL; slot = (slot + 1) & mask) {
        struct json_member *member = index->slots[slot];

        if (member->value != NULL && member->hash == hash &&
            json_string_means(json_member_literal(member), name))
            return member;
    }
    return NULL;
}

/* The name is not there, so the first slot of a removed member will do. */
static void enter(struct json_index *index, struct json_member *member)
{
    uint32_t mask = index->nslots - 1, slot = member->hash & mask;

    while (index->slots[slot] != NULL && index->slots[slot]->value != NULL)
        slot = (slot + 1) & mask;
    index->slots[slot] = member;
}

/* An index over all that have a value, with room for as many again. */
static enum kist_status build_index(struct json_members *members,
                                    struct arena *arena)
{
    struct json_index *index;
    uint32_t nslots = 4 * FEW;
    enum kist_status status;
    void *piece;

    while (nslots / 4 < members->listed)
        nslots *= 2;
    size_t slots_size = nslots * sizeof(index->slots[0]);
    status = arena_take(arena, sizeof(*index) + slots_size, &piece);
    if (status != KIST_OK)
        return status;
    index = piece;
    index->key = siphash_process_key();
    index->nslots = nslots;
    memset(index->slots, 0, slots_size);

    for (struct json_member *member = members->first; member != NULL;
         member = member->next) {
        if (members->index == NULL)
            status = set_hash(index, arena, member);
        if (status != KIST_OK)
            return status;
        if (member->value != NULL)
            enter(index, member);
    }
    members->index = index;
    return KIST_OK;
}

enum kist_status json_members_find(struct json_members *members,
                                   struct arena *arena, struct view name,
                                   struct json_member **out_member)
{
    struct json_member *member = members->first;

    if (members->index == NULL && members->listed > FEW) {
        enum kist_status status = build_index(members, arena);
        if (status != KIST_OK)
            return status;
    }
    if (members->index != NULL) {
        *out_member = search(members->index, name);
        return KIST_OK;
    }
    while (member != NULL &&
           (member->value == NULL ||
            !json_string_means(json_member_literal(member), name)))
        member = member->next;
    *out_member = member;
    return KIST_OK;
}

static enum kist_status index_new(struct json_members *members,
                                  struct arena *arena,
                                  struct json_member *member)
{
    enum kist_status status = set_hash(members->index, arena, member);

    if (status == KIST_OK && members->listed >= members->index->nslots / 2)
        status = build_index(members, arena);
    if (status == KIST_OK)
        enter(members->index, member);
    return status;
}

enum kist_status json_members_add(struct json_members *members,
                                  struct arena *arena, struct view literal,
                                  struct json_node *value)
{
    struct json_member *member;
    void *piece;
    enum kist_status status = arena_take(arena, sizeof(*member), &piece);

    if (status != KIST_OK)
        return status;
    member = piece;
    *member = (struct json_member){
        .value = value,
        .literal = literal.data,
        .literal_size = (uint32_t)literal.size,
    };
    if (members->index != NULL) {
        status = index_new(members, arena, member);
        if (status != KIST_OK)
            return status;
    }

    if (members->last == NULL)
        members->first = member;
    else
        members->last->next = member;
    members->last = member;
    members->listed++;
    members->count++;
    return KIST_OK;
}

void json_members_remove(struct json_members *members,
                         struct json_member *member)
{
    assert(member->value != NULL);
    member->value = NULL;
    members->count--;
}
