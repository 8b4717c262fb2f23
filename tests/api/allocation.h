/*
 * allocation - make the n-th allocation fail, and count what is not freed.
 *
 * For executables linked with -Wl,--wrap of malloc, calloc, realloc and free;
 * shared libraries, Criterion among them, keep the real ones.
 */
#ifndef KIST_TESTS_API_ALLOCATION_H
#define KIST_TESTS_API_ALLOCATION_H

#include <stdbool.h>

enum allocation_failure {
    ALLOCATION_FAILS_ONCE,
    ALLOCATION_FAILS_FROM_THEN_ON,
};

/* The allocation after nth others fails. Counting live blocks starts at 0. */
void allocation_arm(unsigned nth, enum allocation_failure failure);

/* Back to normal. Whether any allocation failed since allocation_arm(). */
bool allocation_disarm(void);

/* Blocks allocated and not freed since allocation_arm(). */
long allocation_live(void);

#endif
