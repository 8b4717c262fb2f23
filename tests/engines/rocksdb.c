#include "tests/engines/conformance.h"

const enum wal_owner conformance_owner = WAL_OF_ROCKSDB;
const unsigned conformance_stride = 11; /* It has many more. */

enum kist_status conformance_open(const struct engine_options *options,
                                  struct engine_fault *out_fault,
                                  struct engine **out_engine)
{
    return engine_rocksdb_open(options, out_fault, out_engine);
}
