/* get - GET and HEAD /kv/<key>: the value, a part of it, or when it changes. */
#include "api/handlers.h"

#include "api/accept.h"
#include "api/api.h"
#include "api/cache_status.h"
#include "api/entity.h"
#include "api/etag.h"
#include "api/json_pointer.h"
#include "api/json_text.h"
#include "api/preconditions.h"
#include "api/prefer.h"
#include "api/range.h"
#include "api/reply.h"
#include "api/wait.h"
#include "base/clock.h"
#include "storage/store.h"

#include <inttypes.h>
#include <string.h>

/* Most never expire, and need no look at the clock. */
static bool is_dead(const struct record *record)
{
    return record_is_dead(record, record->expiry_ms == 0 ? 0 : clock_wall_ms());
}

/* The living record; KIST_NOT_FOUND also for a dead one. */
static enum kist_status read_living(struct request *request,
                                    struct item *out_item)
{
    enum kist_status status = cache_status_read(request, out_item);

    if (status == KIST_OK && is_dead(&out_item->record)) {
        item_free(out_item);
        status = KIST_NOT_FOUND;
    }
    return status;
}

static void reply_absent(struct request *request,
                         const struct condition *condition)
{
    if (condition_holds(condition, NULL))
        reply_problem(request, PROBLEM_NOT_FOUND, "The key has no value.");
    else
        reply_problem(request, PROBLEM_CONDITION_FAILED,
                      "The key has no value, and If-Match asks for one.");
}

/* Accept: application/vnd.kist.entry+json */
static void reply_entry(struct request *request, unsigned code,
                        struct item *item)
{
    struct blob body = BLOB_EMPTY;

    entity_append_item(&body, request->key, &item->record, ENTITY_WITH_VALUE);
    entity_headers(request, &item->record);
    item_free(item);
    if (body.failed) {
        blob_free(&body);
        reply_status(request, KIST_NO_MEMORY, "The entry was not read");
        return;
    }
    reply_bytes(request, code, ENTITY_MEDIA_TYPE, &body, blob_view(&body));
}

/* ?ptr=/a/0 */
static void reply_part(struct request *request, unsigned code,
                       struct item *item)
{
    struct view pointer = request->parameters[PARAMETER_PTR];
    struct view part = {0};
    enum kist_status status = KIST_INVALID;

    if (item->record.type == JSON_NONE) {
        item_free(item);
        reply_problem(request, PROBLEM_WRONG_TYPE,
                      "ptr reads a part of JSON, and this value is stored as "
                      "other bytes.");
        return;
    }
    status = json_pointer_find(item->record.value, pointer, &part);
    if (status == KIST_OK) {
        item->record.type = json_text_type(part);
        entity_headers(request, &item->record);
        reply_held(request, code, JSON_MEDIA_TYPE, &item->hold, part);
        return;
    }
    item_free(item);
    if (status == KIST_INVALID)
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "ptr takes a JSON Pointer, such as /items/0/name; ~ is "
                      "~0 and / is ~1 in a name.");
    else if (status == KIST_NOT_FOUND)
        reply_problem(request, PROBLEM_NO_SUCH_PART,
                      "The value has nothing at this pointer.");
    else
        reply_status(request, status, "The part was not read");
}

static enum range_kind find_range(const struct request *request,
                                  const struct record *record,
                                  uint64_t *out_first, uint64_t *out_count)
{
    struct view if_range = request->headers[HEADER_IF_RANGE];
    struct version version;

    if (request->method != METHOD_GET)
        return RANGE_WHOLE;
    if (if_range.data != NULL && (!etag_read_one(if_range, &version) ||
                                  !version_equal(version, record->version)))
        return RANGE_WHOLE;
    return range_read(request->headers[HEADER_RANGE], record->value.size,
                      out_first, out_count);
}

static void reply_value(struct request *request, unsigned code,
                        struct item *item)
{
    struct record *record = &item->record;
    uint64_t first = 0, count = record->value.size;
    enum range_kind range = RANGE_WHOLE;
    char media_type[RECORD_MEDIA_TYPE_MAX + 1];

