#include "api/upload.h"

#include "api/import.h"
#include "api/media_type.h"
#include "api/reply.h"
#include "api/router.h"
#include "api/upload_file.h"
#include "replication/transport_curl.h"

#include <assert.h>
#include <string.h>

#define KIB UINT64_C(1024)

/* How much more is read of a body that turned out too large. */
#define DISCARD_MOST (1024 * KIB)
/* What a body gets at first. */
#define FIRST_PIECE (64 * KIB)

static bool may_be_json(struct view media_type)
{
    const char *end = media_type.size == 0
                          ? NULL
                          : memchr(media_type.data, ';', media_type.size);

    if (end != NULL)
        media_type.size = (size_t)(end - media_type.data);
    media_type = view_trim(media_type);
    return media_type.size == 0 ||
           view_is_ignoring_case(media_type, "application/json") ||
           view_is_ignoring_case(media_type,
                                 "application/x-www-form-urlencoded");
}

static void limit_body(struct exchange *exchange, const char *name,
                       uint64_t bytes)
{
    exchange->body_limit_name = name;
    exchange->body_limit = bytes;
}

void upload_limit(struct exchange *exchange)
{
    const struct settings *settings = exchange->request.api->settings;

    switch (exchange->request.route->body) {
    case BODY_NONE:
        limit_body(exchange, "", 0);
        break;
    case BODY_VALUE:
    case BODY_PIECE:
        if (may_be_json(exchange->request.headers[HEADER_CONTENT_TYPE]))
            limit_body(exchange, "max-json-bytes", settings->max_json_bytes);
        else
            limit_body(exchange, "max-value-bytes", settings->max_value_bytes);
        break;
    case BODY_PATCH:
        limit_body(exchange, "max-json-bytes", settings->max_json_bytes);
        break;
    case BODY_BATCH:
        limit_body(exchange, "max-batch-bytes", settings->max_batch_bytes);
        break;
    case BODY_FRAME:
        limit_body(exchange, "message", TRANSPORT_MESSAGE_MAX);
        break;
    case BODY_LINES:
        limit_body(exchange, "", UINT64_MAX);
        break;
    }
    if (exchange->request.route->body == BODY_VALUE ||
        exchange->request.route->body == BODY_LINES)
        return;
    if (exchange->request.route->body == BODY_PIECE &&
        exchange->body_limit > settings->max_batch_bytes)
        limit_body(exchange, "max-batch-bytes", settings->max_batch_bytes);
    if (exchange->body_limit > settings->body_memory_bytes)
        limit_body(exchange, "body-memory", settings->body_memory_bytes);
}

/* A forgotten type must not look like a limit for everything. */
static const char *hint_of(const struct exchange *exchange)
{
    struct view media_type = exchange->request.headers[HEADER_CONTENT_TYPE];

    switch (exchange->request.route->body) {
    case BODY_VALUE:
    case BODY_PIECE:
        return media_type_kind(media_type) == MEDIA_TYPE_UNSTATED
                   ? " Without a type it must be JSON. To store other bytes, "
                     "say what they are: curl -H 'Content-Type: "
                     "application/octet-stream' --data-binary @file."
                   : "";
    case BODY_NONE:
    case BODY_PATCH:
    case BODY_BATCH:
    case BODY_FRAME:
    case BODY_LINES:
        break;
    }
    return "";
}

void upload_refuse(struct exchange *exchange, enum kist_status status)
{
    struct request *request = &exchange->request;

    if (status != KIST_TOO_LARGE) {
        reply_problem(request, PROBLEM_BUSY,
                      "There is no room for the body now; body-memory and "
                      "the limit of open files bound it. Try again.");
        return;
    }
    reply_member_text(request, "limit_name",
                      view_of(exchange->body_limit_name));
    reply_member_number(request, "limit", exchange->body_limit);
    reply_problem(request, PROBLEM_BODY_TOO_LARGE,
                  "The body is larger than %s allows (%llu bytes).%s",
                  exchange->body_limit_name,
                  (unsigned long long)exchange->body_limit, hint_of(exchange));
}

void upload_drop(struct exchange *exchange)
{
    upload_file_close(exchange->file);
    exchange->file = NULL;
    import_close(exchange->import);
    exchange->import = NULL;
    blob_free(&exchange->body);
    budget_give_back(&exchange->http_loop->shared->upload_memory,
                     exchange->body_taken);
    exchange->body_taken = 0;
}

/* Doubling, from FIRST_PIECE on, but never beyond what was announced. */
static uint64_t next_capacity(const struct exchange *exchange, uint64_t needed)
{
    uint64_t capacity = 2 * exchange->body_taken;

    if (capacity < FIRST_PIECE)
        capacity = FIRST_PIECE;
    if (capacity < needed)
        capacity = needed;
    if (exchange->body_length > 0 && capacity > exchange->body_length)
        capacity = exchange->body_length;
    if (capacity > exchange->body_limit)
        capacity = exchange->body_limit;
    return capacity;
}

