/*
 * wall - a wall clock that a test sets.
 *
 * For executables that are linked with --wrap=clock_wall_ms. It goes on like
 * the real one, which it shows until it is set.
 *
 * Threads: any.
 */
#ifndef KIST_TESTS_SUPPORT_WALL_H
#define KIST_TESTS_SUPPORT_WALL_H

#include <stdint.h>

/* By so much from now on; negative: back. Adds up. */
void wall_shift(int64_t by_ms);

#endif
