/*
 * batch - POST /batch: many operations in one request, in their order.
 *
 * A pool thread reads the body. Gets alone are then answered from there; as
 * soon as one operation writes, all go through the commit as one group, so
 * that a get sees the puts before it, and atomic=1 is all or nothing.
 * In a cluster each goes to the owners of its key instead
 * (api/batch_quorum.h).
 */
#include "api/handlers.h"

#include "api/api.h"
#include "api/batch_quorum.h"
#include "api/batch_read.h"
#include "api/entity.h"
#include "api/large_value.h"
#include "api/list_stream.h"
#include "api/media_type.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/owner.h"
#include "storage/commit.h"

#include <inttypes.h>
#include <stdlib.h>

/* What writes may read and make of values, as a multiple of that limit. */
#define WORK_FACTOR 2

struct batch {
    struct request *request;
    struct loop_work work;
    enum batch_format format;
    bool atomic;
    bool committed; /* The operations had their turn among the writes. */
    struct blob body;

    struct batch_operations operations;
    struct write *writes; /* One an operation. */
    struct commit_group group;
    struct batch_quorum quorum; /* Instead, in a cluster. */
    bool is_shared;             /* Owners use the operations. */
    bool is_orphaned;           /* The request is gone: they are the last. */
    struct blob answer;

    enum kist_status status; /* Of reading the body. */
    struct batch_fault fault;
};

static struct batch *of_work(struct loop_work *work)
{
    return OWNER(work, struct batch, work);
}

static void free_batch(void *work)
{
    struct batch *batch = work;

    batch->is_orphaned = batch->is_shared;
    if (batch->is_shared)
        return;
    batch_quorum_clear(&batch->quorum);
    batch_operations_clear(&batch->operations);
    blob_free(&batch->body);
    blob_free(&batch->answer);
    free(batch->writes);
    free(batch);
}

/* The answer. */

/*
 * A get that had its turn among writes tells the record of that turn. If the
 * file is gone since then, it tells so much of it as there is.
 */
static enum kist_status load_committed(struct batch *batch, size_t i,
                                       uint64_t limit, struct item *loaded)
{
    enum kist_status status = store_load(batch->request->api->store,
                                         batch->writes[i].key, loaded, limit);

    return status == KIST_NOT_FOUND || status == KIST_TOO_LARGE ? KIST_OK
                                                                : status;
}

/*
 * A get of a value that lies in a file; *loaded keeps it for the moment. What
 * is larger than JSON may be, or than what is left of the answer, is told
 * without the value.
 */
static void load_value(struct batch *batch, size_t i, struct item *loaded,
                       uint64_t *left)
{
    struct record *seen = &batch->operations.list[i].edit.seen;
    uint64_t limit = batch->request->api->settings->max_json_bytes;
    enum kist_status status;

    if (limit > *left)
        limit = *left;
    *loaded = (struct item){.record = *seen};
    if (batch->writes[i].status != KIST_OK || !seen->large)
        return;
    if (batch->committed)
        status = load_committed(batch, i, limit, loaded);
    else
        status = large_value_load(batch->request->api->store,
                                  batch->writes[i].key, limit, loaded);
    if (status == KIST_OK && !loaded->record.large)
        *left -= record_value_size(&loaded->record) < *left
                     ? record_value_size(&loaded->record)
                     : *left;
    if (status == KIST_OK)
        *seen = loaded->record;
    else if (status == KIST_NOT_FOUND)
        seen->version = VERSION_NONE; /* Deleted meanwhile. */
    else
        batch->writes[i].status = status;
}

/* The same in a cluster, of what owners have said. */
static void load_from_owners(struct batch *batch, size_t i, struct item *loaded,
                             uint64_t *left)
{
    uint64_t limit = batch->request->api->settings->max_json_bytes;
    uint64_t size;

    batch_quorum_load(&batch->quorum, i, batch->request->api->store,
                      limit < *left ? limit : *left, loaded);
    size = loaded->record.large ? 0 : loaded->record.value.size;
    *left -= size < *left ? size : *left;
}

