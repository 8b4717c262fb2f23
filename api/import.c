/*
 * One round at a time: `busy` from the hand-over of lines until all of their
 * operations are done with. A request that ends meanwhile leaves its import
 * behind (`closed`), which frees itself at the end of the round.
 */
#include "api/import.h"

#include "api/api.h"
#include "api/batch_quorum.h"
#include "api/exchange.h"
#include "api/import_read.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/seat.h"
#include "service/import_progress.h"
#include "storage/large_leftover.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES ((size_t)256 << 10)

/* Both buffers, the longest line that waits for its end, and values of it. */
#define MEMORY_BYTES (2 * BUFFER_BYTES + 2 * (size_t)IMPORT_LINE_MAX)

/* Between two tries, while the commit, or the engine, has too much to do. */
#define AGAIN_MS 20

struct import {
    /* Set by open, then read-only. */
    struct http_loop *loop;
    struct api *api;
    struct commit_lane *lane;
    struct import_progress *progress;
    enum import_mode mode;
    enum engine_sync sync;

    /* The pool's while it reads. */
    struct file_work work;
    struct import_reader *reader;
    struct blob lines;
    size_t at;    /* In lines. */
    bool is_read; /* All of lines that can be; or there were none yet. */
    bool is_last; /* No more lines come. */
    struct import_operation operations[IMPORT_ROUND];
    size_t count;
    bool has_lines; /* Whole ones are left of the round. */
    enum kist_status status;

    /* The loop's. */
    bool busy;
    bool suspended;
    bool closed;
    bool waiting;              /* For room in the queue of the commit. */
    bool no_memory;            /* For filling. */
    bool ended;                /* The body is whole. */
    struct exchange *exchange; /* NULL once closed. */
    struct blob filling;
    uint64_t applied, unchanged;
    uint64_t settled; /* Lines that are done with. */
    void (*done)(struct import *import);

    /* The round's writes. */
    struct write writes[IMPORT_ROUND];
    struct batch_operation batch[IMPORT_ROUND]; /* In a cluster. */
    struct commit_group group;
    struct batch_quorum quorum;
    struct loop_timer *again;
};

static void free_import(struct import *import)
{
    batch_quorum_clear(&import->quorum);
    import_reader_close(import->reader);
    loop_timer_close(import->again);
    budget_give_back(&import->loop->shared->upload_memory, MEMORY_BYTES);
    blob_free(&import->lines);
    blob_free(&import->filling);
    free(import);
}

static void resume(struct import *import)
{
    if (!import->suspended)
        return;
    import->suspended = false;
    exchange_go_on_with_body(import->exchange);
}

static void suspend(struct import *import)
{
    assert(import->busy && !import->suspended);
    import->suspended = true;
    exchange_hold_body(import->exchange);
}

/* Rounds. */

static void next_round(struct import *import);

static bool is_failed(const struct import *import)
{
    return import->status != KIST_OK;
}

static void show_progress(struct import *import)
{
    const struct import_counts *counts = import_reader_counts(import->reader);

    gauge_set(&import->progress->lines, (int64_t)import->settled);
    gauge_set(&import->progress->applied, (int64_t)import->applied);
    gauge_set(&import->progress->unchanged,
              (int64_t)(import->unchanged + counts->unchanged));
    gauge_set(&import->progress->failed, (int64_t)counts->failed);
}

static void end_round(struct import *import)
{
    for (size_t i = 0; i < import->count; i++)
        batch_operation_clear(&import->operations[i].operation);
    import->count = 0;
    if (!is_failed(import))
        import->settled = import_reader_counts(import->reader)->settled;
    show_progress(import);
    import->busy = false;
    if (import->closed) {
        import_progress_end(import->progress, IMPORT_CUT);
        free_import(import);
        return;
    }
    next_round(import);
}

/* It is the node's, not the line's: nothing after it would do better. */
static bool ends_import(enum kist_status status)
{
    switch (status) {
    case KIST_OK:
    case KIST_NOT_FOUND:
    case KIST_CONFLICT:
    case KIST_INVALID:
    case KIST_TOO_LARGE:
    case KIST_CORRUPT:
        return false;
    case KIST_BUSY:
    case KIST_STOPPING:
    case KIST_DISK_FULL:
    case KIST_READ_ONLY:
    case KIST_UNKNOWN:
    case KIST_IO:
    case KIST_NO_MEMORY:
        break;
    }
    return true;
}

/* The commit has not judged it, and no record names it. */
static void drop_file(struct import *import, const struct write *write)
{
    struct large_reference file;

    if (import->api->cluster == NULL && write->next.large &&
        write->status != KIST_UNKNOWN &&
        (ends_import(write->status) || write->kind == WRITE_CLIENT) &&
        large_reference_decode(write->next.value, &file) == KIST_OK)
        large_drop(store_large(import->api->store), &file);
}

