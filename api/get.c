/* get - GET and HEAD /kv/<key>: the value, a part of it, or when it changes. */
#include "api/handlers.h"

#include "api/accept.h"
#include "api/api.h"
#include "api/cache_status.h"
#include "api/entity.h"
#include "api/exchange.h"
#include "api/far_value.h"
#include "api/get_quorum.h"
#include "api/get_value.h"
#include "api/json_pointer.h"
#include "api/json_text.h"
#include "api/preconditions.h"
#include "api/prefer.h"
#include "api/reply.h"
#include "api/wait.h"
#include "base/clock.h"
#include "base/owner.h"
#include "replication/cluster_mend.h"
#include "replication/seat.h"
#include "storage/store.h"

#include <stdlib.h>
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

/*
 * A part or an entry of a value that lies in a file: it comes into memory
 * first, counted as an answer, or the pool would hold more than answers may.
 */
struct load {
    struct file_work work;
    struct request *request;
    struct item item;
    struct far_value *far; /* In a cluster, if there is anybody else. */
    bool is_far;           /* It came from there. */
    struct budget *memory;
    uint64_t size;
    uint64_t limit;
    enum kist_status status;
};

static void run_load(struct file_work *work)
{
    struct load *load = OWNER(work, struct load, work);

    load->status = store_load(load->request->api->store, load->request->key,
                              &load->item, load->limit);
    load->is_far = load->far != NULL && (load->status == KIST_NOT_FOUND ||
                                         load->status == KIST_CORRUPT);
    if (load->is_far)
        load->status = far_value_load(load->far, &load->item, load->limit);
}

static void reply_again(struct request *request);
static void reply_loaded(struct request *request, struct item *item);

static void load_done(struct file_work *work)
{
    struct load *load = OWNER(work, struct load, work);
    struct request *request = load->request;
    struct item item = load->item;
    enum kist_status status = load->status;

    budget_give_back(load->memory, load->size);
    if (load->is_far)
        cluster_mend(request->api->cluster, request->key);
    far_value_free(load->far);
    free(load);
    if (status == KIST_OK) {
        reply_loaded(request, &item);
        return;
    }
    item_free(&item);
    if (status == KIST_NOT_FOUND)
        reply_again(request);
    else
        reply_status(request, status, "The value was not read");
}

static void load_value(struct request *request, struct item *item)
{
    struct http_loop *loop = request->exchange->http_loop;
    struct load *load = malloc(sizeof(*load));
    struct far_value *far = NULL;
    uint64_t size = record_value_size(&item->record);
    enum kist_status status =
        far_value_new(request, request->key, &item->record, &far);

    if (status == KIST_NO_MEMORY || load == NULL ||
        !budget_take(&loop->shared->answer_memory, size)) {
        free(load);
        far_value_free(far);
        item_free(item);
        reply_status(request, KIST_BUSY, "The value was not read");
        return;
    }
    *load = (struct load){
        .work = {.run = run_load, .done = load_done},
        .request = request,
        .item = *item,
        .far = far,
        .memory = &loop->shared->answer_memory,
        .size = size,
        .limit = request->api->settings->max_json_bytes,
    };
    request->abandon = NULL; /* A wait's; that is over. */
    file_lane_add(&loop->files, &load->work);
}

/* True: it replies, now or later. */
static bool replies_from_file(struct request *request, struct item *item)
{
    const struct record *record = &item->record;
    uint64_t limit = request->api->settings->max_json_bytes;
    bool is_part = request_has(request, PARAMETER_PTR);

    if (!record->large || (is_part && record->type == JSON_NONE))
        return false;
    if (record_value_size(record) <= limit) {
        load_value(request, item);
        return true;
    }
    if (!is_part)
        return false; /* The entry goes out without the value. */
    item_free(item);
    reply_member_number(request, "limit", limit);
    reply_problem(request, PROBLEM_UNPROCESSABLE,
                  "The value has more than max-json-bytes, so that no part of "
                  "it can be read. Read it whole.");
    return true;
}

static unsigned code_of(const struct item *item,
                        const struct condition *condition)
{
    return condition_holds(condition, &item->record) ? 200 : 304;
}

/* Of the same record as before, now in memory. */
static void reply_loaded(struct request *request, struct item *item)
{
    struct condition condition;

    if (!preconditions_condition(request, &condition)) {
        item_free(item); /* It was read once before: this cannot be. */
        return;
    }
    if (request_has(request, PARAMETER_PTR))
        reply_part(request, code_of(item, &condition), item);
    else
        reply_entry(request, code_of(item, &condition), item);
}

/* KIST_NOT_FOUND: the file of *item is not there, nothing was done. */
static enum kist_status reply_item(struct request *request, struct item *item,
                                   const struct condition *condition)
{
    unsigned code = code_of(item, condition);
    bool is_part = request_has(request, PARAMETER_PTR);

    if (code == 304 && condition->kind != CONDITION_ABSENT &&
        condition->kind != CONDITION_NONE_OF) {
        reply_condition_failed(request, item);
        return KIST_OK;
    }
    if (!is_part && !wants_entry(request))
        return get_value_reply(request, code, item, reply_again);
    if (replies_from_file(request, item))
        return KIST_OK;
    if (is_part)
        reply_part(request, code, item);
    else
        reply_entry(request, code, item);
    return KIST_OK;
}