static enum kist_status make_room(struct exchange *exchange, size_t size)
{
    struct budget *memory = &exchange->http_loop->shared->upload_memory;
    uint64_t needed = exchange->body.size + size;

    if (needed <= exchange->body_taken)
        return KIST_OK;

    uint64_t capacity = next_capacity(exchange, needed);

    if (!budget_take(memory, capacity - exchange->body_taken))
        return KIST_BUSY;
    exchange->body_taken = capacity;
    return blob_reserve_exactly(&exchange->body, (size_t)capacity);
}

/*
 * libmicrohttpd takes no answer within a body, and a cut would leave the
 * client not knowing: what was announced and allowed may come to its end.
 */
static uint64_t discard_most(const struct exchange *exchange)
{
    return exchange->body_length > DISCARD_MOST ? exchange->body_length
                                                : DISCARD_MOST;
}

bool upload_is_large(const struct exchange *exchange)
{
    return exchange->request.route->body == BODY_VALUE &&
           exchange->body_length >
               exchange->request.api->settings->inline_bytes;
}

/* What comes from now on is read for the sake of the answer alone. */
static enum MHD_Result discard_rest(struct exchange *exchange)
{
    upload_drop(exchange);
    return exchange->state == EXCHANGE_BROKEN ? MHD_NO : MHD_YES;
}

static enum MHD_Result take_to_file(struct exchange *exchange,
                                    struct view bytes, size_t *out_left)
{
    if (upload_file_status(exchange->file) != KIST_OK) {
        exchange->state = EXCHANGE_DISCARDING;
        upload_file_refuse(exchange->file, &exchange->request);
        return discard_rest(exchange);
    }
    *out_left = bytes.size - upload_file_take(exchange->file, bytes);
    return MHD_YES;
}

static enum MHD_Result take_lines(struct exchange *exchange, struct view bytes,
                                  size_t *out_left)
{
    if (import_is_stopped(exchange->import)) {
        exchange->state = EXCHANGE_DISCARDING;
        import_refuse(exchange->import, &exchange->request);
        return discard_rest(exchange);
    }
    *out_left = bytes.size - import_take(exchange->import, bytes);
    return MHD_YES;
}

/* The body, of unknown length, has just grown too large for memory. */
static enum MHD_Result move_to_file(struct exchange *exchange,
                                    struct view bytes, size_t *out_left)
{
    const struct route *route = exchange->request.route;
    enum kist_status status = KIST_OK;

    exchange->state = EXCHANGE_DISCARDING;
    if (route->admit != NULL && !route->admit(&exchange->request))
        return discard_rest(exchange);
    status = upload_file_move(exchange);
    if (status != KIST_OK) {
        upload_refuse(exchange, status);
        return discard_rest(exchange);
    }
    exchange->state = EXCHANGE_BODY;
    return take_to_file(exchange, bytes, out_left);
}

static enum MHD_Result take(struct exchange *exchange, struct view bytes,
                            size_t *out_left)
{
    const struct settings *settings = exchange->request.api->settings;
    uint64_t size = exchange->consumed + bytes.size;
    enum kist_status status = KIST_TOO_LARGE;

    if (exchange->import != NULL)
        return take_lines(exchange, bytes, out_left);
    if (size <= exchange->body_limit) {
        if (exchange->file != NULL)
            return take_to_file(exchange, bytes, out_left);
        if (exchange->request.route->body == BODY_VALUE &&
            size > settings->inline_bytes)
            return move_to_file(exchange, bytes, out_left);
        status = make_room(exchange, bytes.size);
    }
    if (status == KIST_OK) {
        blob_append(&exchange->body, bytes);
        return MHD_YES;
    }
    exchange->state = EXCHANGE_DISCARDING;
    upload_refuse(exchange, status);
    return discard_rest(exchange);
}

static void count(struct exchange *exchange, uint64_t size)
{
    exchange->connection->received += size;
    exchange->connection->consumed += size;
    exchange->consumed += size;
    counter_add(&exchange->http_loop->shared->stats->received_bytes, size);
}

enum MHD_Result upload_take(struct exchange *exchange, struct view bytes,
                            size_t *out_left)
{
    enum MHD_Result result;

    *out_left = 0;
    if (exchange->state == EXCHANGE_DISCARDING) {
        count(exchange, bytes.size);
        exchange->discarded += bytes.size;
        return exchange->discarded > discard_most(exchange) ? MHD_NO : MHD_YES;
    }
    assert(exchange->state == EXCHANGE_BODY);
    result = take(exchange, bytes, out_left);
    count(exchange, bytes.size - *out_left);
    return result;
}
