/*
 * wrong_clock - a preloaded library by which kistd's wall clock is wrong.
 *
 * $WRONG_CLOCK is a file of three numbers that a test may change at any time:
 * by how many nanoseconds the clock is ahead, by how many millionths it is too
 * fast, and since when (on the true clock). The monotonic clock stays true.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { NS = 1000000000 };

struct wrong {
    _Atomic int64_t ahead_ns;
    _Atomic int64_t drift_ppm;
    _Atomic int64_t since_ns;
};

static struct wrong *wrong; /* NULL: the clock is right. */
static int (*next)(clockid_t, struct timespec *);

static void find_next(void)
{
    void *found = dlsym(RTLD_NEXT, "clock_gettime");

    memcpy(&next, &found, sizeof next); /* ISO C has no such cast. */
}

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("WRONG_CLOCK");
    int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (file < 0)
        return;
    void *bytes = mmap(NULL, sizeof(*wrong), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (bytes != MAP_FAILED)
        wrong = bytes;
}

static int64_t wrong_ns(int64_t true_ns)
{
    int64_t drift_ppm = atomic_load(&wrong->drift_ppm);
    int64_t drifted_us = (true_ns - atomic_load(&wrong->since_ns)) / 1000;

    return true_ns + atomic_load(&wrong->ahead_ns) +
           drifted_us * drift_ppm / 1000;
}

int clock_gettime(clockid_t clock, struct timespec *out_time)
{
    if (next == NULL)
        find_next(); /* Somebody's constructor came before ours. */
    int result = next(clock, out_time);
    if (result != 0 || wrong == NULL || clock != CLOCK_REALTIME)
        return result;
    int64_t ns = wrong_ns((int64_t)out_time->tv_sec * NS + out_time->tv_nsec);
    out_time->tv_sec = ns / NS;
    out_time->tv_nsec = ns % NS;
    return 0;
}
