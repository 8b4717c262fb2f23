/*
 * engine_kind - which engines there are, and the one that keeps a node's data.
 *
 * An engine whose library was not there when kistd was built is refused by
 * name: a directory that it wrote is never touched by another one.
 *
 * Threads: any.
 */
#ifndef KIST_STORAGE_ENGINE_KIND_H
#define KIST_STORAGE_ENGINE_KIND_H

#include "base/status.h"
#include "storage/engine.h"

enum engine_kind {
    ENGINE_LEVELDB,
    ENGINE_ROCKSDB,
    ENGINE_REDIS, /* No engine of a store: storage/redis.h. */
};

/* As in FORMAT (storage/data_dir.h) and --engine. */
const char *engine_kind_name(enum engine_kind kind);

/*
 * Write buffers' worth of room that an engine may need at once, to write out
 * what is in them and in its logs.
 */
unsigned engine_kind_buffers(enum engine_kind kind);

/*
 * KIST_INVALID: this kistd was built without it; out_fault says what to do.
 * Ask before anything is created in its name.
 */
KIST_CHECKED enum kist_status engine_kind_check(enum engine_kind kind,
                                                struct engine_fault *out_fault);

/* As engine_leveldb_open(); or as the check. */
KIST_CHECKED enum kist_status
engine_kind_open(enum engine_kind kind, const struct engine_options *options,
                 struct engine_fault *out_fault, struct engine **out_engine);

#endif