static void settle(struct import *import, size_t i)
{
    const struct import_operation *operation = &import->operations[i];
    const struct write *write = &import->writes[i];
    const char *detail;
    enum problem problem;

    if (write->status == KIST_OK) {
        if (write->unchanged)
            import->unchanged++;
        else
            import->applied++;
        return;
    }
    drop_file(import, write);
    /* To delete what is not there is no fault of a line. */
    if (write->status == KIST_NOT_FOUND && operation->operation.put.tombstone) {
        import->unchanged++;
        return;
    }
    if (ends_import(write->status)) {
        import->status = write->status;
        return;
    }
    problem = batch_operation_problem(&operation->operation, write, &detail);
    import_reader_fault(import->reader, operation->line,
                        operation->operation.key, problem, detail);
}

static void settle_all(struct import *import)
{
    for (size_t i = 0; i < import->count; i++)
        settle(import, i);
}

/* On one node: the commit. */

static void prepare(struct import *import, size_t i)
{
    struct batch_operation *operation = &import->operations[i].operation;
    struct write *write = &import->writes[i];

    batch_operation_prepare(operation, write);
    if (import->mode == IMPORT_MERGE && import->api->cluster == NULL)
        write->kind = WRITE_APPLY;
    if (import->mode == IMPORT_OVERWRITE) {
        write->next.version = VERSION_NONE;
        write->next.created_ms = 0;
    }
}

static void prepare_all(struct import *import)
{
    for (size_t i = 0; i < import->count; i++)
        prepare(import, i);
}

static void wait_a_little(struct import *import)
{
    import->waiting = true;
    loop_timer_set(import->again, AGAIN_MS);
}

/* The engine has taken none of it, and will when it has caught up. */
static bool is_refused_for_now(const struct import *import)
{
    for (size_t i = 0; i < import->count; i++)
        if (import->writes[i].status != KIST_BUSY)
            return false;
    return !import->closed;
}

static void committed(struct commit_group *group)
{
    struct import *import = OWNER(group, struct import, group);

    if (is_refused_for_now(import)) {
        prepare_all(import);
        wait_a_little(import);
        return;
    }
    settle_all(import);
    end_round(import);
}

static void fail_writes(struct import *import, enum kist_status status)
{
    for (size_t i = 0; i < import->count; i++)
        import->writes[i].status = status;
    settle_all(import);
    end_round(import);
}

static void commit(void *ctx)
{
    struct import *import = ctx;
    enum kist_status status;

    import->waiting = false;
    import->group = (struct commit_group){
        .writes = import->writes,
        .count = import->count,
        .bytes = MEMORY_BYTES,
        .sync = import->sync,
        .done = committed,
    };
    status = commit_lane_add(import->lane, &import->group);
    if (status == KIST_OK)
        return;
    if (status != KIST_BUSY) {
        fail_writes(import, status);
        return;
    }
    wait_a_little(import);
}

/* In a cluster: the owners of the keys. */

static void answered(struct batch_quorum *quorum)
{
    struct import *import = OWNER(quorum, struct import, quorum);

    for (size_t i = 0; i < import->count; i++) {
        import->operations[i].operation = import->batch[i];
        if (import->writes[i].status == KIST_OK &&
            !version_is_none(quorum->receipts[i].superseded))
            import->writes[i].unchanged = true;
    }
    settle_all(import);
}

/* Where this node owns the key, a record names it; else it has been fetched. */
static void give_up_files(struct import *import)
{
    struct large_reference file;

    for (size_t i = 0; i < import->count; i++)
        if (import->writes[i].next.large &&
            large_reference_decode(import->writes[i].next.value, &file) ==
                KIST_OK)
            large_leftover_give_up(import->lane, &file);
}

static void quorum_ended(struct batch_quorum *quorum)
{
    struct import *import = OWNER(quorum, struct import, quorum);

    batch_quorum_clear(quorum);
    give_up_files(import);
    end_round(import);
}

static void ask_owners(struct import *import)
{
    enum kist_status status;

    for (size_t i = 0; i < import->count; i++)
        import->batch[i] = import->operations[i].operation;
    import->quorum.operations = import->batch;
    import->quorum.writes = import->writes;
    import->quorum.count = import->count;
    import->quorum.answered = answered;
    import->quorum.ended = quorum_ended;
    status = batch_quorum_start(&import->quorum);
    if (status == KIST_OK)
        return;
    import->status = status;
    give_up_files(import);
    end_round(import);
}

