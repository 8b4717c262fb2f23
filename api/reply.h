/*
 * reply - the one answer of a request.
 *
 * reply_header() and reply_member() may be called before; then exactly one of
 * the other calls ends the request, which must not be touched afterwards.
 * They are called on the request's loop, in the handler or later.
 */
#ifndef KIST_API_REPLY_H
#define KIST_API_REPLY_H

#include "api/problem.h"
#include "api/request.h"
#include "base/bytes.h"

/* Add a header (name is a literal). Value: printf, at most 1 KiB, no CR LF. */
void reply_header(struct request *request, const char *name, const char *format,
                  ...) KIST_PRINTF(3, 4);

/* The same with a text as it is, which is copied: no NUL, no CR LF. */
void reply_header_text(struct request *request, const char *name,
                       struct view value);

/* The same with a value that is a literal, too. */
void reply_header_literal(struct request *request, const char *name,
                          const char *value);

/* Allow, with what route_find() said the path takes. */
void reply_allow(struct request *request);

/* To a client that is gone: the connection is cut. */
void reply_nothing(struct request *request);

/* 304 takes reply_bytes() instead: its length is not 0. */
void reply_empty(struct request *request, unsigned code);

/*
 * body lies in what *hold keeps, which is taken, also on failure, and released
 * when the last byte is sent. On HEAD the headers go out as for GET, on 304
 * those without the type, and it is released at once. It counts against
 * --body-memory above 64 KiB; if there is none, the answer is 503, except to a
 * request that is applied. Adds nosniff and Content-Security-Policy: sandbox,
 * since the bytes and their type may be a client's.
 */
void reply_held(struct request *request, unsigned code, const char *media_type,
                struct hold *hold, struct view body);

/* The same with a blob, which is taken, too. */
void reply_bytes(struct request *request, unsigned code, const char *media_type,
                 struct blob *owner, struct view body);

/*
 * The same with count bytes of a file, from first on. Takes descriptor, also
 * on failure; on HEAD and 304 it may be -1. Nothing of it is kept in memory.
 */
void reply_file(struct request *request, unsigned code, const char *media_type,
                int descriptor, uint64_t first, uint64_t count);

/* A static text that outlives the server. */
void reply_static(struct request *request, unsigned code,
                  const char *media_type, struct view body);

/*
 * Bytes made while they are sent, in constant memory. fill() runs on a pool
 * thread, one call at a time, and appends the next piece (some tens of KiB);
 * an empty piece is the end, a failure cuts the connection so that the client
 * sees an incomplete body. free() ends the stream, also after a disconnect.
 */
struct stream {
    /* One of these two; the other is NULL. */
    enum kist_status (*fill)(struct stream *stream, struct blob *piece);
    /* The same without a thread that blocks: begins on the loop, and when the
     * piece is there, at once or later and also on the loop, calls filled. */
    void (*start)(struct stream *stream, struct blob *piece);
    void (*free)(struct stream *stream);
    uint64_t size; /* Of all pieces together; 0: nobody knows. */

    /* For start; set by reply_stream(). */
    void (*filled)(struct stream *stream, enum kist_status status);
    void *feed;
};

void reply_stream(struct request *request, unsigned code,
                  const char *media_type, struct stream *stream);

/*
 * A problem document. detail says what to do. On a route that writes, the
 * member "outcome" is "not_applied", for PROBLEM_OUTCOME_UNKNOWN "unknown".
 * Adds Retry-After to 503. PROBLEM_METHOD_NOT_ALLOWED adds Allow.
 */
void reply_problem(struct request *request, enum problem problem,
                   const char *detail, ...) KIST_PRINTF(3, 4);

/* The problem that a status of the lower layers is; never of KIST_OK. */
enum problem reply_problem_of(enum kist_status status);

/* What to do about it, the second half of a sentence. */
const char *reply_advice_on(enum kist_status status);

/* The document alone, appended: check document->failed. */
void reply_document(struct request *request, enum problem problem,
                    struct view detail, struct blob *document);

/* The same as reply_problem() for a status of the lower layers; `what` begins
 * the detail. */
void reply_status(struct request *request, enum kist_status status,
                  const char *what);

/* Members of the problem document that follows ("limit": 1024). */
void reply_member_number(struct request *request, const char *name,
                         uint64_t number);
void reply_member_text(struct request *request, const char *name,
                       struct view text);

#endif
