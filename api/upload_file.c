/*
 * One piece of work at a time is with the lane: making the file, writing a
 * buffer, finishing, discarding. `working` says so; the fields down to it
 * belong to the pool meanwhile. A request that ends during the work leaves its
 * upload behind (`closed`), which then discards the file by itself.
 */
#include "api/upload_file.h"

#include "api/api.h"
#include "api/digest.h"
#include "api/exchange.h"
#include "api/json_check.h"
#include "api/reply.h"
#include "api/value_body.h"
#include "base/owner.h"
#include "storage/large.h"
#include "storage/large_leftover.h"
#include "storage/store.h"

#include <assert.h>
#include <stdlib.h>

/* Two for each upload: large enough that a switch of threads costs little. */
#define UPLOAD_FILE_BUFFER (UINT64_C(256) * 1024)

/* With little --body-memory, so many uploads still fit. */
#define LEAST_UPLOADS 4

enum end {
    END_OPEN,
    END_WANTED, /* The next work finishes the file. */
    END_DONE,
};

struct upload_file {
    struct file_work work;
    struct large *large;   /* Kept. */
    struct budget *memory; /* Kept. */
    uint64_t announced;
    uint64_t buffer_size;
    bool is_json;
    bool is_guess;                /* No type was stated: JSON, or refused. */
    struct digest_check *digests; /* NULL: none were sent. */

    /* The pool's while it works. */
    struct large_file *file;
    struct blob writing;
    struct json_check check;
    bool blank; /* Of JSON: nothing but white space so far. */
    enum json_type type;
    struct blob reference;
    struct large_reference finished;
    enum end end;
    enum kist_status status;
    bool digest_fault; /* With KIST_INVALID: it is the digest. */

    /* The loop's. */
    struct large_reference name; /* Boot and serial; read once END_WANTED. */
    bool is_named;
    bool working;
    bool suspended;
    bool kept;
    bool closed;
    struct exchange *exchange; /* NULL once closed. */
    struct http_loop *loop;
    struct blob filling;
    bool no_memory;  /* For it. */
    bool is_counted; /* Among the open files. */
    uint64_t taken;  /* Of the budget. */
    void (*done)(struct request *request);
};

/* On the pool. */

static enum kist_status write_buffer(struct upload_file *file)
{
    struct view bytes = blob_view(&file->writing);
    enum kist_status status = KIST_OK;

    if (bytes.size == 0)
        return KIST_OK;
    if (file->is_json) {
        file->blank = file->blank && value_body_is_blank(bytes);
        status = json_check_feed(&file->check, bytes);
    }
    if (status == KIST_OK && file->digests != NULL)
        digest_check_add(file->digests, bytes);
    if (status == KIST_OK)
        status = large_append(file->file, bytes);
    return status;
}

static enum kist_status finish_with_name(struct upload_file *file)
{
    struct large_reference *name = &file->finished;

    if (!file->is_named)
        return large_finish(file->file, name);
    *name = file->name;
    name->serial ^= large_hash(file->file) ^ large_size(file->file);
    return large_finish_named(file->file, name);
}

static enum kist_status finish_file(struct upload_file *file)
{
    enum kist_status status = KIST_OK;

    if (file->is_json)
        status = json_check_finish(&file->check, &file->type);
    if (status == KIST_OK && file->digests != NULL) {
        file->digest_fault = !digest_check_holds(file->digests);
        status = file->digest_fault ? KIST_INVALID : KIST_OK;
    }
    if (status == KIST_OK)
        status = finish_with_name(file);
    if (status != KIST_OK)
        return status;
    file->end = END_DONE;
    large_reference_encode(&file->finished, &file->reference);
    return file->reference.failed ? KIST_NO_MEMORY : KIST_OK;
}

static void run_step(struct file_work *work)
{
    struct upload_file *file = OWNER(work, struct upload_file, work);

    if (file->status == KIST_OK && file->file == NULL)
        file->status = large_create(file->large, file->announced, &file->file);
    if (file->status == KIST_OK)
        file->status = write_buffer(file);
    if (file->status == KIST_OK && file->end == END_WANTED)
        file->status = finish_file(file);
}

