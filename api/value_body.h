/*
 * value_body - a request's body as a value to store: which media type, which
 * JSON type, and whether it may be stored at all.
 */
#ifndef KIST_API_VALUE_BODY_H
#define KIST_API_VALUE_BODY_H

#include "api/json_check.h"
#include "api/request.h"
#include "base/json_type.h"

struct digest_check;

struct value_body {
    struct view media_type; /* Borrowed from the request, or static. */
    enum json_type type;
};

/*
 * Judge request->body by Content-Type and Content-Encoding. False: it cannot
 * be stored, and that was the reply.
 */
KIST_CHECKED bool value_body_check(struct request *request,
                                   struct value_body *out);

/*
 * The parts of that for a body which is not in memory: what can be told from
 * the head alone (false: it has replied), what the body then must be, and the
 * reply where it is not.
 */
KIST_CHECKED bool value_body_admit(struct request *request,
                                   struct view *out_media_type);

enum value_body_kind {
    VALUE_BODY_JSON,
    VALUE_BODY_GUESS, /* No type was stated: JSON, if it is JSON. */
    VALUE_BODY_BYTES,
};

enum value_body_kind value_body_kind(const struct request *request);

/* Nothing but JSON's white space, which is no JSON yet. */
bool value_body_is_blank(struct view text);

void value_body_refuse_blank(struct request *request, const char *what);
void value_body_refuse_json(struct request *request,
                            const struct json_fault *fault, const char *what);
void value_body_refuse_guess(struct request *request,
                             const struct json_fault *fault);

/*
 * What Content-Digest and Repr-Digest say about the body. Results as of
 * digest_check_new().
 */
KIST_CHECKED enum kist_status
value_body_digests(const struct request *request,
                   struct digest_check **out_check);
void value_body_refuse_digest(struct request *request);

/* A body that must be JSON, whatever its type is called: a patch, a batch. */
KIST_CHECKED bool value_body_check_json(struct request *request,
                                        const char *what);

#endif
