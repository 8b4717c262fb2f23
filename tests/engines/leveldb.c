#include "tests/engines/conformance.h"

const enum wal_owner conformance_owner = WAL_OF_LEVELDB;
const unsigned conformance_stride = 1;

enum kist_status conformance_open(const struct engine_options *options,
                                  struct engine_fault *out_fault,
                                  struct engine **out_engine)
{
    return engine_leveldb_open(options, out_fault, out_engine);
}
