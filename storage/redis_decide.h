/*
 * redis_decide - what the items of a change do to the records that were read.
 *
 * As storage/decide.h for a store of one's own; the script has the last word.
 *
 * Threads: a line's.
 */
#ifndef KIST_STORAGE_REDIS_DECIDE_H
#define KIST_STORAGE_REDIS_DECIDE_H

#include "storage/redis_change.h"

/* bytes: what Redis has for the entry; present false: nothing. */
void redis_decide_read(struct redis_entry *entry, bool present,
                       struct view bytes);

/*
 * Decide all items whose entry is one of count from first on, in their order.
 * An entry that they leave alone is settled. The bytes that were read are not
 * used any more.
 */
void redis_decide(struct redis_change *change, size_t first, size_t count);

/* A put or delete that the script decides: stamp and encode it anew. */
KIST_CHECKED enum kist_status
redis_decide_plainly(const struct redis_changes *by, struct redis_entry *entry);

#endif
