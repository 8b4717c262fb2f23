/* Both names of each call are defined here: open() is what LevelDB uses. */
#undef _FILE_OFFSET_BITS

#include "tests/support/fault.h"

#include "tests/support/synced.h"

#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILES = 4096 };

/* One process, one test: the calls below have no other way to know. */
static const char *watched;
static _Atomic bool is_watched[MAX_FILES];
static _Atomic int armed_call; /* enum fault_call */
static _Atomic int left;
static _Atomic bool fired;
static _Atomic int armed_life; /* enum fault_life */
static _Atomic int armed_error;

void fault_watch(const char *directory)
{
    watched = directory;
}

void fault_arm(enum fault_call call, unsigned nth, enum fault_life life,
               int error)
{
    armed_life = (int)life;
    armed_error = error;
    fired = false;
    left = (int)nth;
    armed_call = (int)call;
}

bool fault_disarm(void)
{
    armed_call = FAULT_NONE;
    return fired;
}

static const struct fault_observer *_Atomic observer_now;

void fault_observe(const struct fault_observer *observer)
{
    observer_now = observer;
}

static void tell(enum fault_call call, const char *path)
{
    const struct fault_observer *observer = observer_now;

    if (observer != NULL)
        observer->seen(observer->ctx, call, path);
}

/* What a descriptor is of; or a name below one. */
static void tell_file(enum fault_call call, int file, const char *name)
{
    char link[40], path[PATH_MAX] = "";
    ssize_t size;

    if (observer_now == NULL)
        return;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof(path) - 1);
    if (size > 0 && name != NULL)
        snprintf(path + size, sizeof(path) - (size_t)size, "/%s", name);
    tell(call, path);
}

static bool fails(enum fault_call call)
{
    int before;

    if (armed_call != (int)call)
        return false;
    before = atomic_fetch_sub(&left, 1);
    if (before > 0 || (before < 0 && armed_life == FAULT_ONCE))
        return false;
    fired = true;
    errno = armed_error;
    return true;
}

static bool is_inside(int directory, const char *path)
{
    if (path[0] != '/' && directory >= 0 && directory < MAX_FILES)
        return is_watched[directory];
    return watched != NULL && strncmp(path, watched, strlen(watched)) == 0;
}

static bool is_file_watched(int file)
{
    return file >= 0 && file < MAX_FILES && is_watched[file];
}

static int open_at(int directory, const char *path, int flags, mode_t mode)
{
    int (*real)(int, const char *, int, ...) =
        (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat64");
    bool inside = is_inside(directory, path);
    int file;

    if (inside && (flags & O_ACCMODE) != O_RDONLY && fails(FAULT_OPEN))
        return -1;
    file = real(directory, path, flags, mode);
    if (file >= 0 && file < MAX_FILES)
        is_watched[file] = inside;
    if (file >= 0 && inside && (flags & O_ACCMODE) != O_RDONLY)
        synced_note_open(file);
    return file;
}

#define OPENING(name, parameters, directory)                                   \
    int name parameters                                                        \
    {                                                                          \
        mode_t mode = 0;                                                       \
        va_list more;                                                          \
                                                                               \
        va_start(more, flags);                                                 \
        if (flags & O_CREAT)                                                   \
            mode = va_arg(more, mode_t);                                       \
        va_end(more);                                                          \
        return open_at(directory, path, flags, mode);                          \
    }

OPENING(open, (const char *path, int flags, ...), AT_FDCWD)
OPENING(open64, (const char *path, int flags, ...), AT_FDCWD)
OPENING(openat, (int at, const char *path, int flags, ...), at)
OPENING(openat64, (int at, const char *path, int flags, ...), at)

/* The number may come back as a file or socket that nobody watches. */
int close(int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");

    if (file >= 0 && file < MAX_FILES)
        is_watched[file] = false;
    return real(file);
}

ssize_t read(int file, void *bytes, size_t size)
{
    ssize_t (*real)(int, void *, size_t) =
        (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");

    return is_file_watched(file) && fails(FAULT_READ) ? -1
                                                      : real(file, bytes, size);
}

ssize_t write(int file, const void *bytes, size_t size)
{
    ssize_t (*real)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");

    if (is_file_watched(file) && fails(FAULT_WRITE)) {
        int error = errno;

        if (armed_life == FAULT_ONCE && real(file, bytes, size / 2) < 0)
            abort();
        errno = error;
        return -1;
    }
    return real(file, bytes, size);
}

static int sync_by(const char *name, int file)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    off_t size;

    if (!is_file_watched(file))
        return real(file);
    if (fails(FAULT_SYNC))
        return -1;
    size = synced_size(file);
    if (real(file) != 0)
        return -1;
    synced_note(file, size);
    tell_file(FAULT_SYNC, file, NULL);
    return 0;
}

int fsync(int file)
{
    return sync_by("fsync", file);
}

int fdatasync(int file)
{
    return sync_by("fdatasync", file);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *) =
        (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");

    return is_inside(AT_FDCWD, to) && fails(FAULT_RENAME) ? -1 : real(from, to);
}

int renameat(int from_directory, const char *from, int to_directory,
             const char *to)
{
    int (*real)(int, const char *, int, const char *) =
        (int (*)(int, const char *, int, const char *))dlsym(RTLD_NEXT,
                                                             "renameat");

    if (!is_inside(to_directory, to))
        return real(from_directory, from, to_directory, to);
    if (fails(FAULT_RENAME) ||
        real(from_directory, from, to_directory, to) != 0)
        return -1;
    tell_file(FAULT_RENAME, to_directory, to);
    return 0;
}

int unlinkat(int directory, const char *path, int flags)
{
    int (*real)(int, const char *, int) =
        (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "unlinkat");

    if (!is_inside(directory, path))
        return real(directory, path, flags);
    if (fails(FAULT_UNLINK) || real(directory, path, flags) != 0)
        return -1;
    tell_file(FAULT_UNLINK, directory, path);
    return 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails(FAULT_ALLOCATION) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAULT_ALLOCATION) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails(FAULT_ALLOCATION) ? NULL : __real_realloc(memory, size);
}

size_t fault_open_files(void)
{
    DIR *listing = opendir("/proc/self/fd");
    size_t count = 0;

    if (listing == NULL)
        abort();
    while (readdir(listing) != NULL)
        count++;
    closedir(listing);
    return count;
}
