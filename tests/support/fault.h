/*
 * fault - system calls and allocations that fail on demand.
 *
 * An executable that links fault.c gets the C library's open, read, write,
 * fsync, fdatasync, rename and unlink in versions of our own, and shared
 * libraries in it, LevelDB above all, get them as well. Calls on files under
 * the watched directory are counted, and the n-th fails. Allocations are those
 * of our own code, if the executable is linked with
 * --wrap=malloc,calloc,realloc.
 *
 * A write that fails has first written half of its bytes, as on a full disk.
 *
 * Threads: calls may fail in any; watch, arm and disarm in one.
 */
#ifndef KIST_TESTS_SUPPORT_FAULT_H
#define KIST_TESTS_SUPPORT_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum fault_call {
    FAULT_NONE,
    FAULT_OPEN, /* For writing, or of a new file. */
    FAULT_READ, /* Not pread. */
    FAULT_WRITE,
    FAULT_SYNC, /* fsync and fdatasync. */
    FAULT_RENAME,
    FAULT_UNLINK,
    FAULT_ALLOCATION,
};

enum fault_life {
    FAULT_ONCE,
    FAULT_LASTING, /* That call and all later ones. */
};

/* From now on; files opened before are not seen. Keeps directory. */
void fault_watch(const char *directory);

/* Call number nth from here, beginning with 0, fails with error. */
void fault_arm(enum fault_call call, unsigned nth, enum fault_life life,
               int error);

/* True if it has failed. */
bool fault_disarm(void);

/*
 * From now on each sync, rename and unlink under the watched directory that
 * worked is told, before it returns, in the thread that called. path is the
 * file's, for a rename the new one. NULL: no more. Keeps seen.
 */
struct fault_observer {
    void *ctx;
    void (*seen)(void *ctx, enum fault_call call, const char *path);
};

void fault_observe(const struct fault_observer *observer);

/* Descriptors that this process has open: what a failure must not leave. */
size_t fault_open_files(void);

#endif
