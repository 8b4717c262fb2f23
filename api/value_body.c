#include "api/value_body.h"

#include "api/digest.h"
#include "api/entity.h"
#include "api/json_check.h"
#include "api/media_type.h"
#include "api/reply.h"

void value_body_refuse_json(struct request *request,
                            const struct json_fault *fault, const char *what)
{
    reply_member_number(request, "offset", fault->offset);
    reply_problem(request, PROBLEM_INVALID_JSON,
                  "%s is not JSON that kist stores: %s, at byte %zu.", what,
                  fault->reason, fault->offset);
}

void value_body_refuse_blank(struct request *request, const char *what)
{
    reply_problem(request, PROBLEM_EMPTY_BODY,
                  "%s is empty. Send a JSON value, or another Content-Type.",
                  what);
}

void value_body_refuse_guess(struct request *request,
                             const struct json_fault *fault)
{
    reply_problem(request, PROBLEM_MEDIA_TYPE,
                  "The body is not JSON (%s, at byte %zu). To store other "
                  "bytes, say what they are: curl -H 'Content-Type: "
                  "application/octet-stream' --data-binary @file.",
                  fault->reason, fault->offset);
}

bool value_body_is_blank(struct view text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] != ' ' && text.data[i] != '\t' &&
            text.data[i] != '\n' && text.data[i] != '\r')
            return false;
    return true;
}

enum kist_status value_body_digests(const struct request *request,
                                    struct digest_check **out_check)
{
    return digest_check_new(request->headers[HEADER_CONTENT_DIGEST],
                            request->headers[HEADER_REPR_DIGEST], out_check);
}

void value_body_refuse_digest(struct request *request)
{
    reply_problem(request, PROBLEM_DIGEST_MISMATCH,
                  "The body is not what its digest says. Send it again.");
}

static bool check_encoding(struct request *request)
{
    struct view encoding = request->headers[HEADER_CONTENT_ENCODING];

    if (encoding.data == NULL || view_is_ignoring_case(encoding, "identity"))
        return true;
    reply_problem(request, PROBLEM_MEDIA_TYPE,
                  "Send the body without Content-Encoding; kist stores bytes "
                  "as they are.");
    return false;
}

static bool check_json(struct request *request, const char *what,
                       enum json_type *out_type)
{
    struct json_fault fault;
    enum kist_status status;

    if (value_body_is_blank(request->body)) {
        value_body_refuse_blank(request, what);
        return false;
    }
    status = json_check(request->body, &fault, out_type);
    if (status == KIST_INVALID)
        value_body_refuse_json(request, &fault, what);
    else if (status != KIST_OK)
        reply_status(request, status, "The body could not be checked");
    return status == KIST_OK;
}

/* No type, or curl's form type: JSON if it is JSON. */
static bool guess(struct request *request, struct value_body *out)
{
    struct json_fault fault;
    enum kist_status status;

    if (value_body_is_blank(request->body))
        return check_json(request, "The body", &out->type); /* Refused. */
    status = json_check(request->body, &fault, &out->type);
    if (status == KIST_INVALID)
        value_body_refuse_guess(request, &fault);
    else if (status != KIST_OK)
        reply_status(request, status, "The body could not be checked");
    return status == KIST_OK;
}

enum value_body_kind value_body_kind(const struct request *request)
{
    switch (media_type_kind(request->headers[HEADER_CONTENT_TYPE])) {
    case MEDIA_TYPE_UNSTATED:
        return VALUE_BODY_GUESS;
    case MEDIA_TYPE_JSON:
        return VALUE_BODY_JSON;
    case MEDIA_TYPE_OTHER:
    case MEDIA_TYPE_NOT_UTF8:
    case MEDIA_TYPE_INVALID:
        break;
    }
    return VALUE_BODY_BYTES;
}

bool value_body_admit(struct request *request, struct view *out_media_type)
{
    struct view header = request->headers[HEADER_CONTENT_TYPE];

    *out_media_type = VIEW_LITERAL(JSON_MEDIA_TYPE);
    if (!check_encoding(request))
        return false;
    switch (media_type_kind(header)) {
    case MEDIA_TYPE_UNSTATED:
    case MEDIA_TYPE_JSON:
        return true;
    case MEDIA_TYPE_OTHER:
        *out_media_type = header;
        return true;
    case MEDIA_TYPE_NOT_UTF8:
        reply_problem(request, PROBLEM_MEDIA_TYPE,
                      "JSON is UTF-8 here: send it so, without a charset.");
        return false;
    case MEDIA_TYPE_INVALID:
        break;
    }
    reply_problem(request, PROBLEM_INVALID_HEADER,
                  "Content-Type takes type/subtype and parameters, at most "
                  "%d bytes.",
                  RECORD_MEDIA_TYPE_MAX);
    return false;
}

bool value_body_check(struct request *request, struct value_body *out)
{
    out->type = JSON_NONE;
    if (!value_body_admit(request, &out->media_type))
        return false;
    switch (value_body_kind(request)) {
    case VALUE_BODY_GUESS:
        return guess(request, out);
    case VALUE_BODY_JSON:
        return check_json(request, "The body", &out->type);
    case VALUE_BODY_BYTES:
        break;
    }
    return true;
}

bool value_body_check_json(struct request *request, const char *what)
{
    enum json_type type;

    return check_encoding(request) && check_json(request, what, &type);
}
