/*
 * A push is a job that lives until the store is done with all its items. The
 * job keeps a copy of the message, whose bytes the records are.
 */
#include "replication/replica.h"

#include "base/owner.h"
#include "replication/bring.h"
#include "replication/listing.h"
#include "replication/scan_page.h"

#include <stdlib.h>

/* An answer to fetches ends here, though more was asked for. */
enum { FETCHED_BYTES = 4 << 20, FETCHED_MS = 10 };

struct replica_job;

struct job_item {
    struct env_apply apply;
    struct replica_job *job;
    enum frame_source source;
    struct frame_pushed result;
};

struct replica_job {
    struct seat *seat;
    struct replica_caller *caller;
    uint64_t phase; /* seat_begin_storing()'s. */
    struct blob message;
    struct frame frame; /* Of message. */
    unsigned waiting;   /* Items that the store is not done with. */
    struct job_item items[];
};

void replica_begin_answer(const struct seat *seat, const struct frame *frame,
                          enum frame_status status, struct blob *out)
{
    struct frame head = seat_head(seat, frame->kind, frame->from);

    head.answer = true;
    head.status = status;
    frame_begin(&head, out);
}

void replica_send_answer(struct replica_caller *caller, unsigned items,
                         struct blob *answer)
{
    frame_seal(items, answer);
    if (answer->failed)
        blob_clear(answer);
    caller->send(caller, blob_view(answer));
    blob_free(answer);
}

void replica_refuse(const struct seat *seat, const struct frame *frame,
                    enum frame_status status, struct replica_caller *caller)
{
    struct blob answer = BLOB_EMPTY;

    replica_begin_answer(seat, frame, status, &answer);
    replica_send_answer(caller, 0, &answer);
}

static enum frame_status judge(const struct seat *seat,
                               const struct frame *frame)
{
    if (frame->answer)
        return FRAME_BAD;
    if (frame->kind == FRAME_RING || frame->kind == FRAME_ADOPT)
        return frame->to == seat->env->self ? FRAME_OK : FRAME_NOT_ME;
    if (frame->to != seat->env->self)
        return FRAME_NOT_ME;
    if (seat->ring == NULL)
        return FRAME_FUTURE_RING;
    if (frame->cluster != seat->ring->cluster)
        return FRAME_NOT_ME;
    if (frame->epoch < seat->ring->epoch)
        return FRAME_STALE_RING;
    if (frame->epoch > seat->ring->epoch || frame->digest != seat->digest)
        return FRAME_FUTURE_RING;
    return frame->budget_ms == 0 ? FRAME_LATE : FRAME_OK;
}

/* Fetching: answered at once. */

static enum kist_status answer_fetch(struct seat *seat, struct view *body,
                                     struct blob *answer)
{
    struct item item = {0};
    struct view key;
    enum kist_status status = frame_next_fetch(body, &key);

    if (status != KIST_OK)
        return status;
    status = seat->env->ops->get(seat->env, key, &item);
    if (status == KIST_OK)
        frame_add_fetched(key, &item.record, answer);
    else if (status == KIST_NOT_FOUND)
        frame_add_fetched(key, NULL, answer);
    item_free(&item);
    return status == KIST_NOT_FOUND ? KIST_OK : status;
}

/* The loop has others to answer, and the answer lies in memory. */
static bool is_enough(const struct seat *seat, unsigned items, size_t bytes,
                      uint64_t began_ms)
{
    return items >= FRAME_FETCHED_MIN &&
           (bytes >= FETCHED_BYTES ||
            seat->env->ops->mono_ms(seat->env) - began_ms > FETCHED_MS);
}

static void fetch(struct seat *seat, const struct frame *frame,
                  struct replica_caller *caller)
{
    struct blob answer = BLOB_EMPTY;
    struct view body = frame->body;
    uint64_t began_ms = seat->env->ops->mono_ms(seat->env);
    unsigned items = 0;

    replica_begin_answer(seat, frame, FRAME_OK, &answer);
    for (; items < frame->items; items++) {
        enum kist_status status;

        if (is_enough(seat, items, answer.size, began_ms))
            break;
        status = answer_fetch(seat, &body, &answer);
        if (status == KIST_OK)
            continue;
        /* What cannot be read must not look as if it were not there. */
        blob_free(&answer);
        replica_refuse(seat, frame,
                       status == KIST_CORRUPT ? FRAME_BAD : FRAME_BUSY, caller);
        return;
    }
    replica_send_answer(caller, items, &answer);
}

/*
 * Comparing: what an owner has of a partition. A new owner that has compared
 * itself with this one has all that this one voted for under older rings; so
 * what is still on its way to the store from then comes first.
 */

static bool is_mine(const struct seat *seat, struct env_part part)
{
    return part.partition < ring_partitions(seat->ring) &&
           (part.leaf < RING_LEAVES || part.leaf == ENV_ALL_LEAVES) &&
           ring_is_owner(seat->ring, part.partition, seat->env->self);
}