/* The memory goes with the result; owners may need it for longer. */
static void write_result(struct batch *batch, size_t i, uint64_t *left)
{
    struct batch_operation *operation = &batch->operations.list[i];
    struct item loaded = {0};

    if (batch->quorum.seat != NULL) {
        load_from_owners(batch, i, &loaded, left);
        batch_operation_append_result(operation, &batch->writes[i],
                                      &batch->answer);
        batch_quorum_append_receipt(&batch->quorum, i, &batch->answer);
        item_free(&loaded);
        return;
    }
    load_value(batch, i, &loaded, left);
    batch_operation_append_result(operation, &batch->writes[i], &batch->answer);
    item_free(&loaded);
    batch_operation_clear(operation);
}

static void write_results(struct loop_work *work)
{
    struct batch *batch = of_work(work);
    bool lines = batch->format == BATCH_NDJSON;
    struct blob *out = &batch->answer;
    uint64_t left = batch->request->api->settings->max_batch_bytes;

    if (!lines)
        blob_append_text(out, "{\"results\":[");
    for (size_t i = 0; i < batch->operations.count; i++) {
        if (i > 0 && !lines)
            blob_append_byte(out, ',');
        write_result(batch, i, &left);
        if (lines)
            blob_append_byte(out, '\n');
    }
    if (!lines)
        blob_append_text(out, "]}");
}

static void reply_results(struct loop_work *work)
{
    struct batch *batch = of_work(work);
    struct request *request = batch->request;
    bool lines = batch->format == BATCH_NDJSON;
    struct blob body = batch->answer;

    batch->answer = BLOB_EMPTY;
    if (body.failed) { /* The writes may well have happened. */
        blob_free(&body);
        reply_problem(request, PROBLEM_OUTCOME_UNKNOWN,
                      "There was no memory for the results. Read the keys to "
                      "learn what was written.");
        return;
    }
    reply_bytes(request, 200, lines ? NDJSON_MEDIA_TYPE : JSON_MEDIA_TYPE,
                &body, blob_view(&body));
}

/* atomic=1, and one operation failed: the answer is its problem. */
static void reply_failed(struct batch *batch, size_t failed)
{
    struct request *request = batch->request;
    const struct write *write = &batch->writes[failed];
    const char *detail;
    enum problem problem = batch_operation_problem(
        &batch->operations.list[failed], write, &detail);

    if (write->status == KIST_CONFLICT && !version_is_none(write->version))
        entity_version_headers(request, write->version);
    reply_member_number(request, "failed", failed);
    reply_problem(request, problem,
                  "Operation %zu: %s. Nothing of the batch was written.",
                  failed, detail);
}

/* Every operation had its turn. */
static void finish(struct batch *batch, enum engine_sync synced)
{
    for (size_t i = 0; i < batch->operations.count; i++)
        if (batch->writes[i].status == KIST_OK && !batch->writes[i].unchanged)
            batch->request->applied = true;
    reply_header(batch->request, "Kist-Durable", "%s",
                 synced == ENGINE_SYNC ? "sync" : "async");

    /* Mebibytes of values, maybe: off the loop. What is done is not refused. */
    batch->work =
        (struct loop_work){.run = write_results, .done = reply_results};
    loop_must_work(batch->request->loop, &batch->work);
}

static void group_done(struct commit_group *group)
{
    struct batch *batch = OWNER(group, struct batch, group);

    if (group->atomic && group->failed < group->count) {
        reply_failed(batch, group->failed);
        return;
    }
    if (group->atomic && group->writes[0].status == KIST_INVALID) {
        reply_problem(batch->request, PROBLEM_UNPROCESSABLE,
                      "The keys of the batch lie in several slots of Redis, "
                      "which only does one slot at once. Give them a common "
                      "part in braces, such as {user7}, which chooses it.");
        return;
    }
    if (group->atomic && group->writes[0].status != KIST_OK) {
        reply_status(batch->request, group->writes[0].status,
                     "The batch was not written");
        return;
    }
    finish(batch, group->synced);
}

