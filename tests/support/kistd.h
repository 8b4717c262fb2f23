/*
 * kistd - the server under test as a child process.
 *
 * Started from the binary that the environment variable KISTD names (else the
 * one of this build), on a port that the kernel chooses, in a directory of its
 * own. It dies with the thread that started it. Its stderr goes to a file, and
 * every stop reads that file: each line must be one JSON object, so that log
 * injection, a sanitizer's report or a stray print fail whichever test caused
 * them.
 */
#ifndef KIST_TESTS_KISTD_H
#define KIST_TESTS_KISTD_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kistd {
    pid_t pid; /* 0: not running. */
    uint16_t port;
    unsigned starts;
    char directory[96]; /* Holds data/ and log.<start>. */

    /* Taken when it was ready, before the first request. */
    size_t sockets, descriptors, rss_kib;
};

/*
 * Make a directory below parent (NULL: the system's temporary one), nothing
 * is started. Ends in kistd_remove().
 */
void kistd_prepare(struct kistd *kistd, const char *parent);

/*
 * Start on the directory as it is, wait until it is ready. flags ends with
 * NULL and may be NULL: what is added to the command line.
 */
void kistd_start(struct kistd *kistd, const char *const flags[]);

/* The same where a start may fail: false, with its exit status. */
bool kistd_try_start(struct kistd *kistd, const char *const flags[],
                     int *out_status);

/* Only the process, for those who kill it while it starts. */
void kistd_spawn(struct kistd *kistd, const char *const flags[]);

/* SIGTERM, at most 15 s, then the log is checked. The exit status. */
int kistd_stop(struct kistd *kistd);

/* Wait at most 15 s for it to end by itself. The log and status as above. */
int kistd_end(struct kistd *kistd);

/* SIGKILL at this moment. Checks the log as well. */
void kistd_kill(struct kistd *kistd);

/* Kills it if it runs, deletes the directory. */
void kistd_remove(struct kistd *kistd);

/* Is there still a process? */
bool kistd_runs(const struct kistd *kistd);

size_t kistd_sockets(const struct kistd *kistd);
size_t kistd_descriptors(const struct kistd *kistd);
size_t kistd_rss_kib(const struct kistd *kistd);
size_t kistd_threads(const struct kistd *kistd);

/* Built with a sanitizer: memory and time say nothing then. */
bool kistd_is_sanitized(const struct kistd *kistd);

/* The stderr of the present start. Ends in blob_free(). */
struct blob kistd_log(const struct kistd *kistd);

#endif
