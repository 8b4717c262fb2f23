#include "api/account.h"

#include "api/client_address.h"
#include "api/head.h"
#include "api/json_string.h"
#include "api/router.h"

/* 00-<32 digits>-<16 digits>-<2 digits> (W3C Trace Context, version 00). */
static bool is_traceparent(struct view text)
{
    static const char form[] =
        "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

    if (text.size != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        bool digit = json_string_hex(text.data[i]) >= 0;

        if (form[i] == 'x' ? !digit : text.data[i] != '-')
            return false;
    }
    return true;
}

/* Without the query, which may hold what nobody should read in a log. */
static void log_access(struct exchange *exchange, uint64_t duration_ns)
{
    const struct request *request = &exchange->request;
    struct log_line line = log_begin_access(request->api->log);
    char client[CLIENT_ADDRESS_SIZE];

    if (line.log == NULL)
        return;
    log_text(&line, "client", client_address(request, client));
    log_text(&line, "method",
             view_of(request->method == METHOD_COUNT
                         ? "other"
                         : head_method_name(request->method)));
    log_text(&line, "path", exchange->path);
    log_number(&line, "status", exchange->code);
    log_number(&line, "bytes", exchange->answer_size);
    log_seconds(&line, "seconds", duration_ns);
    log_text(&line, "request_id", request->id);
    if (is_traceparent(request->headers[HEADER_TRACEPARENT]))
        log_text(&line, "traceparent", request->headers[HEADER_TRACEPARENT]);
    log_end(&line);
}

void account_close(struct exchange *exchange, enum account_end how,
                   uint64_t now_ns)
{
    struct http_stats *stats = exchange->http_loop->shared->stats;
    const struct route *route = exchange->request.route;
    uint64_t duration_ns = now_ns - exchange->request.started_ns;
    bool unlogged = route != NULL && (route->rules & ROUTE_UNLOGGED) != 0;

    gauge_add(&stats->in_flight, -1);
    if (how == ACCOUNT_LOST)
        counter_add(&stats->lost, 1);
    if (exchange->state != EXCHANGE_SENDING)
        return; /* Not answered by us, and the head may be overwritten. */
    http_stats_answered(stats, route, exchange->code, duration_ns);
    counter_add(&stats->sent_bytes, exchange->answer_size);
    if (!unlogged)
        log_access(exchange, duration_ns);
}
