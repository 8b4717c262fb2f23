#include "api/batch_quorum.h"

#include "api/far_value.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/quorum_read.h"
#include "replication/quorum_write.h"
#include "replication/transport_curl.h"

#include <stdlib.h>

/* One operation among its owners; it outlives its result by late votes. */
struct run {
    struct batch_quorum *batch;
    size_t number;
};

struct run_write {
    struct run run;
    struct quorum_write write;
};

struct run_read {
    struct run run;
    struct quorum_read read;
};

static void go_on(struct batch_quorum *batch);

static void refuse(struct batch_quorum *batch, size_t i, enum problem problem,
                   const char *detail)
{
    struct batch_operation *operation = &batch->operations[i];

    operation->refused = true;
    operation->problem = problem;
    operation->detail = detail;
}

/* The item has its result. */
static void settle(struct run *run)
{
    struct batch_quorum *batch = run->batch;
    size_t i = 0;

    while (batch->awaited[i] != run->number)
        i++;
    batch->awaited[i] = batch->awaited[--batch->awaited_count];
    go_on(batch);
}

/* No owner uses the item any more. */
static void end(struct run *run)
{
    struct batch_quorum *batch = run->batch;

    free(run);
    batch->under_way--;
    go_on(batch);
}

/* Writing. */

static void written(struct quorum_write *write)
{
    struct run_write *owner = OWNER(write, struct run_write, write);
    struct batch_quorum *batch = owner->run.batch;
    size_t i = owner->run.number;
    struct write *result = &batch->writes[i];

    batch->receipts[i] =
        (struct batch_receipt){true, write->acked, write->superseded};
    result->version = write->record.version;
    result->created = !write->replaced && !write->record.tombstone;
    result->expiry_ms = write->record.expiry_ms;
    switch (write->outcome) {
    case QUORUM_WRITE_DONE:
        result->status = KIST_OK;
        break;
    case QUORUM_WRITE_NOT_APPLIED:
        result->status = KIST_BUSY;
        refuse(batch, i, PROBLEM_TOO_FEW,
               "none of the nodes that have this key could be reached");
        break;
    case QUORUM_WRITE_UNKNOWN:
        result->status = KIST_UNKNOWN;
        refuse(batch, i, PROBLEM_OUTCOME_UNKNOWN,
               "fewer than w copies are known to be there; put it again with "
               "Kist-Version: the version");
        break;
    }
    settle(&owner->run);
}

static void write_ended(struct quorum_write *write)
{
    end(&OWNER(write, struct run_write, write)->run);
}

static enum kist_status start_write(struct batch_quorum *batch, size_t i)
{
    struct run_write *owner = calloc(1, sizeof(*owner));
    enum kist_status status;

    if (owner == NULL)
        return KIST_NO_MEMORY;
    owner->run = (struct run){batch, i};
    owner->write = (struct quorum_write){
        .key = batch->operations[i].key,
        .record = batch->writes[i].next,
        .sync = batch->sync,
        .n = batch->copies.n,
        .w = batch->copies.w,
        .timeout_ms = batch->defaults->write_timeout_ms,
        .answered = written,
        .ended = write_ended,
    };
    status = quorum_write_start(&owner->write, batch->seat);
    if (status != KIST_OK)
        free(owner);
    return status;
}

/* Reading. */

static enum kist_status keep(struct batch_quorum *batch, size_t i,
                             const struct quorum_read *read)
{
    const struct env *env = batch->seat->env;
    const struct record *living = NULL;
    struct record unused;
    struct write *result = &batch->writes[i];
    enum kist_status status;

    if (read->found &&
        !record_is_dead(&read->record, env->ops->wall_ms(batch->seat->env)))
        living = &read->record;
    if (batch->read >= batch->read_limit)
        return KIST_TOO_LARGE;
    status = edit_apply(result, living, &unused);
    batch->read += batch->operations[i].edit.result.size;
    return status;
}

