/*
 * put - PUT /kv/<key>: store the body as the key's value.
 *
 * A large body is in a file by the time the handler runs (api/upload_file.h):
 * the file is finished first, then the record that refers to it is written
 * like any other. Until that write has succeeded the file is the request's. In
 * a cluster the owners of the key fetch it from here, and it is the write's.
 */
#include "api/handlers.h"

#include "api/api.h"
#include "api/copies.h"
#include "api/digest.h"
#include "api/entity.h"
#include "api/exchange.h"
#include "api/key_quorum.h"
#include "api/key_write.h"
#include "api/large_value.h"
#include "api/preconditions.h"
#include "api/prefer.h"
#include "api/reply.h"
#include "api/upload_file.h"
#include "api/value_body.h"
#include "base/clock.h"
#include "storage/store.h"

#include <inttypes.h>
#include <string.h>

/* Prefer: return=representation */
static void reply_value(struct key_write *put)
{
    reply_header(put->request, "Preference-Applied", "return=representation");
    key_write_reply_value(put, 200, put->media_type, put->write.next.type,
                          &put->body);
}

/*
 * The same from the file; who comes in between may have replaced it again, or
 * there may be no descriptor for it. Then it is as if nothing was preferred.
 */
static void reply_file_value(struct key_write *put)
{
    struct request *request = put->request;
    const struct record *record = &put->write.next;
    int descriptor;

    if (!exchange_take_file(request->exchange) ||
        large_value_open(request->api->store, record, &descriptor) != KIST_OK) {
        key_write_reply_empty(put);
        return;
    }
    reply_header(request, "Preference-Applied", "return=representation");
    key_write_reply_file(put, put->media_type, record, descriptor);
}

/* The digest headers; *out_check is NULL without any. */
static bool read_digests(struct request *request,
                         struct digest_check **out_check)
{
    enum kist_status status = value_body_digests(request, out_check);

    if (status == KIST_INVALID)
        reply_problem(request, PROBLEM_INVALID_HEADER,
                      "Content-Digest and Repr-Digest take digests as RFC 9530 "
                      "has them, such as sha-256=:<base64>:.");
    else if (status != KIST_OK)
        reply_status(request, status, "The value was not written");
    return status == KIST_OK;
}

static bool digests_hold(struct request *request)
{
    struct digest_check *check;
    bool hold = true;

    if (!read_digests(request, &check))
        return false;
    if (check != NULL) {
        digest_check_add(check, request->body);
        hold = digest_check_holds(check);
    }
    digest_check_free(check);
    if (!hold)
        value_body_refuse_digest(request);
    return hold;
}

/* A condition that is false now: the commit decides about all others. */
static bool may_hold(struct request *request, const struct condition *condition)
{
    struct version version = VERSION_NONE;
    const struct record *living = NULL;
    struct item item = {0};
    enum kist_status status;
    bool holds;

    if (condition->kind == CONDITION_NONE)
        return true;
    if (request->api_loop->seat != NULL) {
        key_write_reply_needs_strong(request, KEY_WRITE_CONDITION);
        return false;
    }
    status = store_get(request->api->store, request->key, &item);
    if (status != KIST_OK && status != KIST_NOT_FOUND)
        return true;
    if (status == KIST_OK && !record_is_dead(&item.record, clock_wall_ms())) {
        living = &item.record;
        version = living->version;
    }
    holds = condition_holds(condition, living);
    item_free(&item);
    if (!holds)
        key_write_reply_conflict(request, version);
    return holds;
}

/* Large values lie in files, and files are not kept in Redis. */
static bool may_be_large(struct request *request)
{
    uint64_t limit = request->api->settings->inline_bytes;

    if (request->api->redis == NULL)
        return true;
    reply_member_number(request, "limit", limit);
    reply_problem(request, PROBLEM_BODY_TOO_LARGE,
                  "In Redis a value has at most %" PRIu64
                  " bytes (--inline-bytes).",
                  limit);
    return false;
}

bool put_admit(struct request *request)
{
    struct condition condition;
    struct digest_check *check;
    struct view media_type;
    enum engine_sync sync;
    uint64_t expiry_ms;
    struct copies copies;
    enum kist_status status;

    if (!value_body_admit(request, &media_type) ||
        !copies_read(request, &copies) || !read_digests(request, &check))
        return false;
    digest_check_free(check);
    if (!preconditions_hold(request) || !preconditions_sync(request, &sync) ||
        !preconditions_condition(request, &condition) ||
        !preconditions_expiry(request, clock_wall_ms(), &expiry_ms) ||
        !may_be_large(request))
        return false;
    status = store_writable(request->api->store);
    if (status != KIST_OK) {
        reply_status(request, status, "The value was not written");
        return false;
    }
    return may_hold(request, &condition);
}

static struct key_write *begin(struct request *request, struct view media_type)
{
    struct key_write *put = key_write_new(request);
    uint64_t expiry_ms;

    if (put == NULL || !preconditions_expiry(request, put->now_ms, &expiry_ms))
        return NULL;
    memcpy(put->media_type, media_type.data, media_type.size);
    put->write.next = (struct record){
        .expiry_ms = expiry_ms,
        .media_type = {put->media_type, media_type.size},
    };
    return put;
}

static bool wants_value(const struct request *request)
{
    return prefer_read(request->headers[HEADER_PREFER]).representation;
}

static void settle_file(struct key_write *put, enum kist_status status)
{
    if (status == KIST_OK || status == KIST_UNKNOWN)
        upload_file_keep(put->request->file);
}

static void file_finished(struct request *request)
{
    struct key_write *put = request->work;

    if (upload_file_status(request->file) != KIST_OK) {
        upload_file_refuse(request->file, request);
        return;
    }
    put->write.next.large = true;
    /* Which may be needed for longer than the request. */
    blob_append(&put->body, upload_file_reference(request->file));
    if (put->body.failed) {
        reply_status(request, KIST_NO_MEMORY, "The value was not written");
        return;
    }
    put->write.next.value = blob_view(&put->body);
    put->write.next.type = upload_file_json_type(request->file);
    if (put->quorum != NULL)
        upload_file_keep(request->file); /* Now it is the write's. */
    else
        put->settled = settle_file;
    if (wants_value(request))
        put->applied = reply_file_value;
    key_write_submit(put);
}

static void put_file(struct request *request)
{
    struct large_reference name;
    struct view media_type;
    struct key_write *put = NULL;

    if (value_body_admit(request, &media_type))
        put = begin(request, media_type);
    if (put == NULL)
        return;
    if (put->quorum != NULL)
        name = key_quorum_file_name(put);
    upload_file_finish(request->file, put->quorum != NULL ? &name : NULL,
                       file_finished);
}

void put_key(struct request *request)
{
    struct value_body value;
    struct key_write *put;

    if (request->file != NULL) {
        put_file(request);
        return;
    }
    if (!value_body_check(request, &value) || !digests_hold(request))
        return;
    put = begin(request, value.media_type);
    if (put == NULL)
        return;
    put->body = request_take_body(request);
    put->write.next.type = value.type;
    put->write.next.value = blob_view(&put->body);
    if (wants_value(request))
        put->applied = reply_value;
    key_write_submit(put);
}
