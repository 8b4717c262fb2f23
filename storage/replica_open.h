/*
 * replica_open - takes over what a directory has of a cluster, or makes it.
 *
 * The engine's key "mreplica" says whose records these are: format 1 (1), state
 * (1), bits (1), cluster (8). A directory without it was a node's alone. It
 * gets its index (storage/replica_index.h) from a walk over its records when
 * it is first opened as part of a cluster, and again with other partitions;
 * what a crash in between leaves is made anew.
 *
 * There is no way back while there are records: a node alone takes deleted
 * ones out, and the others of the cluster would bring them back.
 *
 * Threads: one, before or while nobody commits.
 */
#ifndef KIST_STORAGE_REPLICA_OPEN_H
#define KIST_STORAGE_REPLICA_OPEN_H

#include "storage/bucket_sums.h"
#include "storage/store.h"

/*
 * The sums of the records in engine; replicated NULL: *out_sums is NULL. Making
 * the index takes some seconds a million records.
 *
 * KIST_INVALID: the records belong to another cluster, or to one although none
 * was asked for; or bits are beyond KEY_HASH_BITS_MAX. KIST_CORRUPT: a record
 * cannot be read. KIST_DISK_FULL, KIST_IO, KIST_NO_MEMORY. *out_fault says
 * which, and what to do; it is left alone after KIST_OK. Ended by
 * bucket_sums_free().
 */
KIST_CHECKED enum kist_status
replica_open(const struct store_replication *replicated, struct engine *engine,
             struct engine_fault *out_fault, struct bucket_sums **out_sums);

/* The engine was opened again: a write of unknown outcome may be in it. */
KIST_CHECKED enum kist_status replica_open_again(struct engine *engine,
                                                 struct bucket_sums *sums);

#endif
