/*
 * redis_outcome - what the script says of each entry of a change, as results.
 *
 * Threads: a line's.
 */
#ifndef KIST_STORAGE_REDIS_OUTCOME_H
#define KIST_STORAGE_REDIS_OUTCOME_H

#include "storage/redis_change.h"

/* False: some entries are to be tried again, others are settled. */
KIST_CHECKED bool redis_outcome_hear(struct redis_change *change,
                                     const struct redis_answer *answer);

/* entry is settled; its write, if it is a plain one, has this result. */
void redis_outcome_settle(struct redis_entry *entry, enum kist_status status,
                          bool created);

/* Whatever is not settled has this status. */
void redis_outcome_fail(struct redis_change *change, enum kist_status status);

/* A put has found a record there, or none. */
void redis_outcome_note_habit(const struct redis_changes *by, bool replaced);

#endif