static void sums(struct seat *seat, const struct frame *frame,
                 struct replica_caller *caller)
{
    struct blob answer = BLOB_EMPTY;
    struct view body = frame->body;
    struct env_part part;

    if (!seat_is_drained(seat)) {
        replica_refuse(seat, frame, FRAME_BUSY, caller);
        return;
    }
    replica_begin_answer(seat, frame, FRAME_OK, &answer);
    for (unsigned i = 0; i < frame->items; i++) {
        if (frame_next_sums(&body, &part) != KIST_OK || !is_mine(seat, part)) {
            blob_free(&answer);
            replica_refuse(seat, frame, FRAME_BAD, caller);
            return;
        }
        frame_add_summed(seat->env->ops->sum(seat->env, part), &answer);
    }
    replica_send_answer(caller, frame->items, &answer);
}

/* KIST_INVALID: it must not be asked for. */
static enum kist_status list_part(struct seat *seat, struct view *body,
                                  struct blob *answer, unsigned *count)
{
    struct env_part part;
    struct view after;

    if (frame_next_list(body, &part, &after) != KIST_OK || !is_mine(seat, part))
        return KIST_INVALID;
    return listing_add(seat->env, part, after, answer, count);
}

static void list(struct seat *seat, const struct frame *frame,
                 struct replica_caller *caller)
{
    struct blob answer = BLOB_EMPTY;
    struct view body = frame->body;
    unsigned count = 0;

    if (!seat_is_drained(seat)) {
        replica_refuse(seat, frame, FRAME_BUSY, caller);
        return;
    }
    replica_begin_answer(seat, frame, FRAME_OK, &answer);
    for (unsigned i = 0; i < frame->items; i++) {
        enum kist_status status = list_part(seat, &body, &answer, &count);

        if (status == KIST_OK)
            continue;
        blob_free(&answer);
        replica_refuse(seat, frame,
                       status == KIST_INVALID ? FRAME_BAD : FRAME_BUSY, caller);
        return;
    }
    replica_send_answer(caller, count, &answer);
}

/* Scanning: answered when the page has been read. */

struct scan_job {
    struct seat *seat;
    struct replica_caller *caller;
    struct blob message;
    struct frame frame; /* Of message. */
    struct env_scan scan;
};

static void free_scan(struct scan_job *job)
{
    if (job != NULL)
        blob_free(&job->message);
    free(job);
}

static void scanned(struct env_scan *scan)
{
    struct scan_job *job = OWNER(scan, struct scan_job, scan);
    struct blob answer = BLOB_EMPTY;

    if (scan->status == KIST_OK) {
        replica_begin_answer(job->seat, &job->frame, FRAME_OK, &answer);
        blob_append(&answer, blob_view(&scan->page));
        replica_send_answer(job->caller, scan->count, &answer);
    } else {
        replica_refuse(job->seat, &job->frame,
                       scan->status == KIST_CORRUPT ? FRAME_BAD : FRAME_BUSY,
                       job->caller);
    }
    blob_free(&scan->page);
    ring_free(scan->ring);
    free_scan(job);
}

static void scan(struct seat *seat, struct view message,
                 const struct frame *frame, struct replica_caller *caller)
{
    struct scan_job *job = calloc(1, sizeof(*job));
    struct view body;
    enum kist_status status = KIST_NO_MEMORY;

    if (job != NULL) {
        blob_append(&job->message, message);
        if (!job->message.failed)
            status = frame_decode(blob_view(&job->message), &job->frame);
    }
    if (status == KIST_OK) {
        body = job->frame.body;
        status = scan_page_next_range(&body, &job->scan.range);
    }
    if (status != KIST_OK) {
        free_scan(job);
        replica_refuse(seat, frame,
                       status == KIST_CORRUPT ? FRAME_BAD : FRAME_BUSY, caller);
        return;
    }
    job->seat = seat;
    job->caller = caller;
    job->scan.ring = ring_share(seat->ring);
    job->scan.done = scanned;
    seat->env->ops->scan(seat->env, &job->scan);
}

/* Pushing: answered when the store is done. */

static void finish(struct replica_job *job)
{
    struct blob answer = BLOB_EMPTY;

    replica_begin_answer(job->seat, &job->frame, FRAME_OK, &answer);
    for (unsigned i = 0; i < job->frame.items; i++)
        frame_add_pushed(&job->items[i].result, &answer);
    replica_send_answer(job->caller, job->frame.items, &answer);
    blob_free(&job->message);
    free(job);
}

/*
 * Who reads and repairs may have no copy. The answer does not wait for the
 * file: other items may have theirs, and the sender a deadline.
 */
static void bring(struct job_item *item)
{
    struct seat *seat = item->job->seat;
    uint64_t from = item->source == FRAME_REPAIR ? 0 : item->job->frame.from;
    uint64_t progress;
    enum kist_status status =
        bring_file(seat, item->apply.key, &item->apply.record, from, &progress);

    if (status == KIST_BUSY)
        item->result =
            (struct frame_pushed){.result = FRAME_COMING, .progress = progress};
}

