/*
 * request - one HTTP request on its loop, from its checked head to its answer.
 *
 * A handler runs once the whole body is there. It either replies before it
 * returns (api/reply.h), or keeps the request and replies later, on the same
 * loop: the request stays valid until it was replied to, abandoned or detached.
 *
 * Threads: everything here belongs to request->loop.
 */
#ifndef KIST_API_REQUEST_H
#define KIST_API_REQUEST_H

#include "base/bytes.h"
#include "base/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_POST,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_COUNT
};

/* The request headers that mean something to us; all others are ignored. */
enum request_header {
    HEADER_ACCEPT,
    HEADER_AUTHORIZATION, /* Of peers; clients have none yet. */
    HEADER_CACHE_CONTROL,
    HEADER_CONTENT_DIGEST,
    HEADER_CONTENT_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_IF_MATCH,
    HEADER_IF_NONE_MATCH,
    HEADER_IF_RANGE,
    HEADER_KIST_AFTER,
    HEADER_KIST_EXPIRES,
    HEADER_KIST_VERSION,
    HEADER_PREFER,
    HEADER_RANGE,
    HEADER_REPR_DIGEST,
    HEADER_REQUEST_ID,
    HEADER_TRACEPARENT,
    HEADER_WANT_CONTENT_DIGEST,
    HEADER_WANT_REPR_DIGEST,
    HEADER_COUNT
};

/* The query parameters that some route understands (api/router.c). */
enum parameter {
    PARAMETER_ATOMIC,
    PARAMETER_BY,
    PARAMETER_CONFIRM,
    PARAMETER_COUNT_ONLY, /* count= */
    PARAMETER_CURSOR,
    PARAMETER_DELETED,
    PARAMETER_DELIMITER,
    PARAMETER_DRY_RUN,
    PARAMETER_DURABILITY,
    PARAMETER_END,
    PARAMETER_KEY,
    PARAMETER_LIMIT,
    PARAMETER_MODE,
    PARAMETER_OP,
    PARAMETER_PLAN,
    PARAMETER_PREFIX,
    PARAMETER_PTR,
    PARAMETER_REVERSE,
    PARAMETER_START,
    PARAMETER_TTL,
    PARAMETER_VALUES,
    PARAMETER_VERBOSE,
    PARAMETER_N, /* n, r, w: of a cluster; on one node only 1 is possible. */
    PARAMETER_R,
    PARAMETER_W,
    PARAMETERS
};

/* "count" for PARAMETER_COUNT_ONLY. */
const char *parameter_name(enum parameter parameter);

struct api;      /* api/api.h: what all handlers share. */
struct api_loop; /* api/api.h: what the handlers of one loop share. */
struct route;    /* api/router.h */
struct exchange; /* api/exchange.c: the libmicrohttpd side. */
struct upload_file;

struct request {
    struct api *api;
    struct api_loop *api_loop;
    struct loop *loop;
    const struct route *route;
    enum method method;

    /* Borrowed until the reply; data is NULL where absent. */
    struct view headers[HEADER_COUNT];  /* Trimmed. */
    struct view parameters[PARAMETERS]; /* Percent-decoded, may be empty. */
    struct view key;                    /* Decoded and checked, on /kv/<key>. */
    struct view body; /* Whole; the handler may take it: request_take_body. */
    struct upload_file *file; /* Or a large body is here (api/upload_file.h). */
    struct view id;           /* Request-Id as given, or drawn. */

    /*
     * Set by the handler once something of the request was written: from then
     * on the answer goes out, whatever memory is left.
     */
    bool applied;

    bool was_gone; /* A value's file was, and its record is read once more. */

    /* Cache-Status of the answer, a literal; NULL: no value was read. */
    const char *cache_status;

    uint64_t started_ns; /* When the head was complete. */
    struct exchange *exchange;

    /* A handler's own state while it waits; freed with the request. */
    void *work;
    void (*work_free)(void *work);

    /*
     * A handler that waits for something which may never come (a change of a
     * key) sets this. It is called at most once, when the node stops or the
     * client is gone: the handler forgets the request and must not reply any
     * more. Without it the request is waited for (a commit in flight).
     */
    void (*abandon)(struct request *request);

    /*
     * A handler whose work can go on without the request sets this before it
     * returns; the connection need not be suspended then, which saves system
     * calls. It is called at most once, if the connection breaks: the work is
     * the handler's own from then on, and there is nobody to reply to.
     */
    void (*detach)(struct request *request);
};

/*
 * The body's memory, from now on the caller's: ends in blob_free(). It counts
 * against --body-memory until the request ends.
 */
struct blob request_take_body(struct request *request);

/*
 * The client closed its side, or the connection broke: what takes long is
 * not worth going on with. A system call; ask now and then.
 */
bool request_is_deserted(const struct request *request);

static inline bool request_has(const struct request *request,
                               enum parameter parameter)
{
    return request->parameters[parameter].data != NULL;
}

#endif
