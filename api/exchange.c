#include "api/exchange.h"

#include "api/account.h"
#include "api/admission.h"
#include "api/reply.h"
#include "api/router.h"
#include "api/target.h"
#include "api/upload.h"
#include "api/upload_file.h"
#include "base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A shorter body is read to its end before its request is refused. */
#define SHORT_BODY (UINT64_C(64) * 1024)

enum {
    SPARES = 256,
    HELD_CALLS = 8, /* More would cost more than to suspend it. */
};

static struct http_stats *stats_of(const struct exchange *exchange)
{
    return exchange->http_loop->shared->stats;
}

static struct exchange *take_spare(struct http_loop *loop)
{
    struct exchange *spare = loop->spare;

    if (spare == NULL)
        return calloc(1, sizeof(*spare));
    loop->spare = spare->next_parked;
    loop->spares--;
    spare->next_parked = NULL;
    return spare;
}

void exchange_free(struct exchange *exchange)
{
    blob_free(&exchange->decoded);
    blob_free(&exchange->body);
    blob_free(&exchange->field_text);
    blob_free(&exchange->members);
    free(exchange);
}

/* Back to the spare ones, empty, but with the memory of its small texts. */
static void give_back(struct exchange *exchange)
{
    struct http_loop *loop = exchange->http_loop;

    assert(exchange->body.data == NULL && exchange->response == NULL);
    assert(exchange->file == NULL && exchange->import == NULL);
    blob_free(&exchange->joined); /* Hardly any request has one. */
    memset(exchange, 0, offsetof(struct exchange, decoded));
    blob_clear(&exchange->decoded);
    blob_clear(&exchange->field_text);
    blob_clear(&exchange->members);
    if (loop->spares >= SPARES) {
        exchange_free(exchange);
        return;
    }
    exchange->next_parked = loop->spare;
    loop->spare = exchange;
    loop->spares++;
}

/*
 * libmicrohttpd is about to cut the query into pieces in place, so it is
 * copied now. Room for the decoded key and query lies behind the copy.
 */
static enum kist_status keep_query(struct exchange *exchange)
{
    bool encoded =
        memchr(exchange->target.data, '%', exchange->target.size) != NULL;

    if (exchange->query.data == NULL && !encoded)
        return KIST_OK;

    enum kist_status status =
        blob_reserve(&exchange->decoded, 2 * exchange->target.size + 1);

    if (status == KIST_OK && exchange->query.data != NULL) {
        blob_append(&exchange->decoded, exchange->query);
        exchange->query = blob_view(&exchange->decoded);
        if (exchange->query.data == NULL)
            exchange->query = VIEW_LITERAL("");
    }
    return status;
}

void *exchange_open(void *cls, const char *target,
                    struct MHD_Connection *connection)
{
    struct http_loop *loop = cls;
    struct exchange *exchange = take_spare(loop);

    if (exchange == NULL)
        return NULL;
    exchange->http_loop = loop;
    exchange->mhd = connection;
    exchange->connection =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
            ->socket_context;
    exchange->connection->reading = exchange;
    exchange->request.api = loop->shared->api;
    exchange->request.api_loop = &loop->api_loop;
    exchange->request.loop = loop->loop;
    exchange->request.exchange = exchange;
    exchange->request.method = METHOD_COUNT;
    exchange->target = view_of(target);
    exchange->target_fault =
        target_split(exchange->target, &exchange->path, &exchange->query);
    if (exchange->target_fault == TARGET_FINE &&
        keep_query(exchange) != KIST_OK)
        exchange->state = EXCHANGE_BROKEN;
    return exchange;
}

/* If no body came and nothing was waited for, it is still the same moment. */
static uint64_t answer_begins(const struct exchange *exchange)
{
    return exchange->connection->phase == CONNECTION_IDLE
               ? exchange->request.started_ns
               : clock_mono_ns();
}

static enum MHD_Result queue(struct exchange *exchange)
{
    struct MHD_Response *response = exchange->response;
    enum MHD_Result queued;

    if (exchange->state == EXCHANGE_BROKEN)
        return MHD_NO;
    assert(response != NULL);
    exchange->state = EXCHANGE_SENDING;
    exchange->response = NULL;
    http_loop_enter(exchange->http_loop, exchange->connection,
                    CONNECTION_ANSWER, answer_begins(exchange));
    queued = MHD_queue_response(exchange->mhd, exchange->code, response);
    if (exchange->mould == NULL)
        MHD_destroy_response(response); /* libmicrohttpd counts its own. */
    return queued;
}

/* A refusal by then is queued: the client was not told to go on yet. */
static enum MHD_Result open_file(struct exchange *exchange)
{
    enum kist_status status = upload_file_open(exchange);

