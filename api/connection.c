/*
 * A hot request must not pay for deadlines with system calls, so the start of
 * a head is found by the once-a-second look alone: the kernel has received
 * more bytes on an idle connection than its requests consumed. What a request
 * in chunks consumed is not known; after one, the first look settles it.
 *
 * libmicrohttpd 0.9.75 does not see that a client closed if that came with
 * its last bytes: edge-triggered, there is no second event. The kernel counts
 * the end of a stream as a byte, so the look finds that as a head begun, and
 * the next one finds the client gone.
 */
#include "api/connection.h"

#include "service/settings.h"

#include <errno.h>
#include <linux/tcp.h> /* glibc's own struct tcp_info lacks the counts. */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define SECOND_NS     UINT64_C(1000000000)
#define MS_NS         UINT64_C(1000000)
#define BODY_WINDOW_S UINT64_C(10)
#define ANSWER_WINDOW (UINT64_C(1) << 20)

void connection_list_add(struct connection_list *list,
                         struct connection *connection)
{
    connection->next = NULL;
    connection->previous = list->last;
    if (list->last != NULL)
        list->last->next = connection;
    else
        list->first = connection;
    list->last = connection;
}

void connection_list_remove(struct connection_list *list,
                            struct connection *connection)
{
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        list->first = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    else
        list->last = connection->previous;
}

void connection_enter(struct connection *connection,
                      enum connection_phase phase, uint64_t now_ns)
{
    connection->phase = phase;
    connection->since_ns = now_ns;
    connection->received = 0;
    connection->acked_known = false;
}

/* False where the kernel does not tell (a socket that is not TCP). */
static bool read_counts(const struct connection *connection,
                        struct tcp_info *out_info)
{
    socklen_t size = sizeof(*out_info);

    return getsockopt(connection->descriptor, IPPROTO_TCP, TCP_INFO, out_info,
                      &size) == 0 &&
           size >= offsetof(struct tcp_info, tcpi_bytes_received) +
                       sizeof(out_info->tcpi_bytes_received);
}

static ssize_t peek(const struct connection *connection)
{
    char byte;

    return recv(connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
}

bool connection_is_quiet(const struct connection *connection)
{
    return peek(connection) <= 0;
}

bool connection_is_gone(const struct connection *connection)
{
    ssize_t size = peek(connection);

    return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

void connection_look(struct connection *connection, uint64_t now_ns)
{
    struct tcp_info info;

    if (connection->phase != CONNECTION_IDLE || !read_counts(connection, &info))
        return;
    if (connection->consumed_unknown) {
        connection->consumed = info.tcpi_bytes_received;
        connection->consumed_unknown = false;
    }
    if (info.tcpi_bytes_received != connection->consumed)
        connection_enter(connection, CONNECTION_HEAD, now_ns);
}

static bool body_is_slow(struct connection *connection, uint64_t rate,
                         uint64_t now_ns)
{
    if (now_ns - connection->since_ns < BODY_WINDOW_S * SECOND_NS)
        return false;
    if (connection->received < rate * BODY_WINDOW_S)
        return true;
    connection->since_ns = now_ns;
    connection->received = 0;
    return false;
}

static bool answer_is_slow(struct connection *connection, uint64_t timeout_ns,
                           uint64_t now_ns)
{
    struct tcp_info info;

    if (!read_counts(connection, &info))
        return now_ns - connection->since_ns >= timeout_ns;
    if (!connection->acked_known) {
        connection->acked = info.tcpi_bytes_acked;
        connection->acked_known = true;
    }
    if (now_ns - connection->since_ns < timeout_ns)
        return false;
    if (info.tcpi_bytes_acked - connection->acked < ANSWER_WINDOW)
        return true;
    connection->since_ns = now_ns;
    connection->acked = info.tcpi_bytes_acked;
    return false;
}

bool connection_overdue(struct connection *connection,
                        const struct settings *settings, uint64_t now_ns,
                        enum http_end *out_end)
{
    uint64_t waited_ns = now_ns - connection->since_ns;

    *out_end = HTTP_END_GONE;
    switch (connection->phase) {
    case CONNECTION_IDLE:
        *out_end = HTTP_END_IDLE;
        connection_look(connection, now_ns);
        return waited_ns >= settings->idle_timeout_ms * MS_NS;
    case CONNECTION_HEAD:
        if (connection_is_gone(connection))
            return true;
        *out_end = HTTP_END_HEAD;
        return waited_ns >= settings->head_timeout_ms * MS_NS;
    case CONNECTION_BODY:
        if (connection_is_gone(connection))
            return true;
        *out_end = HTTP_END_BODY;
        return body_is_slow(connection, settings->body_rate_bytes, now_ns);
    case CONNECTION_WORK:
        return false;
    case CONNECTION_ANSWER:
        *out_end = HTTP_END_ANSWER;
        return answer_is_slow(connection, settings->response_timeout_ms * MS_NS,
                              now_ns);
    }
    return false;
}

void connection_end(struct connection *connection)
{
    if (connection->ended)
        return;
    connection->ended = true;

    /* ENOTCONN: the client was faster. Nothing else can happen to it. */
    (void)shutdown(connection->descriptor, SHUT_RDWR);
}
