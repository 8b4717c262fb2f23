/*
 * redis_groups - the groups of a turn, as changes in Redis.
 *
 * A group of several writes is cut into one part a shard. Edits and gets of
 * one key, in groups of their own, become one change together: however many
 * count at once, the counter is read and written once.
 *
 * An atomic group has to lie in one slot of Redis: else all of its writes get
 * KIST_INVALID.
 *
 * Threads: any.
 */
#ifndef KIST_STORAGE_REDIS_GROUPS_H
#define KIST_STORAGE_REDIS_GROUPS_H

#include "storage/redis_change.h"

/* For commit_options.decide. by is kept. */
void redis_groups_give(const struct redis_changes *by,
                       struct commit_group *groups);

#endif
