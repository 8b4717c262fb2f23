#include "api/exchange.h"

#include "api/feed.h"
#include "api/head.h"
#include "api/reply.h"
#include "api/router.h"
#include "api/target.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define KIB UINT64_C(1024)

/* A shorter body is read to its end before its request is refused. */
#define SHORT_BODY (64 * KIB)
/* How much more is read of a body that turned out too large. */
#define DISCARD_MOST (1024 * KIB)
/* What a body gets at first: memory follows what was sent, not announced. */
#define FIRST_PIECE (64 * KIB)

enum { SPARES = 256 };

/* How a check of the head ends. */
enum verdict {
    VERDICT_PASSED,
    VERDICT_REFUSED,
    VERDICT_UNSAFE, /* Refused, and what follows cannot be trusted. */
};

static const struct settings *settings_of(const struct exchange *exchange)
{
    return exchange->http_loop->shared->api->settings;
}

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
    struct exchange empty = {
        .decoded = exchange->decoded,
        .field_text = exchange->field_text,
        .members = exchange->members,
    };

    assert(exchange->body.data == NULL && exchange->response == NULL);
    blob_clear(&empty.decoded);
    blob_clear(&empty.field_text);
    blob_clear(&empty.members);
    *exchange = empty;
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

static enum MHD_Result read_field(void *cls, enum MHD_ValueKind kind,
                                  const char *name, size_t name_size,
                                  const char *value, size_t value_size)
{
    struct head *head = cls;

    assert(kind == MHD_HEADER_KIND);
    (void)kind;
    head_field(head, (struct view){name, name_size},
               (struct view){value, value_size});
    return MHD_YES;
}

static void name_request(struct exchange *exchange, struct view offered)
{
    if (head_is_request_id(offered)) {
        exchange->request.id = offered;
        return;
    }
    http_loop_draw_id(exchange->http_loop, exchange->drawn_id);
    exchange->request.id = view_of(exchange->drawn_id);
}

static enum verdict check_head(struct exchange *exchange, const char *method,
                               const char *version, struct head *head)
{
    size_t size = MHD_get_connection_info(
                      exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                      ->header_size;

    head_begin(head, method, exchange->target, version);
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, read_field,
                                head);

    enum head_fault fault = head_end(head, size);

    exchange->connection->consumed += size;
    exchange->connection->consumed_unknown |= head->chunked;

    name_request(exchange, head->headers[HEADER_REQUEST_ID]);
    if (fault == HEAD_FINE) {
        memcpy(exchange->request.headers, head->headers, sizeof(head->headers));
        exchange->body_length = head->length;
        return VERDICT_PASSED;
    }
    reply_problem(&exchange->request, head_fault_problem(fault), "%s",
                  head_fault_detail(fault));
    return VERDICT_UNSAFE;
}

/* What a path takes; for an unknown path, what any path takes. */
static unsigned allowed_at(struct view path)
{
    const struct route *none;
    unsigned allowed = 0;

    if (route_find(METHOD_OPTIONS, path, &none, &allowed) == ROUTE_NO_METHOD)
        return allowed;
    return route_all_methods();
}

static enum verdict check_method(struct exchange *exchange, const char *method)
{
    struct view name = view_of(method);

    exchange->request.method = head_method(name);
    if (exchange->request.method != METHOD_COUNT)
        return VERDICT_PASSED;
    if (head_method_is_foreign(name)) {
        exchange->allowed = allowed_at(exchange->path);
        reply_problem(&exchange->request, PROBLEM_METHOD_NOT_ALLOWED,
                      "Use one of the methods in Allow.");
        return VERDICT_REFUSED;
    }
    reply_problem(&exchange->request, PROBLEM_NOT_IMPLEMENTED,
                  "The method is not known; method names are upper-case.");
    return VERDICT_REFUSED;
}

static enum verdict refuse_target(struct exchange *exchange,
                                  enum target_fault fault, struct view name)
{
    enum problem problem = target_fault_problem(fault);
    const char *detail = target_fault_detail(fault);

