/*
 * Headers are kept in the exchange until the response exists, because only
 * the call that ends the request knows its body. A small answer comes from a
 * mould. Otherwise a body is never copied: what came with it is released when
 * libmicrohttpd is done with it.
 */
#include "api/reply.h"

#include "api/exchange.h"
#include "api/feed.h"
#include "api/head.h"
#include "api/router.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Larger answers count against --body-memory. */
#define SMALL_ANSWER (UINT64_C(64) * 1024)

/* Enough for what is waiting now to be written; no more than a guess. */
#define RETRY_AFTER_S 1

enum { FIELD_SIZE = 1024 };

static void add_field(struct exchange *exchange, struct exchange_field field)
{
    assert(exchange->nfields < EXCHANGE_FIELDS);
    exchange->fields[exchange->nfields++] = field;
}

void reply_header_literal(struct request *request, const char *name,
                          const char *value)
{
    add_field(request->exchange,
              (struct exchange_field){
                  .name = name, .literal = value, .size = strlen(value)});
}

void reply_header_text(struct request *request, const char *name,
                       struct view value)
{
    struct blob *text = &request->exchange->field_text;

    add_field(request->exchange, (struct exchange_field){.name = name,
                                                         .at = text->size,
                                                         .size = value.size});
    blob_append(text, value);
    blob_append_byte(text, '\0');
}

void reply_header(struct request *request, const char *name, const char *format,
                  ...)
{
    char value[FIELD_SIZE + 1];
    va_list values;
    int size;

    va_start(values, format);
    size = vsnprintf(value, sizeof(value), format, values);
    va_end(values);
    assert(size >= 0 && size <= FIELD_SIZE);
    reply_header_text(request, name, (struct view){value, (size_t)size});
}

void reply_allow(struct request *request)
{
    unsigned allowed = request->exchange->allowed;
    char text[64] = "";
    size_t size = 0;

    for (enum method method = 0; method < METHOD_COUNT; method++) {
        if ((allowed & 1u << method) == 0)
            continue;
        int more = snprintf(text + size, sizeof(text) - size, "%s%s",
                            size == 0 ? "" : ", ", head_method_name(method));

        assert(more > 0 && (size_t)more < sizeof(text) - size);
        size += (size_t)more;
    }
    reply_header(request, "Allow", "%s", text);
}

