#include "tests/engines/conformance.h"

enum kist_status conformance_open(const struct engine_options *options,
                                  struct engine_fault *out_fault,
                                  struct engine **out_engine)
{
    return engine_leveldb_open(options, out_fault, out_engine);
}