static void run_discard(struct file_work *work)
{
    struct upload_file *file = OWNER(work, struct upload_file, work);

    large_discard(file->file);
}

/* On the loop. */

static void count_out(struct upload_file *file)
{
    if (file->is_counted)
        budget_give_back(&file->loop->shared->files, 1);
    file->is_counted = false;
}

/* One that has the name of a write may be in use by then. */
static void drop(struct upload_file *file)
{
    if (!file->is_named)
        large_drop(file->large, &file->finished);
    else if (file->loop->state < HTTP_LOOP_STOPPING) /* Or the next start. */
        large_leftover_give_up(file->loop->api_loop.lane, &file->finished);
}

static void free_file(struct file_work *work)
{
    struct upload_file *file = OWNER(work, struct upload_file, work);

    if (file->end == END_DONE && !file->kept)
        drop(file);
    json_check_clear(&file->check);
    digest_check_free(file->digests);
    blob_free(&file->reference);
    blob_free(&file->writing);
    blob_free(&file->filling);
    budget_give_back(file->memory, file->taken);
    count_out(file);
    free(file);
}

static void discard(struct upload_file *file)
{
    file->work = (struct file_work){.run = run_discard, .done = free_file};
    file_lane_add(&file->loop->files, &file->work);
}

static void suspend(struct upload_file *file)
{
    assert(file->working && !file->suspended);
    file->suspended = true;
    exchange_hold_body(file->exchange);
}

static void resume(struct upload_file *file)
{
    if (!file->suspended)
        return;
    file->suspended = false;
    exchange_go_on_with_body(file->exchange);
}

static void step_done(struct file_work *work);

static void start_step(struct upload_file *file)
{
    assert(!file->working);
    file->working = true;
    file->work = (struct file_work){.run = run_step, .done = step_done};
    file_lane_add(&file->loop->files, &file->work);
}

/* The full buffer goes to the pool, the empty one takes its place. */
static void hand_over(struct upload_file *file)
{
    struct blob empty = file->writing;

    blob_clear(&empty);
    file->writing = file->filling;
    file->filling = empty;
    start_step(file);
}

/* What was moved from memory had a size of its own. */
static void shrink(struct upload_file *file)
{
    uint64_t own = 2 * file->buffer_size;

    blob_clear(&file->writing);
    if (file->writing.capacity > file->buffer_size)
        blob_free(&file->writing);
    if (file->taken > own && file->filling.capacity <= file->buffer_size) {
        budget_give_back(file->memory, file->taken - own);
        file->taken = own;
    }
}

static void step_done(struct file_work *work)
{
    struct upload_file *file = OWNER(work, struct upload_file, work);

    file->working = false;
    if (file->closed) {
        discard(file);
        return;
    }
    shrink(file);
    if (file->end == END_DONE) /* It is closed, too. */
        count_out(file);
    if (file->done != NULL) {
        if (upload_file_status(file) == KIST_OK && file->end != END_DONE) {
            file->end = END_WANTED;
            hand_over(file);
        } else {
            file->done(&file->exchange->request);
        }
        return;
    }
    if (file->status == KIST_OK && file->filling.size >= file->buffer_size)
        hand_over(file);
    resume(file);
}

static uint64_t buffer_size(const struct budget *memory)
{
    uint64_t share = memory->most / (2 * LEAST_UPLOADS);

    return share < UPLOAD_FILE_BUFFER ? share : UPLOAD_FILE_BUFFER;
}

static bool take_room(struct upload_file *file)
{
    struct budget *files = &file->loop->shared->files;

    file->is_counted = budget_take(files, 1);
    if (!file->is_counted)
        return false;
    if (budget_take(file->memory, 2 * file->buffer_size))
        return true;
    count_out(file);
    return false;
}

/* With the room for two buffers, and digests if there are any. */
static enum kist_status make(struct exchange *exchange)
{
    struct http_loop *loop = exchange->http_loop;
    struct upload_file *file = calloc(1, sizeof(*file));
    enum value_body_kind kind = value_body_kind(&exchange->request);
    enum kist_status status;