    if (fault == TARGET_KEY_LONG) {
        reply_member_text(&exchange->request, "limit_name",
                          VIEW_LITERAL("key"));
        reply_member_number(&exchange->request, "limit", TARGET_KEY_MAX);
    }
    if (fault == TARGET_PARAMETER_UNKNOWN || fault == TARGET_PARAMETER_TWICE) {
        reply_member_text(&exchange->request, "parameter", name);
        reply_problem(&exchange->request, problem, "%s '%.*s'.", detail,
                      (int)(name.size < 64 ? name.size : 64), name.data);
        return VERDICT_REFUSED;
    }
    reply_problem(&exchange->request, problem, "%s", detail);
    return problem == PROBLEM_MALFORMED_REQUEST ? VERDICT_UNSAFE
                                                : VERDICT_REFUSED;
}

/* OPTIONS has no rows: the table itself is the answer. */
static enum verdict answer_options(struct exchange *exchange)
{
    const struct route *none;
    enum route_match match = ROUTE_NO_METHOD;

    exchange->allowed = route_all_methods();
    if (!view_is(exchange->path, "*"))
        match = route_find(METHOD_OPTIONS, exchange->path, &none,
                           &exchange->allowed);
    if (match == ROUTE_NO_PATH) {
        reply_problem(&exchange->request, PROBLEM_NO_SUCH_PATH,
                      "GET / lists the paths.");
        return VERDICT_REFUSED;
    }
    reply_allow(&exchange->request);
    reply_empty(&exchange->request, MHD_HTTP_NO_CONTENT);
    return VERDICT_REFUSED;
}

static enum verdict check_route(struct exchange *exchange)
{
    struct request *request = &exchange->request;

    if (exchange->target_fault != TARGET_FINE)
        return refuse_target(exchange, exchange->target_fault,
                             (struct view){NULL, 0});
    if (request->method == METHOD_OPTIONS)
        return answer_options(exchange);
    switch (route_find(request->method, exchange->path, &request->route,
                       &exchange->allowed)) {
    case ROUTE_FOUND:
        return VERDICT_PASSED;
    case ROUTE_NO_PATH:
        reply_problem(request, PROBLEM_NO_SUCH_PATH, "GET / lists the paths.");
        return VERDICT_REFUSED;
    case ROUTE_NO_METHOD:
        reply_problem(request, PROBLEM_METHOD_NOT_ALLOWED,
                      "Use one of the methods in Allow.");
        return VERDICT_REFUSED;
    }
    return VERDICT_REFUSED;
}

static enum verdict check_target(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    struct view raw_key = route_key(request->route, exchange->path);
    struct view name = {NULL, 0};
    char *room = NULL;
    enum target_fault fault = TARGET_FINE;

    if (exchange->decoded.data != NULL)
        room = exchange->decoded.data + exchange->decoded.size;
    if (raw_key.data != NULL)
        fault = target_key(raw_key, room, &request->key);
    if (fault == TARGET_FINE && exchange->query.size > 0) {
        /* Decoding never makes a text longer. */
        room += exchange->path.size;
        fault = target_query(exchange->query, request->route->parameters, room,
                             request->parameters, &name);
    }
    return fault == TARGET_FINE ? VERDICT_PASSED
                                : refuse_target(exchange, fault, name);
}

static bool may_be_json(struct view media_type)
{
    const char *end = media_type.size == 0
                          ? NULL
                          : memchr(media_type.data, ';', media_type.size);

    if (end != NULL)
        media_type.size = (size_t)(end - media_type.data);
    media_type = view_trim(media_type);
    return media_type.size == 0 ||
           view_is_ignoring_case(media_type, "application/json") ||
           view_is_ignoring_case(media_type,
                                 "application/x-www-form-urlencoded");
}

static void limit_body(struct exchange *exchange, const char *name,
                       uint64_t bytes)
{
    exchange->body_limit_name = name;
    exchange->body_limit = bytes;
}

