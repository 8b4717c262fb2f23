/*
 * large_entry - the engine's 'l' entries: which key uses which file.
 *
 * An entry is written in the batch that makes a record name the file, and
 * deleted in the batch that takes that record away. So a file without an entry
 * is used by nobody (but may be on its way to be), and the deletions in a
 * batch that was applied are the files to remove.
 *
 * Threads: as the batch.
 */
#ifndef KIST_STORAGE_LARGE_ENTRY_H
#define KIST_STORAGE_LARGE_ENTRY_H

#include "storage/large.h"

enum { LARGE_ENTRY_SPACE = 'l', LARGE_ENTRY_KEY_SIZE = 1 + LARGE_ID_SIZE };

/* The entry's key in the engine: the space, then boot and serial. */
void large_entry_key(const struct large_reference *reference,
                     char out_key[LARGE_ENTRY_KEY_SIZE]);

void large_entry_put(struct engine_batch *batch,
                     const struct large_reference *reference, struct view key);
void large_entry_delete(struct engine_batch *batch,
                        const struct large_reference *reference);

/* The batch is applied and synced: drop the files of its deletions. */
void large_entry_drop_deleted(const struct engine_batch *batch,
                              struct large *large);

#endif