static void was_read(struct quorum_read *read)
{
    struct run_read *owner = OWNER(read, struct run_read, read);
    struct batch_quorum *batch = owner->run.batch;
    size_t i = owner->run.number;

    batch->receipts[i] =
        (struct batch_receipt){true, read->answers, VERSION_NONE};
    if (read->outcome == QUORUM_READ_DONE) {
        batch->writes[i].status = keep(batch, i, read);
    } else {
        batch->writes[i].status = KIST_BUSY;
        refuse(batch, i, PROBLEM_TOO_FEW,
               "too few of the nodes that have this key answered in time");
    }
    settle(&owner->run);
}

static void read_ended(struct quorum_read *read)
{
    end(&OWNER(read, struct run_read, read)->run);
}

static enum kist_status start_read(struct batch_quorum *batch, size_t i)
{
    struct run_read *owner = calloc(1, sizeof(*owner));
    enum kist_status status;

    if (owner == NULL)
        return KIST_NO_MEMORY;
    owner->run = (struct run){batch, i};
    owner->read = (struct quorum_read){
        .key = batch->operations[i].key,
        .n = batch->copies.n,
        .r = batch->copies.r,
        .w = batch->after_w,
        .after = batch->after,
        .timeout_ms = batch->defaults->read_timeout_ms,
        .hedge_ms = batch->defaults->hedge_ms,
        .answered = was_read,
        .ended = read_ended,
    };
    status = quorum_read_start(&owner->read, batch->seat);
    if (status != KIST_OK)
        free(owner);
    return status;
}

/* One after the other. */

static bool may_run(struct batch_quorum *batch, size_t i)
{
    const struct batch_operation *operation = &batch->operations[i];

    if (operation->refused)
        return false;
    if (operation->condition.kind != CONDITION_NONE ||
        (operation->edit.kind != EDIT_NONE &&
         operation->edit.kind != EDIT_READ)) {
        refuse(batch, i, PROBLEM_NEEDS_STRONG,
               "in a cluster a batch puts, gets and deletes, without "
               "conditions: copies take writes in no common order");
        return false;
    }
    if (operation->edit.kind == EDIT_NONE &&
        operation->put.value.size > batch->value_limit) {
        refuse(batch, i, PROBLEM_BODY_TOO_LARGE,
               "in a cluster a value of a batch has at most 4 MiB");
        return false;
    }
    return true;
}

static void start_one(struct batch_quorum *batch, size_t i)
{
    enum kist_status status;

    if (!may_run(batch, i)) {
        batch->writes[i].status = KIST_INVALID;
        return;
    }
    status = batch->operations[i].edit.kind == EDIT_READ
                 ? start_read(batch, i)
                 : start_write(batch, i);
    if (status == KIST_OK) {
        batch->awaited[batch->awaited_count++] = i;
        batch->under_way++;
        return;
    }
    batch->writes[i].status = status;
    if (status == KIST_BUSY)
        refuse(batch, i, PROBLEM_TOO_FEW,
               "too few of the nodes that have this key can be reached now, or "
               "this node's clock cannot be trusted");
}

/* What is under way of the same key must have its result first. */
static bool must_wait(const struct batch_quorum *batch)
{
    struct view key = batch->operations[batch->next].key;

    if (batch->awaited_count == BATCH_QUORUM_WIDTH ||
        batch->under_way == BATCH_QUORUM_UNDER_WAY)
        return true;
    for (size_t i = 0; i < batch->awaited_count; i++)
        if (view_equal(batch->operations[batch->awaited[i]].key, key))
            return true;
    return false;
}

static void go_on(struct batch_quorum *batch)
{
    while (batch->next < batch->count && !must_wait(batch))
        start_one(batch, batch->next++);
    if (!batch->is_answered && batch->next == batch->count &&
        batch->awaited_count == 0) {
        batch->is_answered = true;
        batch->answered(batch);
    }
    if (batch->is_answered && batch->under_way == 0)
        batch->ended(batch);
}

bool batch_quorum_prepare(struct batch_quorum *batch, struct request *request,
                          enum engine_sync sync, bool atomic)
{
    const struct settings *settings = request->api->settings;
    struct copies after;

