/*
 * faulty - a preloaded library that lets kistd's disk fail.
 *
 * As long as the file $FAULTY.<call> exists, that call on a file below
 * $FAULTY_BELOW ends with EIO; $FAULTY.full lets half of each write through,
 * then there is no space; with $FAULTY.slow each sync takes a while. So the
 * shipped kistd needs no switch for tests, and a fault begins and ends while
 * it runs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOW_MS = 400 };

static bool is_below(int descriptor, const char *directory)
{
    char link[64], path[4096];

    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    return strncmp(path, directory, strlen(directory)) == 0;
}

static bool fails(const char *call, int descriptor)
{
    const char *fault = getenv("FAULTY");
    const char *below = getenv("FAULTY_BELOW");
    char path[256];

    if (fault == NULL || below == NULL)
        return false;
    snprintf(path, sizeof path, "%s.%s", fault, call);
    return access(path, F_OK) == 0 && is_below(descriptor, below);
}

/* The call behind ours, into *out: ISO C has no cast from data to code. */
static void find_next(const char *call, void *out)
{
    void *next = dlsym(RTLD_NEXT, call);

    memcpy(out, &next, sizeof next);
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    ssize_t (*next)(int, const void *, size_t);

    find_next("write", &next);
    if (fails("write", descriptor)) {
        errno = EIO;
        return -1;
    }
    if (fails("full", descriptor)) {
        if (next(descriptor, bytes, size / 2) >= 0)
            errno = ENOSPC;
        return -1;
    }
    return next(descriptor, bytes, size);
}

int fdatasync(int descriptor)
{
    int (*next)(int);

    find_next("fdatasync", &next);
    if (fails("slow", descriptor))
        nanosleep(&(struct timespec){.tv_nsec = SLOW_MS * 1000000}, NULL);
    if (fails("fdatasync", descriptor)) {
        errno = EIO;
        return -1;
    }
    return next(descriptor);
}
