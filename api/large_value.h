/*
 * large_value - values in files, for the answers that need them.
 *
 * Whole and ranges go out from the file itself; answers that hold a value
 * among other things need it in memory, up to a limit.
 *
 * Threads: any. Loading blocks and belongs on the pool.
 */
#ifndef KIST_API_LARGE_VALUE_H
#define KIST_API_LARGE_VALUE_H

#include "storage/store.h"

/*
 * Gives *out_descriptor (close()) of a large record's value.
 * KIST_NOT_FOUND: it was replaced meanwhile, or is lost: read the record
 * again, to learn which. KIST_CORRUPT, KIST_BUSY, KIST_IO.
 */
KIST_CHECKED enum kist_status large_value_open(struct store *store,
                                               const struct record *record,
                                               int *out_descriptor);

/*
 * Bring the item's value into memory: it is not large then. A value of more
 * than limit bytes stays large, which is no failure. One that was replaced
 * meanwhile makes it the item that is there now; a listing's item may hold
 * nothing, borrowing its record. KIST_NOT_FOUND: there is none any more.
 * KIST_CORRUPT, KIST_BUSY, KIST_IO, KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status large_value_load(struct store *store,
                                               struct view key, uint64_t limit,
                                               struct item *item);

#endif
