/*
 * outcome - what a write that was decided leaves behind in the batch.
 *
 * The record, and with it all that is kept beside records: what the sweep looks
 * for, the entry of its file, and in a cluster its place in the index and its
 * share of a sum. One batch has all of it, so none is ever found without the
 * others.
 *
 * Threads: the committing one.
 */
#ifndef KIST_STORAGE_OUTCOME_H
#define KIST_STORAGE_OUTCOME_H

#include "storage/decide.h"

/*
 * The write's key has next from now on, and had old; NULL: none. Into batch,
 * overlay and changes, or no trace of it: KIST_NO_MEMORY. next may have bytes
 * of old, which may lie in the batch.
 */
KIST_CHECKED enum kist_status outcome_enter(struct decision *decision,
                                            struct write *write,
                                            const struct record *old,
                                            const struct record *next);

/*
 * If memory ran out since mark, half an operation may lie in the batch: it is
 * taken back. KIST_NO_MEMORY then.
 */
KIST_CHECKED enum kist_status outcome_keep_whole(struct decision *decision,
                                                 struct engine_mark mark);

/* Whether the record, if there is one, has a file, and which. */
bool outcome_file(const struct record *record, struct large_reference *out);

#endif
