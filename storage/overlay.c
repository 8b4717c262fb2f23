/*
 * A slot a key, in a hash table; on each slot a stack of entries, and one list
 * of all entries from newest to oldest. Taking back pops entries and leaves
 * the slots, so it allocates nothing and cannot fail.
 */
#include "storage/overlay.h"

#include <assert.h>
#include <stdlib.h>

/* A failed insertion is reported by the slot, instead of exit(). */
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(slot) ((slot)->lost = true)
#include <uthash.h>

struct overlay_slot {
    struct view key;
    struct overlay_entry *top; /* NULL: every entry was taken back. */
    bool lost;
    UT_hash_handle hh;
};

struct overlay_entry {
    struct blob record;
    struct overlay_slot *slot;
    struct overlay_entry *below; /* The same key's entry before this one. */
    struct overlay_entry *older; /* Any key's entry before this one. */
};

static struct overlay_slot *find(const struct overlay *overlay, struct view key)
{
    struct overlay_slot *slot;

    HASH_FIND(hh, overlay->slots, key.data, key.size, slot);
    return slot;
}

static struct overlay_slot *make_slot(struct overlay *overlay, struct view key)
{
    struct overlay_slot *slot = calloc(1, sizeof(*slot));

    if (slot == NULL)
        return NULL;
    slot->key = key;
    HASH_ADD_KEYPTR(hh, overlay->slots, slot->key.data, slot->key.size, slot);
    if (!slot->lost)
        return slot;
    free(slot);
    return NULL;
}

enum kist_status overlay_set(struct overlay *overlay, struct view key,
                             struct blob *record)
{
    struct overlay_entry *entry = calloc(1, sizeof(*entry));
    struct overlay_slot *slot = find(overlay, key);

    if (slot == NULL)
        slot = make_slot(overlay, key);
    if (entry == NULL || slot == NULL) {
        blob_free(record);
        free(entry);
        return KIST_NO_MEMORY;
    }
    *entry = (struct overlay_entry){*record, slot, slot->top, overlay->newest};
    *record = BLOB_EMPTY;
    slot->top = entry;
    overlay->newest = entry;
    overlay->count++;
    return KIST_OK;
}

bool overlay_find(const struct overlay *overlay, struct view key,
                  struct view *out_record)
{
    struct overlay_slot *slot = find(overlay, key);

    if (slot == NULL || slot->top == NULL)
        return false;
    *out_record = blob_view(&slot->top->record);
    return true;
}

void overlay_rewind(struct overlay *overlay, size_t count)
{
    assert(count <= overlay->count);
    while (overlay->count > count) {
        struct overlay_entry *entry = overlay->newest;

        entry->slot->top = entry->below;
        overlay->newest = entry->older;
        overlay->count--;
        blob_free(&entry->record);
        free(entry);
    }
}

void overlay_clear(struct overlay *overlay)
{
    struct overlay_slot *slot, *next;

    overlay_rewind(overlay, 0);
    HASH_ITER (hh, overlay->slots, slot, next) {
        HASH_DEL(overlay->slots, slot);
        free(slot);
    }
}