/* Gets alone need no turn in the commit: each reads what is there. */

static void read_one(struct batch_operation *operation, struct write *write,
                     struct store *store)
{
    struct item item = {0};
    struct record unused;
    const struct record *living = NULL;

    if (operation->refused)
        return;
    write->status = store_get(store, operation->key, &item);
    if (write->status == KIST_OK &&
        !record_is_dead(&item.record, clock_wall_ms()))
        living = &item.record;
    if (write->status == KIST_OK || write->status == KIST_NOT_FOUND)
        write->status = edit_apply(write, living, &unused);
    item_free(&item);
}

static size_t first_refused(const struct batch *batch)
{
    size_t i = 0;

    while (i < batch->operations.count && !batch->operations.list[i].refused)
        i++;
    return i;
}

static bool is_refused(const struct batch *batch)
{
    return batch->atomic && first_refused(batch) < batch->operations.count;
}

static void read_all(struct loop_work *work)
{
    struct batch *batch = of_work(work);
    uint64_t limit = batch->request->api->settings->max_batch_bytes;
    uint64_t size = 0;

    for (size_t i = 0; i < batch->operations.count; i++) {
        struct batch_operation *operation = &batch->operations.list[i];

        if (size >= limit) {
            batch->writes[i].status = KIST_TOO_LARGE;
            continue;
        }
        read_one(operation, &batch->writes[i], batch->request->api->store);
        size += operation->edit.result.size;
    }
    if (!is_refused(batch))
        write_results(work);
}

static void all_read(struct loop_work *work)
{
    struct batch *batch = of_work(work);

    if (is_refused(batch))
        reply_failed(batch, first_refused(batch));
    else
        reply_results(work);
}

static void start_reading(struct batch *batch)
{
    enum kist_status status;

    batch->work = (struct loop_work){.run = read_all, .done = all_read};
    status = loop_work(batch->request->loop, &batch->work);
    if (status != KIST_OK)
        reply_status(batch->request, status, "The batch was not read");
}

static void start_writing(struct batch *batch)
{
    enum kist_status status;

    batch->committed = true;
    batch->group.writes = batch->writes;
    batch->group.count = batch->operations.count;
    batch->group.atomic = batch->atomic;
    batch->group.done = group_done;
    batch->group.bytes = batch->body.capacity + batch->operations.memory +
                         batch->operations.count * sizeof(struct write);
    status = commit_lane_add(batch->request->api_loop->lane, &batch->group);
    if (status != KIST_OK)
        reply_status(batch->request, status, "The batch was not written");
}

/* In a cluster. */

static void quorum_answered(struct batch_quorum *quorum)
{
    struct batch *batch = OWNER(quorum, struct batch, quorum);

    batch_quorum_look_afar(quorum, batch->request);
    finish(batch, quorum->sync);
}

static void quorum_ended(struct batch_quorum *quorum)
{
    struct batch *batch = OWNER(quorum, struct batch, quorum);

    batch->is_shared = false;
    if (batch->is_orphaned)
        free_batch(batch);
}

static void start_quorum(struct batch *batch)
{
    enum kist_status status;

    batch->quorum.operations = batch->operations.list;
    batch->quorum.writes = batch->writes;
    batch->quorum.count = batch->operations.count;
    batch->is_shared = true;
    status = batch_quorum_start(&batch->quorum);
    if (status == KIST_OK)
        return;
    batch->is_shared = false;
    reply_status(batch->request, status, "The batch was not run");
}

/* The body. */

static void read_body(struct loop_work *work)
{
    struct batch *batch = of_work(work);
    struct batch_operations *operations = &batch->operations;

    batch->status =
        batch_read(blob_view(&batch->body), batch->format,
                   batch->request->api->settings, operations, &batch->fault);
    if (batch->status != KIST_OK)
        return;
    batch->writes = calloc(operations->count, sizeof(*batch->writes));
    if (batch->writes == NULL) {
        batch->status = KIST_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < operations->count; i++) {
        batch_operation_prepare(&operations->list[i], &batch->writes[i]);
    }
}