    if (file == NULL)
        return KIST_NO_MEMORY;
    file->loop = loop;
    file->exchange = exchange;
    file->large = store_large(exchange->request.api->store);
    file->memory = &loop->shared->upload_memory;
    file->buffer_size = buffer_size(file->memory);
    file->announced = exchange->body_length;
    file->is_json = kind != VALUE_BODY_BYTES;
    file->is_guess = kind == VALUE_BODY_GUESS;
    file->blank = true;
    json_check_init(&file->check);
    status = value_body_digests(&exchange->request, &file->digests);
    if (status == KIST_OK && !take_room(file))
        status = KIST_BUSY;
    if (status != KIST_OK) {
        digest_check_free(file->digests);
        free(file);
        return status;
    }
    file->taken = 2 * file->buffer_size;
    exchange->file = file;
    return KIST_OK;
}

enum kist_status upload_file_open(struct exchange *exchange)
{
    enum kist_status status = make(exchange);

    if (status != KIST_OK)
        return status;
    start_step(exchange->file);
    suspend(exchange->file);
    return KIST_OK;
}

enum kist_status upload_file_move(struct exchange *exchange)
{
    enum kist_status status = make(exchange);

    if (status != KIST_OK)
        return status;
    exchange->file->filling = exchange->body;
    exchange->file->taken += exchange->body_taken;
    exchange->body = BLOB_EMPTY;
    exchange->body_taken = 0;
    hand_over(exchange->file);
    return KIST_OK;
}

enum kist_status upload_file_status(const struct upload_file *file)
{
    if (file->working)
        return KIST_OK;
    return file->status == KIST_OK && file->no_memory ? KIST_NO_MEMORY
                                                      : file->status;
}

void upload_file_refuse(struct upload_file *file, struct request *request)
{
    enum kist_status status = upload_file_status(file);

    assert(!file->working && status != KIST_OK);
    if (status != KIST_INVALID)
        reply_status(request, status, "The value was not written");
    else if (file->digest_fault)
        value_body_refuse_digest(request);
    else if (file->blank)
        value_body_refuse_blank(request, "The body");
    else if (file->is_guess)
        value_body_refuse_guess(request, &file->check.fault);
    else
        value_body_refuse_json(request, &file->check.fault, "The body");
}

size_t upload_file_take(struct upload_file *file, struct view bytes)
{
    size_t taken = 0;

    while (taken < bytes.size) {
        if (file->filling.size >= file->buffer_size) {
            if (file->working) {
                suspend(file);
                return taken;
            }
            hand_over(file);
        }
        if (file->filling.capacity < file->buffer_size &&
            blob_reserve_exactly(&file->filling, (size_t)file->buffer_size) !=
                KIST_OK) {
            file->no_memory = true;
            return bytes.size; /* The next call is told. */
        }

        struct view some = view_from(bytes, taken);
        size_t room = (size_t)file->buffer_size - file->filling.size;

        if (some.size > room)
            some.size = room;
        blob_append(&file->filling, some);
        taken += some.size;
    }
    if (file->filling.size >= file->buffer_size && !file->working)
        hand_over(file);
    return taken;
}

void upload_file_finish(struct upload_file *file,
                        const struct large_reference *name,
                        void (*done)(struct request *request))
{
    assert(file->done == NULL);
    file->done = done;
    if (name != NULL)
        file->name = *name;
    file->is_named = name != NULL;
    if (file->working)
        return;           /* step_done() goes on. */
    if (!file->no_memory) /* Else a part of the body is missing. */
        file->end = END_WANTED;
    hand_over(file);
}

struct view upload_file_reference(const struct upload_file *file)
{
    assert(!file->working && file->end == END_DONE);
    return blob_view(&file->reference);
}

enum json_type upload_file_json_type(const struct upload_file *file)
{
    assert(!file->working && file->end == END_DONE);
    return file->is_json ? file->type : JSON_NONE;
}

void upload_file_keep(struct upload_file *file)
{
    file->kept = true;
}

void upload_file_close(struct upload_file *file)
{
    if (file == NULL)
        return;
    assert(!file->suspended);
    file->closed = true;
    file->exchange = NULL;
    if (!file->working)
        discard(file);
}
