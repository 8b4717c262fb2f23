/*
 * arena - many small pieces of memory that end together.
 *
 * Pieces are cut from blocks that grow with use; nothing is freed before
 * arena_clear() frees all. A budget bounds the whole.
 *
 * Threads: an arena belongs to one thread at a time.
 */
#ifndef KIST_BASE_ARENA_H
#define KIST_BASE_ARENA_H

#include "base/bytes.h"
#include "base/status.h"

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    char *at;    /* The free rest of the newest block. */
    size_t left; /* Its bytes. */
    size_t block_size;
    size_t budget_left;
    size_t used; /* Bytes in all its blocks. */
};

/* Allocates nothing yet; at most budget bytes ever. */
void arena_init(struct arena *arena, size_t budget);
void arena_clear(struct arena *arena);

/*
 * size bytes, not initialised, aligned for pointers and 64-bit numbers, valid
 * until arena_clear(). KIST_TOO_LARGE: beyond the budget. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status arena_take(struct arena *arena, size_t size,
                                         void **out_piece);

/* A copy of these bytes. Fails as arena_take() does. */
KIST_CHECKED enum kist_status arena_copy(struct arena *arena, struct view bytes,
                                         struct view *out_copy);

#endif