    if (status == KIST_OK) {
        exchange->state = EXCHANGE_OPENING;
        return MHD_YES;
    }
    upload_refuse(exchange, status);
    return queue(exchange);
}

static enum MHD_Result file_opened(struct exchange *exchange)
{
    if (upload_file_status(exchange->file) == KIST_OK) {
        exchange->state = EXCHANGE_BODY;
        return MHD_YES;
    }
    upload_file_refuse(exchange->file, &exchange->request);
    return queue(exchange);
}

static enum MHD_Result first_call(struct exchange *exchange, const char *method,
                                  const char *version)
{
    struct head head;

    exchange->connection->reading = NULL;
    exchange->request.started_ns = clock_mono_ns();
    gauge_add(&stats_of(exchange)->in_flight, 1);

    enum admission admission =
        admission_check(exchange, method, version, &head);

    if (exchange->state == EXCHANGE_BROKEN)
        return MHD_NO;
    exchange->state =
        admission == ADMISSION_GRANTED ? EXCHANGE_BODY : EXCHANGE_DISCARDING;
    if (admission == ADMISSION_UNSAFE)
        return queue(exchange);
    if (!head.chunked && head.length == 0)
        return MHD_YES;
    if (admission == ADMISSION_REFUSED &&
        (head.chunked || head.expects_continue || head.length > SHORT_BODY))
        return queue(exchange);
    http_loop_enter(exchange->http_loop, exchange->connection, CONNECTION_BODY,
                    exchange->request.started_ns);
    if (admission == ADMISSION_GRANTED && upload_is_large(exchange))
        return open_file(exchange);
    return MHD_YES;
}

static void add_to_parked(struct exchange *exchange)
{
    struct http_loop *loop = exchange->http_loop;

    exchange->previous_parked = NULL;
    exchange->next_parked = loop->parked;
    if (loop->parked != NULL)
        loop->parked->previous_parked = exchange;
    loop->parked = exchange;
    gauge_add(&stats_of(exchange)->parked, 1);
}

static void remove_from_parked(struct exchange *exchange)
{
    struct http_loop *loop = exchange->http_loop;

    if (exchange->previous_parked != NULL)
        exchange->previous_parked->next_parked = exchange->next_parked;
    else
        loop->parked = exchange->next_parked;
    if (exchange->next_parked != NULL)
        exchange->next_parked->previous_parked = exchange->previous_parked;
    exchange->next_parked = NULL;
    exchange->previous_parked = NULL;
    gauge_add(&stats_of(exchange)->parked, -1);
    if (exchange->state == EXCHANGE_HELD)
        loop->held--;
}

static void suspend(struct exchange *exchange)
{
    exchange->state = EXCHANGE_PARKED;
    MHD_suspend_connection(exchange->mhd);
}

/* The handler kept the request. */
static void park(struct exchange *exchange)
{
    struct http_loop *loop = exchange->http_loop;

    http_loop_enter(loop, exchange->connection, CONNECTION_WORK,
                    clock_mono_ns());
    add_to_parked(exchange);
    if (exchange->request.detach == NULL) {
        suspend(exchange);
        return;
    }
    exchange->state = EXCHANGE_HELD;
    exchange->held_calls = 0;
    loop->held++;
}

/* libmicrohttpd calls for the answer. */
static enum MHD_Result still_held(struct exchange *exchange)
{
    if (++exchange->held_calls > HELD_CALLS) {
        exchange->http_loop->held--;
        suspend(exchange);
    }
    return MHD_YES;
}

static void unpark(struct exchange *exchange)
{
    bool suspended = exchange->state == EXCHANGE_PARKED;

    remove_from_parked(exchange);
    if (suspended)
        MHD_resume_connection(exchange->mhd);
    http_loop_wake(exchange->http_loop);
}

static enum MHD_Result run(struct exchange *exchange)
{
    exchange->state = EXCHANGE_RUNNING;
    exchange->request.body = blob_view(&exchange->body);
    exchange->request.file = exchange->file;
    exchange->request.route->handle(&exchange->request);
    if (exchange->state != EXCHANGE_RUNNING || exchange->response != NULL)
        return queue(exchange);
    park(exchange);
    return MHD_YES;
}

/* The loop stops, and this upload was suspended when it cut the others. */
static bool is_cut(const struct exchange *exchange)
{
    return exchange->http_loop->state >= HTTP_LOOP_STOPPING &&
           (exchange->state == EXCHANGE_OPENING ||
            exchange->state == EXCHANGE_BODY);
}

