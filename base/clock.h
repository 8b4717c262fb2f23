/* clock - the two clocks of the machine, in one unit each. */
#ifndef KIST_BASE_CLOCK_H
#define KIST_BASE_CLOCK_H

#include <stdint.h>

/* Wall clock, milliseconds since 1970: versions, expiry. May jump. */
uint64_t clock_wall_ms(void);

/* Monotonic, nanoseconds since some start: deadlines, durations. */
uint64_t clock_mono_ns(void);

/* Of the calling thread, which must have nothing better to do. */
void clock_pause_ms(uint64_t pause_ms);

#endif