/* Of the two limits, the one that has room left was not it. */
static void reply_too_many(struct batch *batch)
{
    const struct settings *settings = batch->request->api->settings;
    bool patches = batch->operations.count < settings->batch_operations;
    uint64_t limit =
        patches ? settings->max_json_bytes : settings->batch_operations;

    reply_member_number(batch->request, "limit", limit);
    reply_problem(batch->request, PROBLEM_BODY_TOO_LARGE,
                  patches ? "The JSON Patches of a batch have at most %" PRIu64
                            " bytes together (--max-json-bytes)."
                          : "A batch has at most %" PRIu64
                            " operations (--batch-operations).",
                  limit);
}

static void reply_unreadable(struct batch *batch)
{
    struct request *request = batch->request;

    if (batch->status == KIST_INVALID) {
        reply_member_number(request, "offset", batch->fault.offset);
        reply_problem(request, PROBLEM_INVALID_JSON,
                      "The batch cannot be read: %s, at byte %zu.",
                      batch->fault.reason, batch->fault.offset);
    } else if (batch->status == KIST_TOO_LARGE) {
        reply_too_many(batch);
    } else {
        reply_status(request, batch->status, "The batch was not read");
    }
}

static void body_read(struct loop_work *work)
{
    struct batch *batch = of_work(work);
    bool reads = true;

    if (batch->status != KIST_OK) {
        reply_unreadable(batch);
        return;
    }
    if (batch->quorum.seat != NULL) {
        start_quorum(batch);
        return;
    }
    for (size_t i = 0; i < batch->operations.count; i++)
        reads = reads && batch_operation_is_read(&batch->operations.list[i]);
    if (reads && batch->request->api->redis == NULL)
        start_reading(batch);
    else
        start_writing(batch);
}

static bool read_format(struct request *request, enum batch_format *out_format)
{
    struct view content_type = request->headers[HEADER_CONTENT_TYPE];

    *out_format = BATCH_JSON;
    if (media_type_is(content_type, NDJSON_MEDIA_TYPE)) {
        *out_format = BATCH_NDJSON;
        return true;
    }
    if (media_type_kind(content_type) == MEDIA_TYPE_JSON ||
        media_type_kind(content_type) == MEDIA_TYPE_UNSTATED)
        return true;
    reply_problem(request, PROBLEM_MEDIA_TYPE,
                  "A batch is sent as " JSON_MEDIA_TYPE " or " NDJSON_MEDIA_TYPE
                  ".");
    return false;
}

void batch_run(struct request *request)
{
    enum batch_format format;
    enum engine_sync sync;
    enum kist_status status;
    bool atomic = false;
    struct batch *batch;

    if (!preconditions_hold(request) || !preconditions_sync(request, &sync) ||
        !preconditions_switch(request, PARAMETER_ATOMIC, &atomic) ||
        !read_format(request, &format))
        return;
    if (request->body.size == 0) {
        reply_problem(request, PROBLEM_EMPTY_BODY,
                      "Send the operations: {\"operations\":[...]}.");
        return;
    }
    batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The batch was not read");
        return;
    }
    request->work = batch;
    request->work_free = free_batch;
    batch->request = request;
    batch->format = format;
    batch->atomic = atomic;
    batch->quorum.answered = quorum_answered;
    batch->quorum.ended = quorum_ended;
    if (request->api_loop->seat != NULL &&
        !batch_quorum_prepare(&batch->quorum, request, sync, atomic))
        return;
    batch->group.sync = sync;
    batch->group.work_limit =
        WORK_FACTOR * request->api->settings->max_batch_bytes;
    batch->body = request_take_body(request);
    batch->work = (struct loop_work){.run = read_body, .done = body_read};
    status = loop_work(request->loop, &batch->work);
    if (status != KIST_OK)
        reply_status(request, status, "The batch was not read");
}
