/*
 * batch_operation - one line or element of a batch: JSON to a write.
 *
 *     {"op":"put","key":"a","value":{...},"ttl":60,"if_absent":true}
 *     {"op":"put","key":"b","base64":"...","media_type":"image/png"}
 *     {"op":"get","key":"c"}      {"op":"delete","key":"d","if_version":"..."}
 *     {"op":"patch","key":"e","merge":{...}}   or "patch":[...]
 *     {"op":"incr","key":"f","by":5}
 *
 * Threads: reading runs on a pool thread, the edit on the commit thread.
 */
#ifndef KIST_API_BATCH_OPERATION_H
#define KIST_API_BATCH_OPERATION_H

#include "api/edit.h"

struct settings;

struct batch_operation {
    struct view key; /* In text or memory; empty: it could not be read. */
    struct edit edit;
    struct record put; /* EDIT_NONE: what write.next becomes. */
    struct condition condition;
    struct blob memory; /* Strings that had to be decoded. */

    /* It cannot be run as it is written: this is its result. */
    bool refused;
    enum problem problem;
    const char *detail; /* Static. */
};

/*
 * Read one object of checked JSON, which must outlive the operation. What is
 * wrong with it becomes a refusal. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status
batch_operation_read(struct batch_operation *operation, struct view json,
                     const struct settings *settings, uint64_t now_ms);

/* Bytes of heap it holds beside itself. */
size_t batch_operation_memory(const struct batch_operation *operation);

void batch_operation_clear(struct batch_operation *operation);

bool batch_operation_is_read(const struct batch_operation *operation);

/* Make *write do it. operation and its text are kept until it is done. */
void batch_operation_prepare(struct batch_operation *operation,
                             struct write *write);

/* Append the result object of a write that is done, or was refused. */
void batch_operation_append_result(const struct batch_operation *operation,
                                   const struct write *write, struct blob *out);

/* Which problem a failed operation has; *out_detail is for people. */
enum problem batch_operation_problem(const struct batch_operation *operation,
                                     const struct write *write,
                                     const char **out_detail);

#endif
