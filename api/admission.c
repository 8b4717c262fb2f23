#include "api/admission.h"

#include "api/reply.h"
#include "api/router.h"
#include "api/target.h"
#include "api/upload.h"
#include "replication/seat.h"

#include <assert.h>
#include <string.h>

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
    if (request_id_is_good(offered)) {
        exchange->request.id = offered;
        return;
    }
    request_ids_draw(&exchange->http_loop->ids, exchange->drawn_id);
    exchange->request.id = view_of(exchange->drawn_id);
}

static enum admission check_head(struct exchange *exchange, const char *method,
                                 const char *version, struct head *head)
{
    size_t size = MHD_get_connection_info(
                      exchange->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
                      ->header_size;

    exchange->request.method = head_method(view_of(method));
    head_begin(head, method, exchange->target, version, &exchange->joined);
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, read_field,
                                head);

    enum head_fault fault = head_end(head, size);

    exchange->connection->consumed += size;
    exchange->connection->consumed_unknown |= head->chunked;

    name_request(exchange, head->headers[HEADER_REQUEST_ID]);
    if (fault == HEAD_FINE) {
        memcpy(exchange->request.headers, head->headers, sizeof(head->headers));
        exchange->body_length = head->length;
        return ADMISSION_GRANTED;
    }
    reply_problem(&exchange->request, head_fault_problem(fault), "%s",
                  head_fault_detail(fault));
    return ADMISSION_UNSAFE;
}

static enum route_port port_of(const struct exchange *exchange)
{
    const struct connection *connection = exchange->connection;
    const struct settings *settings = exchange->request.api->settings;

    return connection->is_peer                 ? ROUTE_PORT_PEERS
           : connection->is_admin              ? ROUTE_PORT_ADMIN
           : settings->admin_listen.count == 0 ? ROUTE_PORT_SHARED
                                               : ROUTE_PORT_PUBLIC;
}

/* What a path takes; for an unknown path, what any path takes. */
static unsigned allowed_at(enum route_port port, struct view path)
{
    const struct route *none;
    unsigned allowed = 0;

    if (route_find(port, METHOD_OPTIONS, path, &none, &allowed) ==
        ROUTE_NO_METHOD)
        return allowed;
    return route_all_methods(port);
}

static enum admission check_method(struct exchange *exchange,
                                   const char *method)
{
    struct view name = view_of(method);

    if (exchange->request.method != METHOD_COUNT)
        return ADMISSION_GRANTED;
    if (head_method_is_foreign(name)) {
        exchange->allowed = allowed_at(port_of(exchange), exchange->path);
        reply_problem(&exchange->request, PROBLEM_METHOD_NOT_ALLOWED,
                      "Use one of the methods in Allow.");
        return ADMISSION_REFUSED;
    }
    reply_problem(&exchange->request, PROBLEM_NOT_IMPLEMENTED,
                  "The method is not known; method names are upper-case.");
    return ADMISSION_REFUSED;
}

static enum admission refuse_target(struct exchange *exchange,
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
        return ADMISSION_REFUSED;
    }
    reply_problem(&exchange->request, problem, "%s", detail);
    return problem == PROBLEM_MALFORMED_REQUEST ? ADMISSION_UNSAFE
                                                : ADMISSION_REFUSED;
}

/* OPTIONS has no rows: the table itself is the answer. */
static enum admission answer_options(struct exchange *exchange)
{
    const struct route *none;
    enum route_match match = ROUTE_NO_METHOD;

    exchange->allowed = route_all_methods(port_of(exchange));
    if (!view_is(exchange->path, "*"))
        match = route_find(port_of(exchange), METHOD_OPTIONS, exchange->path,
                           &none, &exchange->allowed);
    if (match == ROUTE_NO_PATH) {
        reply_problem(&exchange->request, PROBLEM_NO_SUCH_PATH,
                      "GET / lists the paths.");
        return ADMISSION_REFUSED;
    }
    reply_allow(&exchange->request);
    reply_empty(&exchange->request, MHD_HTTP_NO_CONTENT);
    return ADMISSION_REFUSED;
}

/* What this port does not serve, and perhaps another one does. */
static enum admission refuse_route(struct exchange *exchange,
                                   enum problem problem, const char *detail)
{
    const struct route *none;
    unsigned allowed;

