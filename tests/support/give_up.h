/*
 * give_up - end a test whose ground is gone.
 *
 * For faults of the harness and its machine (no fork, no socket, kistd does
 * not start), which are not what a test asserts. Works with Criterion, which
 * reports the test as crashed, and without it.
 */
#ifndef KIST_TESTS_GIVE_UP_H
#define KIST_TESTS_GIVE_UP_H

#include "base/status.h"

_Noreturn void give_up(const char *format, ...) KIST_PRINTF(1, 2);

#endif
