#include "tests/support/wall.h"

#include <stdatomic.h>

uint64_t __real_clock_wall_ms(void);
uint64_t __wrap_clock_wall_ms(void);

static _Atomic int64_t shift_ms; /* One process, one test. */

uint64_t __wrap_clock_wall_ms(void)
{
    return __real_clock_wall_ms() + (uint64_t)atomic_load(&shift_ms);
}

void wall_shift(int64_t by_ms)
{
    atomic_fetch_add(&shift_ms, by_ms);
}