    if (!exchange->connection->is_peer &&
        route_find(ROUTE_PORT_ADMIN, exchange->request.method, exchange->path,
                   &none, &allowed) == ROUTE_FOUND)
        detail = "This is served at --admin-listen alone.";
    reply_problem(&exchange->request, problem, "%s", detail);
    return ADMISSION_REFUSED;
}

static enum admission check_route(struct exchange *exchange)
{
    struct request *request = &exchange->request;

    if (exchange->target_fault != TARGET_FINE)
        return refuse_target(exchange, exchange->target_fault,
                             (struct view){NULL, 0});
    if (request->method == METHOD_OPTIONS)
        return answer_options(exchange);
    switch (route_find(port_of(exchange), request->method, exchange->path,
                       &request->route, &exchange->allowed)) {
    case ROUTE_FOUND:
        return ADMISSION_GRANTED;
    case ROUTE_NO_PATH:
        return refuse_route(exchange, PROBLEM_NO_SUCH_PATH,
                            "GET / lists the paths.");
    case ROUTE_NO_METHOD:
        return refuse_route(exchange, PROBLEM_METHOD_NOT_ALLOWED,
                            "Use one of the methods in Allow.");
    }
    return ADMISSION_REFUSED;
}

static enum admission check_target(struct exchange *exchange)
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
    return fault == TARGET_FINE ? ADMISSION_GRANTED
                                : refuse_target(exchange, fault, name);
}

static enum admission check_body(struct exchange *exchange,
                                 const struct head *head)
{
    const struct budget *memory = &exchange->http_loop->shared->upload_memory;

    upload_limit(exchange);
    if (exchange->request.route->body == BODY_NONE) {
        if (!head->chunked && head->length == 0)
            return ADMISSION_GRANTED;
        reply_problem(&exchange->request, PROBLEM_MALFORMED_REQUEST,
                      "This request takes no body.");
        return ADMISSION_REFUSED;
    }
    if (exchange->request.route->body == BODY_LINES)
        return exchange->request.route->admit(&exchange->request)
                   ? ADMISSION_GRANTED
                   : ADMISSION_REFUSED;
    if (head->length > exchange->body_limit) {
        upload_refuse(exchange, KIST_TOO_LARGE);
        return ADMISSION_REFUSED;
    }
    if (upload_is_large(exchange))
        return exchange->request.route->admit == NULL ||
                       exchange->request.route->admit(&exchange->request)
                   ? ADMISSION_GRANTED
                   : ADMISSION_REFUSED;
    /* A look only: memory is taken as the bytes come. */
    if (head->length > memory->most - budget_used(memory) ||
        budget_used(memory) > memory->most) {
        upload_refuse(exchange, KIST_BUSY);
        return ADMISSION_REFUSED;
    }
    return ADMISSION_GRANTED;
}

static enum admission check_stopping(struct exchange *exchange)
{
    if ((exchange->request.route->rules & ROUTE_ALWAYS) != 0 ||
        exchange->http_loop->state == HTTP_LOOP_SERVING ||
        exchange->connection->begun)
        return ADMISSION_GRANTED;
    reply_problem(&exchange->request, PROBLEM_STOPPING,
                  "The node is stopping; ask another one.");
    return ADMISSION_REFUSED;
}

/* Who owns a key is not known before the members have agreed on a ring. */
static enum admission check_ring(struct exchange *exchange)
{
    const struct seat *seat = exchange->http_loop->api_loop.seat;
    uint64_t parameters = exchange->request.route->parameters;

    if (seat == NULL || seat->ring != NULL ||
        (parameters & TAKES(PARAMETER_N)) == 0)
        return ADMISSION_GRANTED;
    reply_problem(&exchange->request, PROBLEM_UNAVAILABLE,
                  "The node is not a member of its cluster yet; GET /cluster "
                  "says what it waits for.");
    return ADMISSION_REFUSED;
}

enum admission admission_check(struct exchange *exchange, const char *method,
                               const char *version, struct head *out_head)
{
    enum admission admission = check_head(exchange, method, version, out_head);

    if (admission == ADMISSION_GRANTED)
        admission = check_method(exchange, method);
    if (admission == ADMISSION_GRANTED)
        admission = check_route(exchange);
    if (admission == ADMISSION_GRANTED)
        admission = check_target(exchange);
    if (admission == ADMISSION_GRANTED)
        admission = check_stopping(exchange);
    if (admission == ADMISSION_GRANTED)
        admission = check_ring(exchange);
    if (admission == ADMISSION_GRANTED)
        admission = check_body(exchange, out_head);
    return admission;
}
