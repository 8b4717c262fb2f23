/*
 * conformance - what every engine behind storage/engine.h must do.
 *
 * The tests are in test_*.c here. An executable for one engine links them
 * with one file that defines what follows.
 */
#ifndef KIST_TESTS_ENGINES_CONFORMANCE_H
#define KIST_TESTS_ENGINES_CONFORMANCE_H

#include "storage/engine.h"
#include "storage/wal_check.h"

/* As engine_leveldb_open(), for the engine under test. */
KIST_CHECKED enum kist_status
conformance_open(const struct engine_options *options,
                 struct engine_fault *out_fault, struct engine **out_engine);

/* Whose its logs are. */
extern const enum wal_owner conformance_owner;

/* Of places where something can fail each n-th is tried; an odd number. */
extern const unsigned conformance_stride;

#endif
