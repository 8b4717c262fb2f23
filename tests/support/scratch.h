/*
 * scratch - a directory of a test's own, gone when the test is.
 *
 * Criterion runs each test in a process of its own, so a name per test is
 * enough.
 */
#ifndef KIST_TESTS_SUPPORT_SCRATCH_H
#define KIST_TESTS_SUPPORT_SCRATCH_H

struct scratch {
    char path[64];
};

void scratch_make(struct scratch *scratch);
void scratch_remove(struct scratch *scratch); /* With all that is in it. */

/* Everything under from, regular files and directories, to a new to. */
void scratch_copy_tree(const char *from, const char *to);

/* The same, each file as copy makes it. */
void scratch_copy_tree_by(const char *from, const char *to,
                          void (*copy)(void *ctx, const char *from,
                                       const char *to),
                          void *ctx);
void scratch_remove_tree(const char *path);

#endif