    if (!copies_read(request, &batch->copies))
        return false;
    after = batch->copies;
    batch->after = preconditions_version(request, HEADER_KIST_AFTER);
    if (!version_is_none(batch->after) && !copies_after(request, &after))
        return false;
    batch->after_w = after.w;
    batch->seat = request->api_loop->seat;
    batch->defaults = &request->api->quorum;
    batch->sync = sync;
    batch->value_limit = TRANSPORT_MESSAGE_MAX / 2;
    batch->read_limit = settings->max_batch_bytes;
    if (!atomic)
        return true;
    reply_problem(request, PROBLEM_NEEDS_STRONG,
                  "atomic=1 needs one order of all writes, and the keys of a "
                  "cluster lie on nodes of their own. Send the batch without "
                  "it.");
    return false;
}

enum kist_status batch_quorum_start(struct batch_quorum *batch)
{
    batch->next = batch->awaited_count = batch->under_way = 0;
    batch->read = 0;
    batch->is_answered = false;
    batch->receipts = calloc(batch->count, sizeof(*batch->receipts));
    if (batch->receipts == NULL)
        return KIST_NO_MEMORY;
    go_on(batch);
    return KIST_OK;
}

static bool has_large(const struct batch_quorum *batch, size_t i)
{
    return batch->operations[i].edit.kind == EDIT_READ &&
           batch->writes[i].status == KIST_OK &&
           batch->operations[i].edit.seen.large;
}

void batch_quorum_look_afar(struct batch_quorum *batch, struct request *request)
{
    enum kist_status status;

    for (size_t i = 0; i < batch->count; i++) {
        if (!has_large(batch, i))
            continue;
        if (batch->afar == NULL)
            batch->afar = calloc(batch->count, sizeof(struct far_value *));
        if (batch->afar == NULL)
            return;
        status =
            far_value_new(request, batch->operations[i].key,
                          &batch->operations[i].edit.seen, &batch->afar[i]);
        (void)status; /* It may be here. */
    }
}

void batch_quorum_load(struct batch_quorum *batch, size_t i,
                       struct store *store, uint64_t limit,
                       struct item *out_loaded)
{
    struct record *seen = &batch->operations[i].edit.seen;
    enum kist_status status;

    if (!has_large(batch, i))
        return;
    out_loaded->record = *seen;
    status = store_load(store, batch->operations[i].key, out_loaded, limit);
    if ((status == KIST_NOT_FOUND || status == KIST_CORRUPT) &&
        batch->afar != NULL && batch->afar[i] != NULL)
        status = far_value_load(batch->afar[i], out_loaded, limit);
    if (status == KIST_OK)
        *seen = out_loaded->record;
}

void batch_quorum_append_receipt(const struct batch_quorum *batch, size_t i,
                                 struct blob *out)
{
    const struct batch_receipt *receipt = &batch->receipts[i];
    const struct copies *copies = &batch->copies;
    bool reads = batch->operations[i].edit.kind == EDIT_READ;
    char hex[VERSION_HEX_SIZE + 1];

    if (!receipt->is_given || out->failed)
        return;
    out->size--; /* The closing brace, for a while. */
    blob_printf(out, ",\"receipt\":\"n=%u, %s=%u, %s=%u\"", copies->n,
                reads ? "r" : "w", reads ? copies->r : copies->w,
                reads ? "answers" : "acked", receipt->reached);
    if (!version_is_none(receipt->superseded)) {
        version_to_hex(receipt->superseded, hex);
        blob_printf(out, ",\"superseded\":\"%s\"", hex);
    }
    blob_append_byte(out, '}');
}

void batch_quorum_clear(struct batch_quorum *batch)
{
    free(batch->receipts);
    batch->receipts = NULL;
    for (size_t i = 0; batch->afar != NULL && i < batch->count; i++)
        far_value_free(batch->afar[i]);
    free(batch->afar);
    batch->afar = NULL;
}
