/*
 * patch - PATCH /kv/<key>: change parts of a JSON value.
 *
 * The patch is checked here, when it arrives. What it does to the value is
 * decided in api/edit.c, on the commit thread when its turn has come.
 */
#include "api/handlers.h"

#include "api/entity.h"
#include "api/key_write.h"
#include "api/media_type.h"
#include "api/preconditions.h"
#include "api/prefer.h"
#include "api/reply.h"
#include "api/value_body.h"

#define MERGE_PATCH "application/merge-patch+json"
#define JSON_PATCH  "application/json-patch+json"

/* Prefer: return=representation */
static void reply_value(struct key_write *patch)
{
    reply_header(patch->request, "Preference-Applied", "return=representation");
    key_write_reply_value(patch, 200, JSON_MEDIA_TYPE, patch->edit.seen.type,
                          &patch->edit.result);
}

static void reply_malformed(struct request *request, enum kist_status status,
                            const struct json_patch_fault *fault)
{
    if (fault->operation != JSON_PATCH_WHOLE)
        reply_member_number(request, "operation", fault->operation);
    reply_member_number(request, "offset", fault->offset);
    reply_problem(request,
                  status == KIST_INVALID ? PROBLEM_INVALID_JSON
                                         : PROBLEM_BODY_TOO_LARGE,
                  "The body is not a JSON Patch that kist applies: %s, at "
                  "byte %zu.",
                  fault->reason, fault->offset);
}

/* False: the body is no JSON Patch, and that was the reply. */
static bool parse_operations(struct key_write *patch)
{
    struct json_patch_fault fault;
    enum kist_status status =
        json_patch_parse(blob_view(&patch->body), &patch->edit.patch, &fault);

    if (status == KIST_INVALID || status == KIST_TOO_LARGE)
        reply_malformed(patch->request, status, &fault);
    else if (status != KIST_OK)
        reply_status(patch->request, status, "The patch could not be read");
    return status == KIST_OK;
}

static void reply_media_type(struct request *request)
{
    reply_header(request, "Accept-Patch", MERGE_PATCH ", " JSON_PATCH);
    reply_problem(request, PROBLEM_MEDIA_TYPE,
                  "A patch is sent as " MERGE_PATCH " or " JSON_PATCH ".");
}

void patch_key(struct request *request)
{
    struct view content_type = request->headers[HEADER_CONTENT_TYPE];
    bool merges = media_type_is(content_type, MERGE_PATCH);
    struct key_write *patch;

    if (!merges && !media_type_is(content_type, JSON_PATCH)) {
        reply_media_type(request);
        return;
    }
    if (!value_body_check_json(request, "The patch"))
        return;
    patch = key_write_new(request);
    if (patch == NULL ||
        !preconditions_expiry(request, patch->now_ms, &patch->edit.expiry_ms))
        return;

    patch->body = request_take_body(request);
    patch->edit.kind = merges ? EDIT_MERGE_PATCH : EDIT_JSON_PATCH;
    patch->edit.body = blob_view(&patch->body);
    if (!merges && !parse_operations(patch))
        return;
    if (prefer_read(request->headers[HEADER_PREFER]).representation)
        patch->applied = reply_value;
    key_write_submit(patch);
}
