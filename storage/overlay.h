/*
 * overlay - which records a batch in the making will leave behind.
 *
 * The commit decides write after write before anything reaches the engine; a
 * later write must see what an earlier one did to its key. The overlay knows
 * where in the batch each key's newest record lies. An atomic group that fails
 * takes its entries back (overlay_rewind), newest first.
 *
 * Threads: one.
 */
#ifndef KIST_STORAGE_OVERLAY_H
#define KIST_STORAGE_OVERLAY_H

#include "base/siphash.h"
#include "storage/engine.h"

struct overlay_entry;

struct overlay {
    struct overlay_entry *entries; /* The oldest first. */
    size_t count;
    size_t capacity;
    uint32_t *chains; /* Twice as many as the capacity of entries. */
    struct siphash_key secret;
};

void overlay_clear(struct overlay *overlay); /* Keeps memory for the next. */
void overlay_free(struct overlay *overlay);  /* Leaves it as new. */

/*
 * key has its record at this place of the batch now (of size 0: none). Borrows
 * key until the overlay is cleared. KIST_NO_MEMORY: nothing changed.
 */
KIST_CHECKED enum kist_status overlay_set(struct overlay *overlay,
                                          struct view key,
                                          struct engine_place record);

/* Whether key was set, and to what. */
KIST_CHECKED bool overlay_find(const struct overlay *overlay, struct view key,
                               struct engine_place *out_record);

/* Back to what it was when it counted `count` entries. */
void overlay_rewind(struct overlay *overlay, size_t count);

#endif