/* On the pool. */
static void run_read(struct file_work *work)
{
    struct import *import = OWNER(work, struct import, work);
    struct view rest;

    import->status = import_reader_run(
        import->reader, blob_view(&import->lines), &import->at, import->is_last,
        import->operations, &import->count);
    rest = view_from(blob_view(&import->lines), import->at);
    import->has_lines =
        rest.size > 0 &&
        (import->is_last || memchr(rest.data, '\n', rest.size) != NULL);
}

static void was_read(struct file_work *work)
{
    struct import *import = OWNER(work, struct import, work);

    prepare_all(import);
    if (import->closed) {
        if (import->api->cluster != NULL &&
            import->loop->state < HTTP_LOOP_STOPPING) /* Or the next start. */
            give_up_files(import);
        fail_writes(import, KIST_STOPPING);
    } else if (import->count == 0) {
        end_round(import);
    } else if (import->api->cluster != NULL) {
        ask_owners(import);
    } else {
        commit(import);
    }
}

/* What was used goes, what has come meanwhile goes behind the rest. */
static void fetch_lines(struct import *import)
{
    struct blob rest = BLOB_EMPTY;

    blob_append(&rest, view_from(blob_view(&import->lines), import->at));
    blob_append(&rest, blob_view(&import->filling));
    if (rest.failed) {
        import->status = KIST_NO_MEMORY;
        blob_free(&rest);
        return;
    }
    blob_free(&import->lines);
    import->lines = rest;
    import->at = 0;
    import->is_read = false;
    blob_clear(&import->filling);
    import->is_last = import->ended;
}

static bool has_read_all(const struct import *import)
{
    return import->is_last && import->at == import->lines.size;
}

static void start_round(struct import *import)
{
    import->busy = true;
    import->is_read = true;
    import->work = (struct file_work){.run = run_read, .done = was_read};
    file_lane_add(&import->loop->files, &import->work);
}

static void next_round(struct import *import)
{
    assert(!import->busy);
    if (import->no_memory)
        import->status = KIST_NO_MEMORY;
    if (!is_failed(import) && !import->has_lines &&
        (import->ended || import->filling.size >= BUFFER_BYTES) &&
        !has_read_all(import))
        fetch_lines(import);
    if (!is_failed(import) && (import->has_lines || !import->is_read))
        start_round(import);
    resume(import);
    if (!import->busy && import->done != NULL)
        import->done(import);
}

/* The body. */

size_t import_take(struct import *import, struct view bytes)
{
    if (import->filling.size >= BUFFER_BYTES) {
        if (import->busy) {
            suspend(import);
            return 0;
        }
        next_round(import);
        if (import_is_stopped(import))
            return bytes.size; /* The next call is told. */
    }
    blob_append(&import->filling, bytes);
    if (import->filling.failed)
        import->no_memory = true;
    return bytes.size;
}

bool import_is_stopped(const struct import *import)
{
    return !import->busy && is_failed(import);
}

static void add_counts(struct import *import, struct request *request)
{
    reply_member_number(request, "lines", import->settled);
    reply_member_number(request, "applied", import->applied);
    reply_member_number(request, "failed",
                        import_reader_counts(import->reader)->failed);
}

void import_refuse(struct import *import, struct request *request)
{
    uint64_t line = import_reader_counts(import->reader)->lines;

    import_progress_end(import->progress, IMPORT_STOPPED);
    import->progress = NULL;
    add_counts(import, request);
    if (import->status == KIST_TOO_LARGE) {
        reply_member_number(request, "limit", IMPORT_LINE_MAX);
        reply_problem(request, PROBLEM_BODY_TOO_LARGE,
                      "Line %" PRIu64 " has more than %d bytes. Values beyond "
                      "%d KiB come in pieces. The lines before it are done.",
                      line + 1, IMPORT_LINE_MAX, 192);
        return;
    }
    reply_problem(request, reply_problem_of(import->status),
                  "The import stopped (%s): %s. The first %" PRIu64
                  " lines are done, and some after them may be. Go on behind "
                  "them, or send all of it again.",
                  kist_status_name(import->status),
                  reply_advice_on(import->status), import->settled);
}

/* The end. */

static void append_counts(struct import *import, struct blob *out)
{
    const struct import_counts *counts = import_reader_counts(import->reader);
    struct view faults = import_reader_faults(import->reader);

    blob_printf(out,
                "{\"lines\":%" PRIu64 ",\"records\":%" PRIu64
                ",\"applied\":%" PRIu64 ",\"unchanged\":%" PRIu64
                ",\"failed\":%" PRIu64 ",\"whole\":%s,\"problems\":[",
                counts->lines, counts->records, import->applied,
                import->unchanged + counts->unchanged, counts->failed,
                counts->is_ended ? "true" : "false");
    blob_append(out, faults);
    blob_append_text(out, "]}");
}