/*
 * A file that is not there was replaced since its record was read: read that
 * again. The same record again means that the file is lost.
 */
static void reply_read(struct request *request, enum kist_status status,
                       struct item *item, const struct condition *condition)
{
    while (status == KIST_OK) {
        struct version version = item->record.version;

        if (reply_item(request, item, condition) == KIST_OK)
            return;
        item_free(item);
        status = request->api_loop->seat != NULL ? KIST_CORRUPT
                                                 : read_living(request, item);
        if (status == KIST_OK && version_equal(version, item->record.version)) {
            item_free(item);
            status = KIST_CORRUPT;
        }
    }
    if (status == KIST_NOT_FOUND)
        reply_absent(request, condition);
    else
        reply_status(request, status, "The value was not read");
}

static void reply_gathered(struct request *request, enum kist_status status,
                           struct item *item, unsigned answers);

/* Of what no owner has any more: its record may be a newer one by now. */
static void reply_gathered_again(struct request *request)
{
    struct copies copies;

    if (request->was_gone) {
        reply_status(request, KIST_CORRUPT, "The value was not read");
        return;
    }
    request->was_gone = true;
    if (copies_read(request, &copies))
        get_quorum_start(request, &copies, reply_gathered);
}

static void reply_again(struct request *request)
{
    struct condition condition;
    struct item item = {0};

    if (request->api_loop->seat != NULL) {
        reply_gathered_again(request);
        return;
    }
    if (preconditions_condition(request, &condition)) {
        enum kist_status status = read_living(request, &item);

        reply_read(request, status, &item, &condition);
    }
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

/* In a cluster: the owners have answered, and so does the request. */
static void reply_gathered(struct request *request, enum kist_status status,
                           struct item *item, unsigned answers)
{
    struct condition condition;
    struct copies copies;

    if (status == KIST_OK && is_dead(&item->record)) {
        item_free(item);
        status = KIST_NOT_FOUND;
    }
    if (!copies_read(request, &copies) ||
        !preconditions_condition(request, &condition)) {
        item_free(item); /* Both were read once before: this cannot be. */
        return;
    }
    if (request->api_loop->seat != NULL)
        copies_read_receipt(request, &copies, answers);
    reply_read(request, status, item, &condition);
}

/* This store knows of a change; in a cluster, others may know of more. */
static void reply_waited(struct request *request, enum kist_status status,
                         struct item *item, const struct condition *condition)
{
    struct copies copies;

    reply_header(request, "Preference-Applied", "wait");
    if (request->api_loop->seat == NULL) {
        reply_read(request, status, item, condition);
        return;
    }
    item_free(item);
    if (copies_read(request, &copies))
        get_quorum_start(request, &copies, reply_gathered);
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
    reply_waited(request, status, &item, &condition);
    return true;
}

static const struct wait_rule wait_rule = {look_again};

/* In Redis it is read once more when it has changed, or the time is over. */
static bool look_in_redis(struct request *request, enum wait_time time,
                          uint64_t *out_next_ms)
{
    struct copies copies;

    *out_next_ms = 0;
    if (time == WAIT_GOES_ON && !wait_has_changed(request))
        return false;
    reply_header(request, "Preference-Applied", "wait");
    if (copies_read(request, &copies))
        get_quorum_start(request, &copies, reply_gathered);
    return true;
}

static const struct wait_rule redis_rule = {look_in_redis};

/* False: it does not wait, and there was no reply. */
static bool waits(struct request *request, enum kist_status status,
                  struct item *item, const struct condition *condition)
{
    struct prefer prefer = prefer_read(request->headers[HEADER_PREFER]);
    struct version known = VERSION_NONE;

    if (!prefer.waits || !is_known(status, item, condition))
        return false;
    if (status == KIST_OK)
        known = item->record.version;
    item_free(item);
    wait_begin(request, request->api->redis != NULL ? &redis_rule : &wait_rule,
               (uint64_t)prefer.wait_s * 1000, known);
    return true;
}

/*
 * In a cluster, changes of a key are seen where it is kept: elsewhere nobody
 * can wait. In Redis they are looked for.
 */
static void gathered(struct request *request, enum kist_status status,
                     struct item *item, unsigned answers)
{
    struct condition condition;
    bool is_living = status == KIST_OK && !is_dead(&item->record);

    if ((request->api->redis != NULL ||
         copies_are_here(request, request->api_loop->seat->ring->copies)) &&
        (status == KIST_OK || status == KIST_NOT_FOUND) &&
        preconditions_condition(request, &condition) &&
        waits(request, is_living ? KIST_OK : KIST_NOT_FOUND, item, &condition))
        return;
    reply_gathered(request, status, item, answers);
}

void get_key(struct request *request)
{
    struct condition condition;
    struct copies copies;
    struct item item = {0};
    enum kist_status status;

    if (!preconditions_hold(request) || !copies_read(request, &copies) ||
        !preconditions_condition(request, &condition))
        return;
    if (!get_quorum_is_here(request, &copies)) {
        get_quorum_start(request, &copies, gathered);
        return;
    }
    status = read_living(request, &item);
    if (waits(request, status, &item, &condition))
        return;
    if (request->api_loop->seat != NULL)
        copies_read_receipt(request, &copies, 1);
    reply_read(request, status, &item, &condition);
}
