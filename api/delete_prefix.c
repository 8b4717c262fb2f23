/*
 * delete_prefix - DELETE /kv?prefix=: all keys with a prefix, on purpose.
 *
 * The keys are counted first, and the client must have said that count: so a
 * wrong prefix deletes nothing. Then they go in groups, and a key that was
 * written after the count stays.
 *
 * In Redis versions are of several kistd, whose clocks differ: what was counted
 * is too new for none of them.
 *
 * In a cluster the deletions of one request all have one version, drawn before
 * the count: what is newer wins over them wherever it is.
 */
#include "api/handlers.h"

#include "api/api.h"
#include "api/batch_quorum.h"
#include "api/entity.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "api/scan_job.h"
#include "base/clock.h"
#include "base/owner.h"
#include "replication/seat.h"
#include "storage/commit.h"

#include <inttypes.h>
#include <stdlib.h>

#define GROUP_KEYS        1000
#define GROUP_KEYS_SHARED 100 /* In a cluster. */

struct clearing {
    struct scan_job job;
    struct commit_group group;
    struct write writes[GROUP_KEYS];
    size_t group_limit;
    struct blob keys;     /* The bytes of the group's keys. */
    struct version bound; /* Newer records are left alone. */
    uint64_t count;
    uint64_t deleted;

    /* In a cluster; NULL: one node. GROUP_KEYS_SHARED of them. */
    struct batch_operation *operations;
    struct batch_quorum quorum;
    enum kist_status status; /* Of the group. */
};

static struct clearing *of_group(struct commit_group *group)
{
    return OWNER(group, struct clearing, group);
}

static void free_clearing(void *work)
{
    struct clearing *clearing = work;

    scan_clear(&clearing->job.scan);
    blob_free(&clearing->keys);
    batch_quorum_clear(&clearing->quorum);
    free(clearing->operations);
    free(clearing);
}

static void reply_number(struct request *request, const char *name,
                         uint64_t number)
{
    struct blob body = BLOB_EMPTY;

    blob_printf(&body, "{\"%s\":%" PRIu64 "}", name, number);
    if (body.failed) {
        blob_free(&body);
        reply_status(request, KIST_NO_MEMORY, "There was no room to answer");
        return;
    }
    reply_bytes(request, 200, JSON_MEDIA_TYPE, &body, blob_view(&body));
}

/* Some are gone, and some are not: only "unknown" is honest about it. */
static void reply_cut_short(struct clearing *clearing, enum kist_status status)
{
    struct request *request = clearing->job.request;

    if (clearing->deleted == 0) {
        scan_job_reply_failed(&clearing->job, status,
                              "The keys were not deleted");
        return;
    }
    reply_member_number(request, "deleted", clearing->deleted);
    reply_problem(request, PROBLEM_OUTCOME_UNKNOWN,
                  "Some of the keys were deleted, then: %s. Count again and "
                  "repeat.",
                  kist_status_name(status));
}

/* The second pass: a group of keys, the commit, the next group. */

static enum kist_status delete_older(struct write *write,
                                     const struct record *current,
                                     struct record *next)
{
    struct clearing *clearing = write->ctx;

    if (current == NULL ||
        version_compare(current->version, clearing->bound) > 0)
        return KIST_NOT_FOUND;
    next->tombstone = true;
    return KIST_OK;
}

static bool collect_key(void *ctx, struct view key, const struct record *record)
{
    struct clearing *clearing = ctx;

    if (version_compare(record->version, clearing->bound) > 0)
        return true;
    blob_append(&clearing->keys, key);
    clearing->writes[clearing->group.count++] = (struct write){
        .key = {NULL, key.size}, /* The blob may still move. */
        .edit = delete_older,
        .ctx = clearing,
    };
    clearing->job.enough = clearing->group.count == clearing->group_limit;
    return !clearing->job.enough;
}

static void start_group(struct clearing *clearing)
{
    clearing->group.count = 0;
    blob_clear(&clearing->keys);
    scan_job_run(&clearing->job);
}

static void go_on(struct clearing *clearing, enum kist_status status)
{
    if (status == KIST_OK && !clearing->job.scan.done &&
        atomic_load(&clearing->job.request->api->stopping))
        status = KIST_STOPPING;
    if (status != KIST_OK)
        reply_cut_short(clearing, status);
    else if (!clearing->job.scan.done)
        start_group(clearing);
    else
        reply_number(clearing->job.request, "deleted", clearing->deleted);
}

static void group_done(struct commit_group *group)
{
    struct clearing *clearing = of_group(group);
    enum kist_status status = KIST_OK;

    for (size_t i = 0; i < group->count; i++)
        if (group->writes[i].status == KIST_OK)
            clearing->deleted++;
        else if (group->writes[i].status != KIST_NOT_FOUND)
            status = group->writes[i].status;
    go_on(clearing, status);
}

/* The same in a cluster. */

static void shared_answered(struct batch_quorum *quorum)
{
    struct clearing *clearing = OWNER(quorum, struct clearing, quorum);

    clearing->status = KIST_OK;
    for (size_t i = 0; i < quorum->count; i++)
        if (quorum->writes[i].status != KIST_OK)
            clearing->status = quorum->writes[i].status;
        else
            clearing->deleted +=
                version_is_none(quorum->receipts[i].superseded);
}

static void shared_ended(struct batch_quorum *quorum)
{
    struct clearing *clearing = OWNER(quorum, struct clearing, quorum);

    batch_quorum_clear(quorum);
    go_on(clearing, clearing->status);
}

static enum kist_status start_shared(struct clearing *clearing)
{
    struct batch_quorum *quorum = &clearing->quorum;