    if (code == 200)
        range = find_range(request, record, &first, &count);
    switch (range) {
    case RANGE_WHOLE:
        break;
    case RANGE_PART:
        code = 206;
        reply_header(request, "Content-Range",
                     "bytes %" PRIu64 "-%" PRIu64 "/%zu", first,
                     first + count - 1, record->value.size);
        break;
    case RANGE_UNSATISFIABLE:
        reply_header(request, "Content-Range", "bytes */%zu",
                     record->value.size);
        reply_member_number(request, "size", record->value.size);
        item_free(item);
        reply_problem(request, PROBLEM_RANGE,
                      "The range begins behind the end of the value.");
        return;
    }
    entity_headers(request, record);
    reply_header_literal(request, "Accept-Ranges", "bytes");
    memcpy(media_type, record->media_type.data, record->media_type.size);
    media_type[record->media_type.size] = '\0';
    reply_held(request, code, media_type, &item->hold,
               (struct view){record->value.data + first, (size_t)count});
}

/* Only by name: curl's Accept of anything means the value itself. */
static bool wants_entry(const struct request *request)
{
    struct view accept = request->headers[HEADER_ACCEPT];

    return accept.size > 0 &&
           memmem(accept.data, accept.size, ENTITY_MEDIA_TYPE,
                  strlen(ENTITY_MEDIA_TYPE)) != NULL &&
           accept_quality(accept, ENTITY_MEDIA_TYPE) > 0;
}

static void reply_condition_failed(struct request *request, struct item *item)
{
    entity_version_headers(request, item->record.version);
    item_free(item);
    reply_problem(request, PROBLEM_CONDITION_FAILED,
                  "The value has another version, see ETag.");
}

static void reply_item(struct request *request, struct item *item,
                       const struct condition *condition)
{
    unsigned code = condition_holds(condition, &item->record) ? 200 : 304;

    if (code == 304 && condition->kind != CONDITION_ABSENT &&
        condition->kind != CONDITION_NONE_OF)
        reply_condition_failed(request, item);
    else if (request_has(request, PARAMETER_PTR))
        reply_part(request, code, item);
    else if (wants_entry(request))
        reply_entry(request, code, item);
    else
        reply_value(request, code, item);
}

static void reply_read(struct request *request, enum kist_status status,
                       struct item *item, const struct condition *condition)
{
    if (status == KIST_OK)
        reply_item(request, item, condition);
    else if (status == KIST_NOT_FOUND)
        reply_absent(request, condition);
    else
        reply_status(request, status, "The value was not read");
}

/*
 * What a client that waits already knows: with If-None-Match the versions it
 * lists, without any condition that there is no value.
 */
static bool is_known(enum kist_status status, const struct item *item,
                     const struct condition *condition)
{
    if (status == KIST_NOT_FOUND)
        return condition->kind == CONDITION_NONE;
    return status == KIST_OK &&
           (condition->kind == CONDITION_NONE_OF ||
            condition->kind == CONDITION_ABSENT) &&
           !condition_holds(condition, &item->record);
}

static bool look_again(struct request *request, enum wait_time time,
                       uint64_t *out_next_ms)
{
    struct condition condition;
    struct item item = {0};
    enum kist_status status;

    if (!preconditions_condition(request, &condition))
        return true; /* It was read once before: this cannot be. */
    status = read_living(request, &item);
    if (time == WAIT_GOES_ON && is_known(status, &item, &condition)) {
        *out_next_ms = status == KIST_OK ? item.record.expiry_ms : 0;
        item_free(&item);
        return false;
    }
    reply_header(request, "Preference-Applied", "wait");
    reply_read(request, status, &item, &condition);
    return true;
}

static const struct wait_rule wait_rule = {look_again};

void get_key(struct request *request)
{
    struct prefer prefer = prefer_read(request->headers[HEADER_PREFER]);
    struct condition condition;
    struct item item = {0};
    enum kist_status status;

    if (!preconditions_hold(request) ||
        !preconditions_condition(request, &condition))
        return;
    status = read_living(request, &item);
    if (prefer.waits && is_known(status, &item, &condition)) {
        item_free(&item);
        wait_begin(request, &wait_rule, (uint64_t)prefer.wait_s * 1000);
        return;
    }
    reply_read(request, status, &item, &condition);
}
