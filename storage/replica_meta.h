/*
 * replica_meta - what replication itself must not lose: its ring, promises,
 * floors; by name, below the engine's 'r'.
 *
 * Written by the commit (WRITE_META), so in order with all else.
 */
#ifndef KIST_STORAGE_REPLICA_META_H
#define KIST_STORAGE_REPLICA_META_H

#include "storage/store.h"

#define REPLICA_META_NAME_MAX 64

/*
 * Appends the bytes of name to *out. KIST_NOT_FOUND: there are none. Failures
 * as store_get(). Any thread; reads the engine.
 */
KIST_CHECKED enum kist_status
replica_meta_get(struct store *store, struct view name, struct blob *out);

/* Into a batch; and out of it. */
void replica_meta_put(struct engine_batch *batch, struct view name,
                      struct view bytes);
void replica_meta_delete(struct engine_batch *batch, struct view name);

#endif
