/*
 * batch_read - a batch's body, as JSON or NDJSON, to its operations.
 *
 * Threads: a pool thread, for a body may have many mebibytes.
 */
#ifndef KIST_API_BATCH_READ_H
#define KIST_API_BATCH_READ_H

#include "api/batch_operation.h"

enum batch_format {
    BATCH_JSON,   /* {"operations":[...]} */
    BATCH_NDJSON, /* An operation a line. */
};

struct batch_operations {
    struct batch_operation *list;
    size_t count;
    size_t capacity;
    size_t patch_bytes; /* Of JSON Patches as text; at most one value's. */
    size_t memory;      /* Bytes of heap they hold. */
};

/* Why the body as a whole is refused, for people. */
struct batch_fault {
    size_t offset; /* In the body. */
    const char *reason;
};

/*
 * Append body's operations; it must outlive them. KIST_INVALID: not JSON, or it
 * or one operation has another shape; *out_fault says where and why.
 * KIST_TOO_LARGE: more, or more patches, than settings allow. KIST_NO_MEMORY.
 * batch_operations_clear() in any case.
 */
KIST_CHECKED enum kist_status batch_read(struct view body,
                                         enum batch_format format,
                                         const struct settings *settings,
                                         struct batch_operations *out,
                                         struct batch_fault *out_fault);

void batch_operations_clear(struct batch_operations *operations);

#endif
