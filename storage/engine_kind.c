#include "storage/engine_kind.h"

const char *engine_kind_name(enum engine_kind kind)
{
    switch (kind) {
    case ENGINE_LEVELDB:
        return "leveldb";
    case ENGINE_ROCKSDB:
        return "rocksdb";
    case ENGINE_REDIS:
        return "redis";
    }
    return "invalid_engine";
}

unsigned engine_kind_buffers(enum engine_kind kind)
{
    switch (kind) {
    case ENGINE_LEVELDB:
    case ENGINE_REDIS:
        break;
    case ENGINE_ROCKSDB: /* Three of them, and the log's next part. */
        return 4;
    }
    return 2;
}

enum kist_status engine_kind_check(enum engine_kind kind,
                                   struct engine_fault *out_fault)
{
    switch (kind) {
    case ENGINE_LEVELDB:
        return KIST_OK;
    case ENGINE_ROCKSDB:
#ifdef KIST_ROCKSDB
        return KIST_OK;
#endif
    case ENGINE_REDIS:
        break;
    }
    if (kind == ENGINE_REDIS) {
        engine_fault_set(out_fault,
                         "the engine redis keeps nothing in a directory");
        return KIST_INVALID;
    }
    engine_fault_set(out_fault,
                     "this kistd was built without the engine %s; install its "
                     "library and build again, or choose another engine",
                     engine_kind_name(kind));
    return KIST_INVALID;
}

enum kist_status engine_kind_open(enum engine_kind kind,
                                  const struct engine_options *options,
                                  struct engine_fault *out_fault,
                                  struct engine **out_engine)
{
    switch (kind) {
    case ENGINE_LEVELDB:
        return engine_leveldb_open(options, out_fault, out_engine);
    case ENGINE_ROCKSDB:
#ifdef KIST_ROCKSDB
        return engine_rocksdb_open(options, out_fault, out_engine);
#endif
    case ENGINE_REDIS:
        break;
    }
    return engine_kind_check(kind, out_fault);
}