static void applied(struct env_apply *apply)
{
    struct job_item *item = OWNER(apply, struct job_item, apply);

    if (apply->status == KIST_NOT_FOUND)
        bring(item);
    else if (apply->status == KIST_OK)
        item->result = (struct frame_pushed){.result = FRAME_DURABLE,
                                             .replaced = apply->replaced,
                                             .winner = apply->winner};
    else if (apply->status == KIST_UNKNOWN)
        item->result.result = FRAME_DOUBTFUL;
    seat_end_storing(item->job->seat, item->job->phase);
    if (--item->job->waiting == 0)
        finish(item->job);
}

/*
 * A client's write from a clock that runs far ahead could never be replaced,
 * and would spread its clock. (The record of a repair exists already.)
 */
static bool is_believable(struct seat *seat, const struct frame_push *push)
{
    bool seen = timekeeper_observe(&seat->clock, push->record.version);

    return seen || push->source != FRAME_CLIENT;
}

/* What is new, or was missed when it was, has the higher one. */
static struct version floor_for(const struct seat *seat,
                                enum frame_source source)
{
    return source == FRAME_CLIENT || source == FRAME_HINT ? seat->fence
                                                          : seat->floor;
}

static enum kist_status take_items(struct replica_job *job)
{
    const struct seat *seat = job->seat;
    struct view body = job->frame.body;

    for (unsigned i = 0; i < job->frame.items; i++) {
        struct job_item *item = &job->items[i];
        struct frame_push push;
        enum kist_status status = frame_next_push(&body, &push);

        if (status != KIST_OK)
            return status;
        item->job = job;
        item->source = push.source;
        item->result.result = FRAME_REFUSED;
        if (!is_believable(job->seat, &push) ||
            !ring_is_owner(seat->ring, ring_partition_of(seat->ring, push.key),
                           seat->env->self))
            continue;
        item->apply = (struct env_apply){.key = push.key,
                                         .record = push.record,
                                         .sync = push.sync,
                                         .floor = floor_for(seat, push.source),
                                         .done = applied};
        job->waiting++;
    }
    return body.size == 0 ? KIST_OK : KIST_CORRUPT;
}

static void begin(struct replica_job *job)
{
    struct env *env = job->seat->env;

    if (job->waiting == 0) {
        finish(job);
        return;
    }
    for (unsigned i = 0; i < job->frame.items; i++)
        if (job->items[i].apply.done != NULL) {
            job->phase = seat_begin_storing(job->seat);
            env->ops->apply(env, &job->items[i].apply);
        }
}

static void push(struct seat *seat, struct view message,
                 const struct frame *frame, struct replica_caller *caller)
{
    struct replica_job *job =
        calloc(1, sizeof(*job) + frame->items * sizeof(*job->items));
    enum kist_status status = KIST_NO_MEMORY;

    if (job != NULL) {
        job->seat = seat;
        job->caller = caller;
        blob_append(&job->message, message);
        if (!job->message.failed)
            status = frame_decode(blob_view(&job->message), &job->frame);
        if (status == KIST_OK)
            status = take_items(job);
    }
    if (status == KIST_OK) {
        begin(job);
        return;
    }
    if (job != NULL)
        blob_free(&job->message);
    free(job);
    replica_refuse(seat, frame, status == KIST_CORRUPT ? FRAME_BAD : FRAME_BUSY,
                   caller);
}

void replica_receive(struct seat *seat, struct view message,
                     struct replica_caller *caller)
{
    struct frame frame = {.kind = FRAME_FETCH};
    enum frame_status judged = FRAME_BAD;

    if (frame_decode(message, &frame) == KIST_OK)
        judged = judge(seat, &frame);
    if (judged == FRAME_STALE_RING || judged == FRAME_FUTURE_RING)
        seat_notice(seat, &frame);
    if (judged != FRAME_OK) {
        replica_refuse(seat, &frame, judged, caller);
        return;
    }
    switch (frame.kind) {
    case FRAME_PUSH:
        push(seat, message, &frame, caller);
        break;
    case FRAME_FETCH:
        fetch(seat, &frame, caller);
        break;
    case FRAME_SUMS:
        sums(seat, &frame, caller);
        break;
    case FRAME_LIST:
        list(seat, &frame, caller);
        break;
    case FRAME_SCAN:
        scan(seat, message, &frame, caller);
        break;
    case FRAME_BEAT: /* For members_receive(). */
        replica_refuse(seat, &frame, FRAME_BAD, caller);
        break;
    case FRAME_RING:
    case FRAME_ADOPT:
    case FRAME_PREPARE:
    case FRAME_ACCEPT:
    case FRAME_MOVES:
    case FRAME_FLOOR:
        if (seat->on_ring != NULL)
            seat->on_ring(seat->ctx, &frame, caller);
        else
            replica_refuse(seat, &frame, FRAME_BAD, caller);
        break;
    }
}