static void find_body_limit(struct exchange *exchange)
{
    const struct settings *settings = settings_of(exchange);

    switch (exchange->request.route->body) {
    case BODY_NONE:
        limit_body(exchange, "", 0);
        break;
    case BODY_VALUE:
        if (may_be_json(exchange->request.headers[HEADER_CONTENT_TYPE]))
            limit_body(exchange, "max-json-bytes", settings->max_json_bytes);
        else
            limit_body(exchange, "max-value-bytes", settings->max_value_bytes);
        break;
    case BODY_PATCH:
        limit_body(exchange, "max-json-bytes", settings->max_json_bytes);
        break;
    case BODY_BATCH:
        limit_body(exchange, "max-batch-bytes", settings->max_batch_bytes);
        break;
    }
}

static void refuse_body(struct exchange *exchange, enum kist_status status)
{
    struct request *request = &exchange->request;

    if (status != KIST_TOO_LARGE) {
        reply_problem(request, PROBLEM_BUSY,
                      "There is no memory for the body now; body-memory "
                      "bounds it. Try again.");
        return;
    }
    reply_member_text(request, "limit_name",
                      view_of(exchange->body_limit_name));
    reply_member_number(request, "limit", exchange->body_limit);
    reply_problem(request, PROBLEM_BODY_TOO_LARGE,
                  "The body is larger than %s allows (%llu bytes).",
                  exchange->body_limit_name,
                  (unsigned long long)exchange->body_limit);
}

static enum verdict check_body(struct exchange *exchange,
                               const struct head *head)
{
    const struct budget *memory = &exchange->http_loop->shared->body_memory;

    find_body_limit(exchange);
    if (exchange->request.route->body == BODY_NONE) {
        if (!head->chunked && head->length == 0)
            return VERDICT_PASSED;
        reply_problem(&exchange->request, PROBLEM_MALFORMED_REQUEST,
                      "This request takes no body.");
        return VERDICT_REFUSED;
    }
    if (exchange->body_limit > memory->most)
        limit_body(exchange, "body-memory", memory->most);
    if (head->length > exchange->body_limit) {
        refuse_body(exchange, KIST_TOO_LARGE);
        return VERDICT_REFUSED;
    }
    /* A look only: memory is taken as the bytes come. */
    if (head->length > memory->most - budget_used(memory) ||
        budget_used(memory) > memory->most) {
        refuse_body(exchange, KIST_BUSY);
        return VERDICT_REFUSED;
    }
    return VERDICT_PASSED;
}

static enum verdict check_stopping(struct exchange *exchange)
{
    const struct api *api = exchange->request.api;

    if ((exchange->request.route->rules & ROUTE_ALWAYS) != 0 ||
        !atomic_load_explicit(&api->stopping, memory_order_relaxed))
        return VERDICT_PASSED;
    reply_problem(&exchange->request, PROBLEM_STOPPING,
                  "The node is stopping; ask another one.");
    return VERDICT_REFUSED;
}

static enum verdict check_request(struct exchange *exchange, const char *method,
                                  const char *version, struct head *head)
{
    enum verdict verdict = check_head(exchange, method, version, head);

    if (verdict == VERDICT_PASSED)
        verdict = check_method(exchange, method);
    if (verdict == VERDICT_PASSED)
        verdict = check_route(exchange);
    if (verdict == VERDICT_PASSED)
        verdict = check_target(exchange);
    if (verdict == VERDICT_PASSED)
        verdict = check_stopping(exchange);
    if (verdict == VERDICT_PASSED)
        verdict = check_body(exchange, head);
    return verdict;
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
                    CONNECTION_ANSWER, clock_mono_ns());
    queued = MHD_queue_response(exchange->mhd, exchange->code, response);
    MHD_destroy_response(response); /* libmicrohttpd counts its own. */
    return queued;
}

