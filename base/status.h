/*
 * status - the one word every fallible call answers with.
 *
 * Code branches on the value; text for people is written where the fault is
 * first seen and does not travel.
 */
#ifndef KIST_BASE_STATUS_H
#define KIST_BASE_STATUS_H

#define KIST_CHECKED __attribute__((warn_unused_result))
#define KIST_PRINTF(format_at, first)                                          \
    __attribute__((format(printf, format_at, first)))

enum kist_status {
    KIST_OK = 0,
    KIST_NOT_FOUND, /* The key has no value. */
    KIST_CONFLICT,  /* A condition on the current version did not hold. */
    KIST_INVALID,   /* The input is wrong; retrying cannot help. */
    KIST_TOO_LARGE, /* A size limit was exceeded. */
    KIST_BUSY,      /* A queue or budget is full; retrying later can help. */
    KIST_STOPPING,  /* The process is shutting down. */
    KIST_DISK_FULL, /* No room: nothing of this call was written. */
    KIST_READ_ONLY, /* Writes are stopped until the engine is reopened. */
    KIST_UNKNOWN,   /* A write failed half-way: it may or may not survive. */
    KIST_CORRUPT,   /* Stored bytes failed their own checks. */
    KIST_IO,        /* The disk or the network said no. */
    KIST_NO_MEMORY,
};

/* A stable lower-case name, for logs and tests. Never NULL. */
const char *kist_status_name(enum kist_status status);

#endif