static bool add(struct MHD_Response *response, const char *name,
                const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* All of them, those of every answer the last. False: memory ran out. */
static bool list_fields(struct request *request,
                        struct mould_field fields[EXCHANGE_FIELDS])
{
    struct exchange *exchange = request->exchange;
    const struct blob *text = &exchange->field_text;

    if (request->cache_status != NULL)
        reply_header_literal(request, "Cache-Status", request->cache_status);
    reply_header_text(request, "Request-Id", request->id);
    if (text->failed)
        return false;
    for (size_t i = 0; i < exchange->nfields; i++) {
        const struct exchange_field *field = &exchange->fields[i];
        const char *value =
            field->literal != NULL ? field->literal : text->data + field->at;

        fields[i] = (struct mould_field){field->name, {value, field->size}};
    }
    return true;
}

static bool add_fields(struct exchange *exchange,
                       const struct mould_field *fields,
                       struct MHD_Response *response)
{
    for (size_t i = 0; i < exchange->nfields; i++)
        if (!add(response, fields[i].name, fields[i].value.data))
            return false;
    return true;
}

static bool is_ending(const struct exchange *exchange)
{
    return exchange->http_loop->state != HTTP_LOOP_SERVING ||
           atomic_load_explicit(&exchange->request.api->stopping,
                                memory_order_relaxed);
}

/* Takes response; NULL or a header it refuses cuts the connection. */
static void finish(struct request *request, unsigned code,
                   struct MHD_Response *response, uint64_t size)
{
    struct exchange *exchange = request->exchange;
    struct mould_field fields[EXCHANGE_FIELDS];
    bool good = response != NULL && list_fields(request, fields) &&
                add_fields(exchange, fields, response);

    if (good && is_ending(exchange))
        good = add(response, "Connection", "close");
    if (!good && response != NULL) {
        MHD_destroy_response(response);
        response = NULL;
    }
    exchange_answer(exchange, code, response, size);
}

/*
 * The answer from a mould, which copies the body. False: there is none for it,
 * and nothing was done.
 */
static bool finish_in_mould(struct request *request, unsigned code,
                            struct view body, uint64_t size)
{
    struct exchange *exchange = request->exchange;
    struct mould_field fields[EXCHANGE_FIELDS];
    size_t nfields = exchange->nfields;

    if (body.size > MOULD_BODY_MAX || is_ending(exchange))
        return false;
    if (list_fields(request, fields))
        exchange->mould = moulds_take(&exchange->http_loop->moulds, fields,
                                      exchange->nfields, body);
    if (exchange->mould == NULL) {
        exchange->nfields = nfields;
        return false;
    }
    exchange_answer(exchange, code, mould_response(exchange->mould), size);
    return true;
}

void reply_nothing(struct request *request)
{
    exchange_answer(request->exchange, 0, NULL, 0);
}

/* What is stored here must never become a page of this origin. */
static void add_safety(struct request *request)
{
    reply_header_literal(request, "X-Content-Type-Options", "nosniff");
    reply_header_literal(request, "Content-Security-Policy", "sandbox");
}

void reply_empty(struct request *request, unsigned code)
{
    static const char nothing[1];

    if (finish_in_mould(request, code, (struct view){nothing, 0}, 0))
        return;
    finish(request, code,
           MHD_create_response_from_buffer(0, (void *)(uintptr_t)nothing,
                                           MHD_RESPMEM_PERSISTENT),
           0);
}

static ssize_t read_nothing(void *cls, uint64_t position, char *buffer,
                            size_t size)
{
    (void)cls;
    (void)position;
    (void)buffer;
    (void)size;
    assert(false); /* HEAD and 304 have no body. */
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* The length of a body without the body. */
static void reply_length(struct request *request, unsigned code, uint64_t size)
{
    finish(request, code,
           MHD_create_response_from_callback(size, 1, read_nothing, NULL, NULL),
           0);
}

/* What keeps a large answer, and the budget it counts against. */
struct counted {
    struct hold hold;
    struct budget *budget;
};

static void free_counted(void *cls)
{
    struct counted *counted = cls;

    budget_give_back(counted->budget, counted->hold.size);
    hold_release(&counted->hold);
    free(counted);
}

/* NULL: no memory; what is held is still the caller's. */
static struct counted *count_answer(struct request *request,
                                    const struct hold *hold)
{
    struct counted *counted = malloc(sizeof(*counted));

    if (counted != NULL)
        *counted = (struct counted){
            *hold, &request->exchange->http_loop->shared->answer_memory};
    return counted;
}

/* What was written must be told: that answer goes out in any case. */
static bool take_budget(struct request *request, uint64_t size)
{
    struct budget *budget =
        &request->exchange->http_loop->shared->answer_memory;

    if (!request->applied)
        return budget_take(budget, size);
    budget_overdraw(budget, size);
    return true;
}

static void reply_large(struct request *request, unsigned code,
                        struct hold *hold, struct view body)
{
    struct MHD_Response *response = NULL;

    if (!take_budget(request, hold->size)) {
        hold_release(hold);
        request->exchange->nfields = 0;
        reply_problem(request, PROBLEM_BUSY,
                      "There is no memory for the answer now; body-memory "
                      "bounds it. Try again.");
        return;
    }

    struct counted *counted = count_answer(request, hold);

    if (counted != NULL)
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            body.size, (void *)(uintptr_t)body.data, free_counted, counted);
    if (response == NULL) {
        budget_give_back(&request->exchange->http_loop->shared->answer_memory,
                         hold->size);
        free(counted);
        hold_release(hold);
    }
    finish(request, code, response, body.size);
}

void reply_held(struct request *request, unsigned code, const char *media_type,
                struct hold *hold, struct view body)
{
    struct hold held = *hold;
    struct MHD_Response *response;
    bool bare = code == MHD_HTTP_NOT_MODIFIED || request->method == METHOD_HEAD;

    *hold = HOLD_NOTHING;
    if (code != MHD_HTTP_NOT_MODIFIED) {
        reply_header_text(request, "Content-Type", view_of(media_type));
        add_safety(request);
    }
    if (finish_in_mould(request, code, body, bare ? 0 : body.size)) {
        hold_release(&held);
        return;
    }
    if (bare) {
        hold_release(&held);
        reply_length(request, code, body.size);
        return;
    }
    if (held.size > SMALL_ANSWER) {
        reply_large(request, code, &held, body);
        return;
    }
    response = MHD_create_response_from_buffer_with_free_callback_cls(
        body.size, (void *)(uintptr_t)body.data, held.release, held.memory);
    if (response == NULL)
        hold_release(&held);
    finish(request, code, response, body.size);
}

void reply_bytes(struct request *request, unsigned code, const char *media_type,
                 struct blob *owner, struct view body)
{
    struct hold hold = hold_blob(owner);

    reply_held(request, code, media_type, &hold, body);
}

void reply_file(struct request *request, unsigned code, const char *media_type,
                int descriptor, uint64_t first, uint64_t count)
{
    struct MHD_Response *response;

    if (code != MHD_HTTP_NOT_MODIFIED) {
        reply_header(request, "Content-Type", "%s", media_type);
        add_safety(request);
    }
    if (code == MHD_HTTP_NOT_MODIFIED || request->method == METHOD_HEAD) {
        if (descriptor >= 0)
            close(descriptor);
        reply_length(request, code, count);
        return;
    }
    /* Larger pieces from the disk than one sendfile() asks for. */
    posix_fadvise(descriptor, (off_t)first, (off_t)count,
                  POSIX_FADV_SEQUENTIAL);
    response =
        MHD_create_response_from_fd_at_offset64(count, descriptor, first);
    if (response == NULL)
        close(descriptor);
    finish(request, code, response, count);
}

void reply_static(struct request *request, unsigned code,
                  const char *media_type, struct view body)
{
    reply_header_text(request, "Content-Type", view_of(media_type));
    reply_header_literal(request, "X-Content-Type-Options", "nosniff");
    if (finish_in_mould(request, code, body, body.size))
        return;
    finish(request, code,
           MHD_create_response_from_buffer(
               body.size, (void *)(uintptr_t)body.data, MHD_RESPMEM_PERSISTENT),
           body.size);
}

void reply_stream(struct request *request, unsigned code,
                  const char *media_type, struct stream *stream)
{
    struct exchange *exchange = request->exchange;

    reply_header_text(request, "Content-Type", view_of(media_type));
    add_safety(request);
    finish(request, code,
           feed_response(
               exchange->http_loop, exchange->mhd, exchange->connection, stream,
               request->method == METHOD_HEAD ? FEED_UNREAD : FEED_READ),
           0);
}

void reply_member_number(struct request *request, const char *name,
                         uint64_t number)
{
    blob_printf(&request->exchange->members, ",\"%s\":%" PRIu64, name, number);
}

void reply_member_text(struct request *request, const char *name,
                       struct view text)
{
    struct blob *members = &request->exchange->members;

    blob_printf(members, ",\"%s\":", name);
    blob_append_json(members, text);
}

static bool writes(const struct request *request)
{
    switch (request->method) {
    case METHOD_PUT:
    case METHOD_PATCH:
    case METHOD_POST:
    case METHOD_DELETE:
        return request->route == NULL ||
               (request->route->rules & ROUTE_WRITES) != 0;
    case METHOD_GET:
    case METHOD_HEAD:
    case METHOD_OPTIONS:
    case METHOD_COUNT:
        break;
    }
    return false;
}

void reply_document(struct request *request, enum problem problem,
                    struct view detail, struct blob *document)
{
    const struct problem_row *row = problem_row(problem);
    const struct blob *members = &request->exchange->members;

    blob_printf(document,
                "{\"type\":\"" PROBLEM_TYPE_PREFIX
                "%s\",\"title\":\"%s\",\"status\":%u,\"detail\":",
                row->slug, row->title, row->code);
    blob_append_json(document, detail);
    if (writes(request))
        blob_append_text(document, problem == PROBLEM_OUTCOME_UNKNOWN
                                       ? ",\"outcome\":\"unknown\""
                                       : ",\"outcome\":\"not_applied\"");
    blob_append_text(document, ",\"request_id\":");
    blob_append_json(document, request->id);
    if (members->failed)
        document->failed = true;
    else
        blob_append(document, blob_view(members));
    blob_append_text(document, "}\n");
}

static void send_problem(struct request *request, enum problem problem,
                         struct view detail)
{
    const struct problem_row *row = problem_row(problem);
    struct blob document = BLOB_EMPTY;
    struct MHD_Response *response = NULL;
    size_t size;

    counter_add(&request->exchange->http_loop->shared->stats->problems[problem],
                1);
    reply_header(request, "Content-Type", "application/problem+json");
    reply_header_literal(request, "X-Content-Type-Options", "nosniff");
    reply_header(request, "Cache-Control", "no-store");
    if (row->code == MHD_HTTP_SERVICE_UNAVAILABLE)
        reply_header(request, "Retry-After", "%d", RETRY_AFTER_S);
    if (problem == PROBLEM_METHOD_NOT_ALLOWED)
        reply_allow(request);
    reply_document(request, problem, detail, &document);
    size = document.size;
    if (!document.failed &&
        finish_in_mould(request, row->code, blob_view(&document), size)) {
        blob_free(&document);
        return;
    }
    if (!document.failed)
        response = MHD_create_response_from_buffer_with_free_callback(
            document.size, document.data, free);
    if (response == NULL)
        blob_free(&document);
    finish(request, row->code, response, size);
}

void reply_problem(struct request *request, enum problem problem,
                   const char *detail, ...)
{
    char text[FIELD_SIZE];
    va_list values;
    int size;

    va_start(values, detail);
    size = vsnprintf(text, sizeof(text), detail, values);
    va_end(values);
    assert(size >= 0);
    /* Only a detail that quotes a client can be too long: cut it. */
    if ((size_t)size >= sizeof(text))
        size = sizeof(text) - 1;
    send_problem(request, problem, (struct view){text, (size_t)size});
}

/* The problem that a status of the lower layers is to a client. */
enum problem reply_problem_of(enum kist_status status)
{
    switch (status) {
    case KIST_OK:
        break;
    case KIST_NOT_FOUND:
        return PROBLEM_NOT_FOUND;
    case KIST_CONFLICT:
        return PROBLEM_CONDITION_FAILED;
    case KIST_INVALID:
        return PROBLEM_UNPROCESSABLE;
    case KIST_TOO_LARGE:
        return PROBLEM_BODY_TOO_LARGE;
    case KIST_BUSY:
    case KIST_NO_MEMORY:
        return PROBLEM_BUSY;
    case KIST_STOPPING:
        return PROBLEM_STOPPING;
    case KIST_DISK_FULL:
        return PROBLEM_DISK_FULL;
    case KIST_READ_ONLY:
        return PROBLEM_UNAVAILABLE;
    case KIST_UNKNOWN:
        return PROBLEM_OUTCOME_UNKNOWN;
    case KIST_CORRUPT:
        return PROBLEM_CORRUPT;
    case KIST_IO:
        return PROBLEM_INTERNAL;
    }
    assert(false); /* A success is no problem. */
    return PROBLEM_INTERNAL;
}

const char *reply_advice_on(enum kist_status status)
{
    switch (status) {
    case KIST_OK:
    case KIST_NOT_FOUND:
        return "there is no value";
    case KIST_CONFLICT:
        return "the value has another version; read it and try again";
    case KIST_INVALID:
        return "it cannot be done as asked";
    case KIST_TOO_LARGE:
        return "the result would be too large";
    case KIST_BUSY:
        return "too much is waiting; try again";
    case KIST_NO_MEMORY:
        return "there is no memory for it now; try again";
    case KIST_STOPPING:
        return "the node is stopping; ask another one";
    case KIST_DISK_FULL:
        return "the disk is full; free space, writes then resume by "
               "themselves";
    case KIST_READ_ONLY:
        return "the storage cannot do it now; try again";
    case KIST_UNKNOWN:
        return "the storage failed half-way; read the value before trying "
               "again";
    case KIST_CORRUPT:
        return "stored bytes failed their checksum; restore them from a "
               "backup";
    case KIST_IO:
        return "the storage failed; the log says why";
    }
    return "";
}

void reply_status(struct request *request, enum kist_status status,
                  const char *what)
{
    reply_problem(request, reply_problem_of(status), "%s: %s.", what,
                  reply_advice_on(status));
}