static enum MHD_Result first_call(struct exchange *exchange, const char *method,
                                  const char *version)
{
    struct head head;

    exchange->request.started_ns = clock_mono_ns();
    gauge_add(&stats_of(exchange)->in_flight, 1);

    enum verdict verdict = check_request(exchange, method, version, &head);

    if (exchange->state == EXCHANGE_BROKEN)
        return MHD_NO;
    exchange->state =
        verdict == VERDICT_PASSED ? EXCHANGE_BODY : EXCHANGE_DISCARDING;
    if (verdict == VERDICT_UNSAFE)
        return queue(exchange);
    if (!head.chunked && head.length == 0)
        return MHD_YES;
    if (verdict == VERDICT_REFUSED &&
        (head.chunked || head.expects_continue || head.length > SHORT_BODY))
        return queue(exchange);
    http_loop_enter(exchange->http_loop, exchange->connection, CONNECTION_BODY,
                    exchange->request.started_ns);
    return MHD_YES;
}

static void drop_body(struct exchange *exchange)
{
    blob_free(&exchange->body);
    budget_give_back(&exchange->http_loop->shared->body_memory,
                     exchange->body_taken);
    exchange->body_taken = 0;
}

/* Doubling, from FIRST_PIECE on, but never beyond what was announced. */
static uint64_t next_capacity(const struct exchange *exchange, uint64_t needed)
{
    uint64_t capacity = 2 * exchange->body_taken;

    if (capacity < FIRST_PIECE)
        capacity = FIRST_PIECE;
    if (capacity < needed)
        capacity = needed;
    if (exchange->body_length > 0 && capacity > exchange->body_length)
        capacity = exchange->body_length;
    if (capacity > exchange->body_limit)
        capacity = exchange->body_limit;
    return capacity;
}

static enum kist_status make_room(struct exchange *exchange, size_t size)
{
    struct budget *memory = &exchange->http_loop->shared->body_memory;
    uint64_t needed = exchange->body.size + size;

    if (needed > exchange->body_limit)
        return KIST_TOO_LARGE;
    if (needed <= exchange->body_taken)
        return KIST_OK;

    uint64_t capacity = next_capacity(exchange, needed);

    if (!budget_take(memory, capacity - exchange->body_taken))
        return KIST_BUSY;
    exchange->body_taken = capacity;
    return blob_reserve(&exchange->body,
                        (size_t)capacity - exchange->body.size);
}

static enum MHD_Result take_bytes(struct exchange *exchange, struct view bytes)
{
    exchange->connection->received += bytes.size;
    exchange->connection->consumed += bytes.size;
    counter_add(&stats_of(exchange)->received_bytes, bytes.size);
    if (exchange->state == EXCHANGE_DISCARDING) {
        exchange->discarded += bytes.size;
        return exchange->discarded > DISCARD_MOST ? MHD_NO : MHD_YES;
    }
    assert(exchange->state == EXCHANGE_BODY);

    enum kist_status status = make_room(exchange, bytes.size);

    if (status == KIST_OK) {
        blob_append(&exchange->body, bytes);
        return MHD_YES;
    }
    drop_body(exchange);
    exchange->state = EXCHANGE_DISCARDING;
    refuse_body(exchange, status);
    return exchange->state == EXCHANGE_BROKEN ? MHD_NO : MHD_YES;
}

static void park(struct exchange *exchange)
{
    struct http_loop *loop = exchange->http_loop;

    exchange->state = EXCHANGE_PARKED;
    exchange->previous_parked = NULL;
    exchange->next_parked = loop->parked;
    if (loop->parked != NULL)
        loop->parked->previous_parked = exchange;
    loop->parked = exchange;
    gauge_add(&stats_of(exchange)->parked, 1);
    http_loop_enter(loop, exchange->connection, CONNECTION_WORK,
                    clock_mono_ns());
    MHD_suspend_connection(exchange->mhd);
}

static void unpark(struct exchange *exchange)
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
    MHD_resume_connection(exchange->mhd);
    http_loop_wake(loop);
}

