/*
 * problem - every way a request can fail, as one table (RFC 9457).
 *
 * The slug is the last part of the problem's stable `type`; a test compares
 * this table with openapi.yaml.
 */
#ifndef KIST_API_PROBLEM_H
#define KIST_API_PROBLEM_H

#include "base/bytes.h"
#include "base/status.h"

enum problem {
    PROBLEM_MALFORMED_REQUEST,  /* 400: framing, syntax, encoding */
    PROBLEM_INVALID_KEY,        /* 400 */
    PROBLEM_INVALID_PARAMETER,  /* 400: query: unknown, twice, bad value */
    PROBLEM_INVALID_HEADER,     /* 400 */
    PROBLEM_INVALID_JSON,       /* 400: value, patch or batch document */
    PROBLEM_DIGEST_MISMATCH,    /* 400: the body is not what was announced */
    PROBLEM_EMPTY_BODY,         /* 400 */
    PROBLEM_NOT_FOUND,          /* 404: the key has no value */
    PROBLEM_NO_SUCH_PATH,       /* 404: the path is not served */
    PROBLEM_NO_SUCH_PART,       /* 404: ?ptr= points at nothing */
    PROBLEM_NO_PLAN,            /* 404: no change of the members */
    PROBLEM_METHOD_NOT_ALLOWED, /* 405, with Allow */
    PROBLEM_NOT_ACCEPTABLE,     /* 406 */
    PROBLEM_TIMEOUT,            /* 408: the request took too long to arrive */
    PROBLEM_WRONG_TYPE,         /* 409: the value is not what the op needs */
    PROBLEM_PATCH_TEST_FAILED,  /* 409 */
    PROBLEM_COUNT_CHANGED,      /* 409: confirm= is not the count */
    PROBLEM_CLOCK,              /* 409: a version from the far future */
    PROBLEM_NEEDS_STRONG,       /* 409: not what copies can decide */
    PROBLEM_CHANGE_PENDING,     /* 409: of the members; one at a time */
    PROBLEM_PLAN_OUTDATED,      /* 409: the ring is not what it was */
    PROBLEM_CONDITION_FAILED,   /* 412, with the current ETag */
    PROBLEM_BODY_TOO_LARGE,     /* 413 */
    PROBLEM_KEY_TOO_LONG,       /* 414 */
    PROBLEM_MEDIA_TYPE,         /* 415 */
    PROBLEM_RANGE,              /* 416, with Content-Range */
    PROBLEM_UNPROCESSABLE,      /* 422: understood but impossible */
    PROBLEM_CONFIRM_REQUIRED,   /* 428: DELETE /kv without confirm= */
    PROBLEM_HEAD_TOO_LARGE,     /* 431 */
    PROBLEM_CORRUPT,            /* 500: stored bytes failed their checksum */
    PROBLEM_INTERNAL,           /* 500 */
    PROBLEM_NOT_IMPLEMENTED,    /* 501: transfer coding, unknown method */
    PROBLEM_BUSY,            /* 503, Retry-After: a queue or budget is full */
    PROBLEM_STOPPING,        /* 503, Retry-After */
    PROBLEM_UNAVAILABLE,     /* 503, Retry-After: the engine is reopening */
    PROBLEM_TOO_FEW,         /* 503, Retry-After: copies that answer */
    PROBLEM_OUTCOME_UNKNOWN, /* 504: a write failed half-way */
    PROBLEM_VERSION,         /* 505: not HTTP/1.0 or 1.1 */
    PROBLEM_DISK_FULL,       /* 507 */
    PROBLEM_COUNT
};

struct problem_row {
    const char *slug;  /* "invalid-key" */
    const char *title; /* "The key is not allowed" */
    unsigned code;
};

const struct problem_row *problem_row(enum problem problem);

/* "urn:kist:problem:" before the slug makes the type. */
#define PROBLEM_TYPE_PREFIX "urn:kist:problem:"

#endif
