#include "api/key_write.h"

#include "api/api.h"
#include "api/entity.h"
#include "api/key_quorum.h"
#include "api/moment.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/owner.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void key_write_release(void *held)
{
    struct key_write *key_write = held;

    if (--key_write->references > 0)
        return;
    key_quorum_free(key_write->quorum);
    edit_clear(&key_write->edit);
    blob_free(&key_write->body);
    free(key_write);
}

void key_write_reply_conflict(struct request *request, struct version version)
{
    if (!version_is_none(version))
        entity_version_headers(request, version);
    reply_problem(request, PROBLEM_CONDITION_FAILED,
                  version_is_none(version)
                      ? "The key has no value. Read it again and decide anew."
                      : "The value has another version, see ETag. Read it "
                        "again and decide anew.");
}

static void reply_failed(struct key_write *key_write, enum kist_status status)
{
    struct request *request = key_write->request;

    if (key_write->edit.refused) {
        reply_problem(request, key_write->edit.problem, "%s",
                      key_write->edit.detail);
    } else if (status == KIST_CONFLICT) {
        key_write_reply_conflict(request, key_write->write.version);
    } else if (status == KIST_TOO_LARGE) {
        uint64_t limit = key_write->write.load_limit;

        reply_member_number(request, "limit", limit);
        reply_problem(request, PROBLEM_UNPROCESSABLE,
                      "The value has more than %" PRIu64
                      " bytes, too many to be changed in parts. Replace it "
                      "with PUT.",
                      limit);
    } else if (status == KIST_NOT_FOUND) {
        reply_problem(request, PROBLEM_NOT_FOUND, "The key has no value.");
    } else {
        reply_status(request, status, "The value was not written");
    }
}

/* The client is gone; the write happens all the same. */
static void on_detach(struct request *request)
{
    struct key_write *key_write = request->work;

    key_write->request = NULL;
}

static void on_done(struct commit_group *group)
{
    struct key_write *key_write = OWNER(group, struct key_write, group);
    enum kist_status status = key_write->write.status;

    if (key_write->request == NULL) {
        key_write_release(key_write);
        return;
    }
    if (key_write->settled != NULL)
        key_write->settled(key_write, status);
    if (status == KIST_OK) {
        key_write->request->applied = true;
        key_write->applied(key_write);
        return;
    }
    if (status == KIST_UNKNOWN && !version_is_none(key_write->write.version))
        entity_version_headers(key_write->request, key_write->write.version);
    reply_failed(key_write, status);
}

struct key_write *key_write_new(struct request *request)
{
    struct condition condition;
    enum engine_sync sync;
    struct key_write *key_write;

    if (!preconditions_hold(request) || !preconditions_sync(request, &sync) ||
        !preconditions_condition(request, &condition))
        return NULL;
    key_write = calloc(1, sizeof(*key_write) + request->key.size);
    if (key_write == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The value was not written");
        return NULL;
    }
    key_write->request = request;
    key_write->references = 1;
    key_write->now_ms = clock_wall_ms();
    key_write->applied = key_write_reply_empty;
    memcpy(key_write->key, request->key.data, request->key.size);
    key_write->write.key = (struct view){key_write->key, request->key.size};
    key_write->write.condition = condition;
    key_write->edit.store = request->api->store;
    edit_limit(&key_write->edit, request->api->settings);
    key_write->group = (struct commit_group){
        .writes = &key_write->write,
        .count = 1,
        .sync = sync,
        .done = on_done,
    };
    request->work = key_write;
    request->work_free = key_write_release;
    if (request->api_loop->seat != NULL && !key_quorum_prepare(key_write))
        return NULL;
    return key_write;
}

void key_write_reply_needs_strong(struct request *request,
                                  enum key_write_need need)
{
    reply_problem(request, PROBLEM_NEEDS_STRONG,
                  "%s reads the value before it writes, and the copies of a "
                  "cluster take writes in no common order: it could lose "
                  "another's. Write the whole value without a condition.",
                  need == KEY_WRITE_EDIT ? "This operation"
                                         : "A write with a condition");
}

/* In a cluster. */
static void submit_to_owners(struct key_write *key_write)
{
    struct request *request = key_write->request;
    bool edits = key_write->edit.kind != EDIT_NONE;

    if (!edits && key_write->write.condition.kind == CONDITION_NONE) {
        key_quorum_start(key_write);
        return;
    }
    key_write_reply_needs_strong(request,
                                 edits ? KEY_WRITE_EDIT : KEY_WRITE_CONDITION);
    key_quorum_give_up(key_write);
}

void key_write_submit(struct key_write *key_write)
{
    enum kist_status status;

    if (key_write->quorum != NULL) {
        submit_to_owners(key_write);
        return;
    }
    if (key_write->edit.kind != EDIT_NONE) {
        key_write->write.edit = edit_apply;
        key_write->write.ctx = &key_write->edit;
        key_write->write.load_limit = edit_load_limit(&key_write->edit);
    }
    key_write->group.bytes = sizeof(*key_write) + key_write->body.capacity +
                             json_patch_memory(key_write->edit.patch);
    status =
        commit_lane_add(key_write->request->api_loop->lane, &key_write->group);
    if (status == KIST_OK) {
        /* What is settled at the end may be the request's. */
        if (key_write->settled == NULL)
            key_write->request->detach = on_detach;
        return;
    }
    if (key_write->settled != NULL)
        key_write->settled(key_write, status);
    reply_failed(key_write, status);
}

void key_write_headers(struct key_write *key_write)
{
    struct request *request = key_write->request;
    char text[MOMENT_SIZE];

    entity_version_headers(request, key_write->write.version);
    if (key_write->quorum != NULL)
        key_quorum_headers(key_write);
    else
        reply_header(request, "Kist-Durable", "%s",
                     key_write->group.synced == ENGINE_SYNC ? "sync" : "async");
    if (key_write->write.expiry_ms != 0) {
        moment_to_rfc3339(key_write->write.expiry_ms, text);
        reply_header(request, "Kist-Expires", "%s", text);
    }
}

void key_write_reply_empty(struct key_write *key_write)
{
    key_write_headers(key_write);
    reply_empty(key_write->request, key_write->write.created ? 201 : 204);
}

void key_write_reply_value(struct key_write *key_write, unsigned code,
                           const char *media_type, enum json_type type,
                           struct blob *bytes)
{
    struct view body = blob_view(bytes);
    struct hold hold;

    if (key_write->quorum != NULL) {
        key_write->references++;
        hold = (struct hold){key_write, bytes->capacity, key_write_release};
    } else {
        hold = hold_blob(bytes);
    }
    key_write_headers(key_write);
    if (type != JSON_NONE)
        reply_header(key_write->request, "Kist-Type", "%s",
                     json_type_name(type));
    reply_held(key_write->request, code, media_type, &hold, body);
}

void key_write_reply_file(struct key_write *key_write, const char *media_type,
                          const struct record *record, int descriptor)
{
    struct request *request = key_write->request;

    key_write_headers(key_write);
    if (record->type != JSON_NONE)
        reply_header(request, "Kist-Type", "%s", json_type_name(record->type));
    reply_file(request, 200, media_type, descriptor, 0,
               record_value_size(record));
}
