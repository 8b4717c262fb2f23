/*
 * overlay - the records that a batch in the making will leave behind.
 *
 * The commit decides write after write before anything reaches the engine; a
 * later write must see what an earlier one did to its key. An atomic group
 * that fails takes its entries back (overlay_rewind), newest first.
 *
 * Threads: one.
 */
#ifndef KIST_STORAGE_OVERLAY_H
#define KIST_STORAGE_OVERLAY_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct overlay_slot;
struct overlay_entry;

struct overlay {
    struct overlay_slot *slots; /* uthash, by key. */
    struct overlay_entry *newest;
    size_t count;
};

void overlay_clear(struct overlay *overlay);

/*
 * key has this encoded record now (empty: none). Borrows key until the
 * overlay is cleared, takes *record, also on failure.
 */
KIST_CHECKED enum kist_status overlay_set(struct overlay *overlay,
                                          struct view key, struct blob *record);

/* Whether key was set; *out_record is borrowed, empty: it has none. */
KIST_CHECKED bool overlay_find(const struct overlay *overlay, struct view key,
                               struct view *out_record);

/* Back to what it was when it counted `count` entries. */
void overlay_rewind(struct overlay *overlay, size_t count);

#endif
