#include "base/clock.h"

#include <time.h>

uint64_t clock_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_mono_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void clock_pause_ms(uint64_t pause_ms)
{
    struct timespec pause = {(time_t)(pause_ms / 1000),
                             (long)(pause_ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}