static enum MHD_Result run(struct exchange *exchange)
{
    exchange->state = EXCHANGE_RUNNING;
    exchange->request.body = blob_view(&exchange->body);
    exchange->request.route->handle(&exchange->request);
    if (exchange->state != EXCHANGE_RUNNING || exchange->response != NULL)
        return queue(exchange);
    park(exchange);
    return MHD_YES;
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
    if (*upload_size > 0) {
        struct view bytes = {upload, *upload_size};

        *upload_size = 0;
        return take_bytes(exchange, bytes);
    }
    switch (exchange->state) {
    case EXCHANGE_HEAD:
        return first_call(exchange, method, version);
    case EXCHANGE_BODY:
        return run(exchange);
    case EXCHANGE_DISCARDING:
    case EXCHANGE_ANSWERED:
    case EXCHANGE_BROKEN:
        return queue(exchange);
    case EXCHANGE_RUNNING:
    case EXCHANGE_PARKED:
    case EXCHANGE_SENDING:
        break;
    }
    assert(!"called in a state that waits for us");
    return MHD_NO;
}

void exchange_answer(struct exchange *exchange, unsigned code,
                     struct MHD_Response *response, uint64_t size)
{
    bool parked = exchange->state == EXCHANGE_PARKED;

    assert(exchange->response == NULL);
    assert(exchange->state != EXCHANGE_SENDING);
    exchange->response = response;
    exchange->code = code;
    exchange->answer_size = size;
    if (response == NULL)
        exchange->state = EXCHANGE_BROKEN;
    else if (parked)
        exchange->state = EXCHANGE_ANSWERED;
    if (parked)
        unpark(exchange);
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

static struct view print_client(struct MHD_Connection *connection,
                                char text[INET6_ADDRSTRLEN])
{
    const struct sockaddr *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
            ->client_addr;
    const char *printed = NULL;

    if (address->sa_family == AF_INET)
        printed = inet_ntop(
            AF_INET,
            &((const struct sockaddr_in *)(const void *)address)->sin_addr,
            text, INET6_ADDRSTRLEN);
    else if (address->sa_family == AF_INET6)
        printed = inet_ntop(
            AF_INET6,
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
            text, INET6_ADDRSTRLEN);
    return printed == NULL ? VIEW_LITERAL("") : view_of(printed);
}

/* Without the query, which may hold what nobody should read in a log. */
static void log_access(struct exchange *exchange, uint64_t duration_ns)
{
    const struct request *request = &exchange->request;
    struct log_line line = log_begin_access(request->api->log);
    char client[INET6_ADDRSTRLEN];

    if (line.log == NULL)
        return;
    log_text(&line, "client", print_client(exchange->mhd, client));
    log_text(&line, "method",
             view_of(request->method == METHOD_COUNT
                         ? "other"
                         : head_method_name(request->method)));
    log_text(&line, "path", exchange->path);
    log_number(&line, "status", exchange->code);
    log_number(&line, "bytes", exchange->answer_size);
    log_seconds(&line, "seconds", duration_ns);
    log_text(&line, "request_id", request->id);
    log_end(&line);
}

static void account(struct exchange *exchange, bool whole, uint64_t now_ns)
{
    struct http_stats *stats = stats_of(exchange);
    const struct route *route = exchange->request.route;
    uint64_t duration_ns = now_ns - exchange->request.started_ns;
    bool unlogged = route != NULL && (route->rules & ROUTE_UNLOGGED) != 0;

    gauge_add(&stats->in_flight, -1);
    if (!whole)
        counter_add(&stats->lost, 1);
    if (exchange->state != EXCHANGE_SENDING)
        return; /* Not answered by us, and the head may be overwritten. */
    http_stats_answered(stats, route, exchange->code, duration_ns);
    counter_add(&stats->sent_bytes, exchange->answer_size);
    if (!unlogged)
        log_access(exchange, duration_ns);
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
    assert(exchange->state != EXCHANGE_PARKED);
    if (exchange->request.started_ns != 0)
        account(exchange,
                exchange->state == EXCHANGE_SENDING &&
                    how == MHD_REQUEST_TERMINATED_COMPLETED_OK,
                now_ns);
    if (exchange->request.work_free != NULL)
        exchange->request.work_free(exchange->request.work);
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    exchange->response = NULL;
    drop_body(exchange);
    http_loop_enter(exchange->http_loop, exchange->connection, CONNECTION_IDLE,
                    now_ns);
    give_back(exchange);
}