    for (size_t i = 0; i < clearing->group.count; i++) {
        clearing->operations[i] =
            (struct batch_operation){.key = clearing->writes[i].key};
        clearing->writes[i].next =
            (struct record){.tombstone = true, .version = clearing->bound};
    }
    quorum->operations = clearing->operations;
    quorum->writes = clearing->writes;
    quorum->count = clearing->group.count;
    quorum->answered = shared_answered;
    quorum->ended = shared_ended;
    return batch_quorum_start(quorum);
}

static void group_collected(struct scan_job *job, enum kist_status status)
{
    struct clearing *clearing = (struct clearing *)job;
    size_t offset = 0;

    if (status == KIST_OK && clearing->keys.failed)
        status = KIST_NO_MEMORY;
    for (size_t i = 0; status == KIST_OK && i < clearing->group.count; i++) {
        clearing->writes[i].key.data = clearing->keys.data + offset;
        offset += clearing->writes[i].key.size;
    }
    if (status == KIST_OK && clearing->group.count == 0) {
        reply_number(job->request, "deleted", clearing->deleted);
        return;
    }
    clearing->group.bytes = sizeof(*clearing) + clearing->keys.size;
    if (status == KIST_OK && clearing->operations != NULL)
        status = start_shared(clearing);
    else if (status == KIST_OK)
        status =
            commit_lane_add(job->request->api_loop->lane, &clearing->group);
    if (status != KIST_OK)
        reply_cut_short(clearing, status);
}

static bool no_prefix(void *ctx, struct view prefix)
{
    (void)ctx;
    (void)prefix;
    return true; /* Without a delimiter there are none. */
}

static void start_deleting(struct clearing *clearing)
{
    struct request *request = clearing->job.request;

    scan_clear(&clearing->job.scan);
    if (!scan_job_init(&clearing->job, request, group_collected))
        return;
    clearing->job.visitor =
        (struct scan_visitor){clearing, collect_key, no_prefix};
    start_group(clearing);
}

/* The first pass: counting. */

static bool count_key(void *ctx, struct view key, const struct record *record)
{
    struct clearing *clearing = ctx;

    (void)key;
    clearing->count++;
    if (clearing->job.request->api->redis != NULL &&
        version_compare(record->version, clearing->bound) > 0)
        clearing->bound = record->version;
    return true;
}

static void counted(struct scan_job *job, enum kist_status status)
{
    struct clearing *clearing = (struct clearing *)job;
    struct request *request = job->request;
    uint64_t confirmed = 0;
    bool dry_run = false;

    if (status != KIST_OK) {
        scan_job_reply_failed(job, status, "The keys were not counted");
        return;
    }
    /* Both were read once before. */
    if (!preconditions_switch(request, PARAMETER_DRY_RUN, &dry_run) ||
        !preconditions_number(request, PARAMETER_CONFIRM, 0, INT64_MAX,
                              &confirmed))
        return;
    if (dry_run) {
        reply_number(request, "count", clearing->count);
    } else if (!request_has(request, PARAMETER_CONFIRM)) {
        reply_member_number(request, "count", clearing->count);
        reply_problem(request, PROBLEM_CONFIRM_REQUIRED,
                      "This would delete %" PRIu64
                      " keys. Repeat it with confirm=%" PRIu64 ".",
                      clearing->count, clearing->count);
    } else if (confirmed != clearing->count) {
        reply_member_number(request, "count", clearing->count);
        reply_problem(request, PROBLEM_COUNT_CHANGED,
                      "confirm=%" PRIu64 ", but there are %" PRIu64 " keys.",
                      confirmed, clearing->count);
    } else {
        start_deleting(clearing);
    }
}

/* The version that decides which keys are too new. */
static enum kist_status draw_bound(struct clearing *clearing)
{
    struct request *request = clearing->job.request;
    struct seat *seat = request->api_loop->seat;

    clearing->group_limit = GROUP_KEYS;
    if (seat == NULL) {
        /* Any thread may draw a time; it takes no part in the lease. */
        clearing->bound = hlc_next(request->api->clock, clock_wall_ms());
        return KIST_OK;
    }
    clearing->group_limit = GROUP_KEYS_SHARED;
    clearing->operations =
        calloc(GROUP_KEYS_SHARED, sizeof(*clearing->operations));
    if (clearing->operations == NULL)
        return KIST_NO_MEMORY;
    return timekeeper_stamp(&seat->clock, &clearing->bound);
}

void delete_prefix(struct request *request)
{
    struct clearing *clearing;
    uint64_t confirmed;
    bool dry_run;
    enum engine_sync sync;
    enum kist_status status;

    if (!preconditions_hold(request) || !preconditions_sync(request, &sync) ||
        !preconditions_switch(request, PARAMETER_DRY_RUN, &dry_run) ||
        !preconditions_number(request, PARAMETER_CONFIRM, 0, INT64_MAX,
                              &confirmed))
        return;
    if (!request_has(request, PARAMETER_PREFIX)) {
        reply_problem(request, PROBLEM_INVALID_PARAMETER,
                      "Say which keys: prefix=. An empty one means all.");
        return;
    }
    clearing = calloc(1, sizeof(*clearing));
    if (clearing == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The keys were not deleted");
        return;
    }
    request->work = clearing;
    request->work_free = free_clearing;
    clearing->job.request = request;
    status = draw_bound(clearing);
    if (status != KIST_OK) {
        reply_status(request, status, "The keys were not deleted");
        return;
    }
    if (clearing->operations != NULL &&
        !batch_quorum_prepare(&clearing->quorum, request, sync, false))
        return;
    clearing->group = (struct commit_group){
        .writes = clearing->writes, .sync = sync, .done = group_done};
    clearing->job.visitor =
        (struct scan_visitor){clearing, count_key, no_prefix};
    if (scan_job_init(&clearing->job, request, counted))
        scan_job_run(&clearing->job);
}
