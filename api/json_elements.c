#include "api/json_elements.h"

#include <assert.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 4,
    LAST_CAPACITY = 2048,
};

static void link_after(struct json_elements *elements,
                       struct json_block *before, struct json_block *block)
{
    struct json_block **place =
        before == NULL ? &elements->first : &before->next;

    block->next = *place;
    *place = block;
    if (elements->last == before)
        elements->last = block;
}

/* A new empty block behind before; NULL: at the front. */
static enum kist_status add_block(struct json_elements *elements,
                                  struct arena *arena,
                                  struct json_block *before,
                                  struct json_block **out_block)
{
    uint32_t capacity = before == NULL ? FIRST_CAPACITY : before->capacity * 2;
    struct json_block *block;
    void *piece;

    if (capacity > LAST_CAPACITY)
        capacity = LAST_CAPACITY;
    enum kist_status status = arena_take(
        arena, sizeof(*block) + capacity * sizeof(block->slots[0]), &piece);
    if (status != KIST_OK)
        return status;
    block = piece;
    block->count = 0;
    block->capacity = capacity;
    link_after(elements, before, block);
    *out_block = block;
    return KIST_OK;
}

/* The block in which element *index stands; *index becomes its slot there. */
static struct json_block *block_with(const struct json_elements *elements,
                                     size_t *index)
{
    struct json_block *block = elements->first;

    while (*index >= block->count) {
        *index -= block->count;
        block = block->next;
        assert(block != NULL);
    }
    return block;
}

struct json_node **json_elements_at(struct json_elements *elements,
                                    size_t index)
{
    assert(index < elements->count);
    struct json_block *block = block_with(elements, &index);

    return &block->slots[index];
}

static void insert_into(struct json_block *block, size_t slot,
                        struct json_node *node)
{
    assert(block->count < block->capacity && slot <= block->count);
    memmove(&block->slots[slot + 1], &block->slots[slot],
            (block->count - slot) * sizeof(block->slots[0]));
    block->slots[slot] = node;
    block->count++;
}

static enum kist_status append(struct json_elements *elements,
                               struct arena *arena, struct json_node *node)
{
    struct json_block *block = elements->last;

    if (block == NULL || block->count == block->capacity) {
        enum kist_status status = add_block(elements, arena, block, &block);

        if (status != KIST_OK)
            return status;
    }
    insert_into(block, block->count, node);
    elements->count++;
    return KIST_OK;
}

enum kist_status json_elements_insert(struct json_elements *elements,
                                      struct arena *arena, size_t index,
                                      struct json_node *node)
{
    struct json_block *block, *half;

    if (index == elements->count)
        return append(elements, arena, node);
    block = block_with(elements, &index);
    if (block->count == block->capacity) {
        /* Its upper half moves to a new block behind it. */
        enum kist_status status = add_block(elements, arena, block, &half);
        if (status != KIST_OK)
            return status;
        uint32_t kept = block->count / 2;

        half->count = block->count - kept;
        block->count = kept;
        memcpy(half->slots, &block->slots[kept],
               half->count * sizeof(half->slots[0]));
        if (index > kept) {
            block = half;
            index -= kept;
        }
    }
    insert_into(block, index, node);
    elements->count++;
    return KIST_OK;
}

void json_elements_remove(struct json_elements *elements, size_t index)
{
    assert(index < elements->count);
    struct json_block *block = block_with(elements, &index);

    memmove(&block->slots[index], &block->slots[index + 1],
            (block->count - index - 1) * sizeof(block->slots[0]));
    block->count--;
    elements->count--;
}
