/*
 * conformance - what every engine behind storage/engine.h must do.
 *
 * conformance.c holds the tests. An executable for one engine links it with
 * one file that defines conformance_open().
 */
#ifndef KIST_TESTS_ENGINES_CONFORMANCE_H
#define KIST_TESTS_ENGINES_CONFORMANCE_H

#include "storage/engine.h"

/* As engine_leveldb_open(), for the engine under test. */
KIST_CHECKED enum kist_status
conformance_open(const struct engine_options *options,
                 struct engine_fault *out_fault, struct engine **out_engine);

#endif