enum MHD_Result exchange_call(void *cls, struct MHD_Connection *connection,
                              const char *url, const char *method,
                              const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct exchange *exchange = *state;

    (void)cls;
    (void)connection;
    (void)url;
    if (exchange == NULL)
        return MHD_NO; /* There was no memory for it. */
    if (exchange->state == EXCHANGE_HELD)
        return still_held(exchange);
    exchange->http_loop->progress = true;
    if ((exchange->file != NULL || exchange->import != NULL) &&
        is_cut(exchange))
        return MHD_NO;
    if (*upload_size > 0)
        return upload_take(exchange, (struct view){upload, *upload_size},
                           upload_size);
    switch (exchange->state) {
    case EXCHANGE_HEAD:
        return first_call(exchange, method, version);
    case EXCHANGE_OPENING:
        return file_opened(exchange);
    case EXCHANGE_BODY:
        return run(exchange);
    case EXCHANGE_DISCARDING:
    case EXCHANGE_ANSWERED:
    case EXCHANGE_BROKEN:
        return queue(exchange);
    case EXCHANGE_RUNNING:
    case EXCHANGE_HELD:
    case EXCHANGE_PARKED:
    case EXCHANGE_SENDING:
        break;
    }
    assert(false); /* These wait for us, not for libmicrohttpd. */
    return MHD_NO;
}

void exchange_answer(struct exchange *exchange, unsigned code,
                     struct MHD_Response *response, uint64_t size)
{
    bool parked =
        exchange->state == EXCHANGE_PARKED || exchange->state == EXCHANGE_HELD;

    assert(exchange->response == NULL);
    assert(exchange->state != EXCHANGE_SENDING);
    exchange->response = response;
    exchange->code = code;
    exchange->answer_size = size;
    if (parked)
        unpark(exchange);
    if (response == NULL)
        exchange->state = EXCHANGE_BROKEN;
    else if (parked)
        exchange->state = EXCHANGE_ANSWERED;
}

void exchange_hold_body(struct exchange *exchange)
{
    exchange->http_loop->suspended_uploads++;
    http_loop_enter(exchange->http_loop, exchange->connection, CONNECTION_WORK,
                    clock_mono_ns());
    MHD_suspend_connection(exchange->mhd);
}

void exchange_go_on_with_body(struct exchange *exchange)
{
    exchange->http_loop->suspended_uploads--;
    http_loop_enter(exchange->http_loop, exchange->connection, CONNECTION_BODY,
                    clock_mono_ns());
    MHD_resume_connection(exchange->mhd);
    http_loop_wake(exchange->http_loop);
}

bool exchange_take_file(struct exchange *exchange)
{
    if (!exchange->has_file)
        exchange->has_file =
            budget_take(&exchange->http_loop->shared->files, 1);
    return exchange->has_file;
}

void exchange_abandon(struct exchange *exchange)
{
    struct request *request = &exchange->request;

    assert(exchange->state == EXCHANGE_PARKED && request->abandon != NULL);
    request->abandon(request);
    request->abandon = NULL;
    reply_problem(request, PROBLEM_STOPPING,
                  "The node is stopping; ask another one.");
}

void exchange_cut(struct exchange *exchange)
{
    struct request *request = &exchange->request;

    assert(exchange->state == EXCHANGE_PARKED && request->abandon != NULL);
    request->abandon(request);
    request->abandon = NULL;
    exchange_answer(exchange, 0, NULL, 0);
}

static void drop_response(struct exchange *exchange)
{
    if (exchange->mould != NULL)
        moulds_give_back(&exchange->http_loop->moulds, exchange->mould);
    else if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    exchange->response = NULL;
}

/* The connection broke before the answer. */
static void detach(struct exchange *exchange)
{
    struct request *request = &exchange->request;

    remove_from_parked(exchange);
    request->detach(request);
    request->work = NULL;
    request->work_free = NULL;
}

void exchange_close(void *cls, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode how)
{
    struct exchange *exchange = *state;
    uint64_t now_ns = clock_mono_ns();

    (void)cls;
    (void)connection;
    if (exchange == NULL)
        return;
    *state = NULL;
    exchange->http_loop->progress = true;
    assert(exchange->state != EXCHANGE_PARKED);
    if (exchange->state == EXCHANGE_HELD)
        detach(exchange);
    exchange->connection->reading = NULL;
    if (exchange->request.started_ns != 0)
        account_close(exchange,
                      exchange->state == EXCHANGE_SENDING &&
                              how == MHD_REQUEST_TERMINATED_COMPLETED_OK
                          ? ACCOUNT_WHOLE
                          : ACCOUNT_LOST,
                      now_ns);
    if (exchange->request.work_free != NULL)
        exchange->request.work_free(exchange->request.work);
    drop_response(exchange);
    upload_drop(exchange);
    if (exchange->has_file)
        budget_give_back(&exchange->http_loop->shared->files, 1);
    http_loop_enter(exchange->http_loop, exchange->connection, CONNECTION_IDLE,
                    now_ns);
    give_back(exchange);
}