static void reply_done(struct import *import)
{
    struct request *request = &import->exchange->request;
    struct blob body = BLOB_EMPTY;

    if (is_failed(import)) {
        import_refuse(import, request);
        return;
    }
    import_progress_end(import->progress, IMPORT_DONE);
    import->progress = NULL;
    append_counts(import, &body);
    request->applied = true;
    if (body.failed) {
        blob_free(&body);
        reply_status(request, KIST_NO_MEMORY, "The answer was not made");
        return;
    }
    reply_bytes(request, 200, "application/json", &body, blob_view(&body));
}

void import_post(struct request *request)
{
    struct import *import = request->exchange->import;

    import->ended = true;
    import->done = reply_done;
    if (!import->busy)
        next_round(import);
}

void import_get(struct request *request)
{
    const struct import_progress *progress = request->api->imports;
    struct blob body = BLOB_EMPTY;

    blob_printf(&body,
                "{\"state\":\"%s\",\"lines\":%" PRIi64 ",\"applied\":%" PRIi64
                ",\"unchanged\":%" PRIi64 ",\"failed\":%" PRIi64 "}",
                import_progress_state(progress), gauge_read(&progress->lines),
                gauge_read(&progress->applied),
                gauge_read(&progress->unchanged),
                gauge_read(&progress->failed));
    if (body.failed) {
        reply_status(request, KIST_NO_MEMORY, "The page was not made");
        return;
    }
    reply_header_literal(request, "Cache-Control", "no-store");
    reply_bytes(request, 200, "application/json", &body, blob_view(&body));
}

void import_close(struct import *import)
{
    if (import == NULL)
        return;
    assert(!import->suspended);
    import->closed = true;
    import->exchange = NULL;
    if (import->waiting) {
        loop_timer_stop(import->again);
        fail_writes(import, KIST_BUSY); /* It is freed at the end of that. */
    } else if (!import->busy) {
        if (import->progress != NULL)
            import_progress_end(import->progress, IMPORT_CUT);
        free_import(import);
    }
}

/* The beginning. */

static bool read_mode(struct request *request, enum import_mode *out_mode)
{
    struct view mode = request->parameters[PARAMETER_MODE];

    *out_mode = IMPORT_MERGE;
    if (mode.data == NULL || view_is(mode, "merge"))
        return true;
    *out_mode = IMPORT_OVERWRITE;
    if (view_is(mode, "overwrite"))
        return true;
    reply_problem(request, PROBLEM_INVALID_PARAMETER,
                  "mode takes merge (versions are kept, and what is newer "
                  "stays) or overwrite (written anew).");
    return false;
}

static bool read_parameters(struct import *import, struct request *request)
{
    return read_mode(request, &import->mode) && preconditions_hold(request) &&
           preconditions_sync(request, &import->sync) &&
           (request->api->cluster == NULL ||
            batch_quorum_prepare(&import->quorum, request, import->sync,
                                 false));
}

static enum kist_status open_parts(struct import *import)
{
    struct import_reader_options options = {
        .settings = import->api->settings,
        .store = import->api->store,
        .mode = import->mode,
        .in_cluster = import->api->cluster != NULL,
    };
    enum kist_status status;

    if (options.in_cluster)
        options.cluster = import->quorum.seat->ring->cluster;
    status = import_reader_open(&options, &import->reader);
    if (status == KIST_OK)
        status =
            loop_timer_open(import->loop->loop, commit, import, &import->again);
    return status;
}

/* Its place among imports, memory, and parts; or the reply. */
static bool begin(struct import *import, struct request *request)
{
    struct budget *memory = &import->loop->shared->upload_memory;
    enum kist_status status;

    if (!import_progress_begin(request->api->imports)) {
        reply_problem(request, PROBLEM_BUSY,
                      "Another import is running, and there is one at a time. "
                      "GET /admin/import says how far it is.");
        return false;
    }
    import->progress = request->api->imports;
    status = budget_take(memory, MEMORY_BYTES) ? KIST_OK : KIST_BUSY;
    if (status == KIST_OK) {
        status = open_parts(import);
        if (status == KIST_OK)
            return true;
        budget_give_back(memory, MEMORY_BYTES);
    }
    import_progress_end(import->progress, IMPORT_STOPPED);
    reply_status(request, status, "The import was not begun");
    return false;
}

bool import_admit(struct request *request)
{
    struct exchange *exchange = request->exchange;
    struct import *import = calloc(1, sizeof(*import));

    if (import == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The import was not begun");
        return false;
    }
    import->loop = exchange->http_loop;
    import->api = request->api;
    import->lane = request->api_loop->lane;
    import->exchange = exchange;
    if (!read_parameters(import, request) || !begin(import, request)) {
        import_reader_close(import->reader);
        loop_timer_close(import->again);
        free(import);
        return false;
    }
    import->is_read = true;
    exchange->import = import;
    return true;
}
