/*
 * value_body - a request's body as a value to store: which media type, which
 * JSON type, and whether it may be stored at all.
 */
#ifndef KIST_API_VALUE_BODY_H
#define KIST_API_VALUE_BODY_H

#include "base/json_type.h"
#include "api/request.h"

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

/* A body that must be JSON, whatever its type is called: a patch, a batch. */
KIST_CHECKED bool value_body_check_json(struct request *request,
                                        const char *what);

#endif
