#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 8,
    FIRST_BLOCK = 4096 - 64, /* A page with the allocator's own words. */
    LAST_BLOCK = 1 << 18,
};

struct arena_block {
    struct arena_block *next;
    uint64_t start[]; /* Aligned as every piece has to be. */
};

void arena_init(struct arena *arena, size_t budget)
{
    *arena = (struct arena){.block_size = FIRST_BLOCK, .budget_left = budget};
}

void arena_clear(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;

        free(arena->blocks);
        arena->blocks = next;
    }
    arena_init(arena, 0);
}

static enum kist_status add_block(struct arena *arena, size_t size)
{
    struct arena_block *block;

    if (size < arena->block_size)
        size = arena->block_size < arena->budget_left ? arena->block_size
                                                      : arena->budget_left;
    block = malloc(sizeof(*block) + size);
    if (block == NULL)
        return KIST_NO_MEMORY;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->at = (char *)block->start;
    arena->left = size;
    arena->budget_left -= size;
    arena->used += size;
    if (arena->block_size < LAST_BLOCK)
        arena->block_size *= 2;
    return KIST_OK;
}

enum kist_status arena_take(struct arena *arena, size_t size, void **out_piece)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return KIST_TOO_LARGE;
    if (size == 0)
        size = 1; /* An address of its own, before there is a block, too. */
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    if (size > arena->left) {
        if (size > arena->budget_left)
            return KIST_TOO_LARGE;
        if (add_block(arena, size) != KIST_OK)
            return KIST_NO_MEMORY;
    }
    *out_piece = arena->at;
    arena->at += size;
    arena->left -= size;
    return KIST_OK;
}

enum kist_status arena_copy(struct arena *arena, struct view bytes,
                            struct view *out_copy)
{
    void *piece;
    enum kist_status status = arena_take(arena, bytes.size, &piece);

    if (status != KIST_OK)
        return status;
    if (bytes.size > 0)
        memcpy(piece, bytes.data, bytes.size);
    *out_copy = (struct view){piece, bytes.size};
    return KIST_OK;
}
