/*
 * The message does not name its connection. But a head that is still being
 * read and already has such a length is the one, or another one that will be
 * refused for the same reason a little later.
 */
#include "api/bad_length.h"

#include "api/exchange.h"
#include "api/head.h"
#include "api/reply.h"

#include <string.h>
#include <sys/socket.h>

bool bad_length_is_announced(const char *message)
{
    static const char *const announcements[] = {
        "Failed to parse `Content-Length'",
        "Too large value of 'Content-Length'",
    };

    for (size_t i = 0; i < sizeof(announcements) / sizeof(announcements[0]);
         i++) {
        if (strncmp(message, announcements[i], strlen(announcements[i])) == 0)
            return true;
    }
    return false;
}

static bool has_bad_length(struct MHD_Connection *mhd)
{
    const char *text;
    size_t size;
    uint64_t length;

    return MHD_lookup_connection_value_n(mhd, MHD_HEADER_KIND,
                                         MHD_HTTP_HEADER_CONTENT_LENGTH,
                                         strlen(MHD_HTTP_HEADER_CONTENT_LENGTH),
                                         &text, &size) == MHD_YES &&
           !view_to_u64((struct view){text, size}, &length);
}

static struct connection *find(struct http_loop *loop)
{
    for (struct connection *connection = loop->idle.last; connection != NULL;
         connection = connection->previous) {
        if (connection->reading != NULL && !connection->ended &&
            has_bad_length(connection->reading->mhd))
            return connection;
    }
    return NULL;
}

/* The whole answer, as the library would have written it. */
static void write_answer(struct exchange *exchange, struct blob *answer)
{
    struct request *request = &exchange->request;
    struct blob document = BLOB_EMPTY;

    request_ids_draw(&exchange->http_loop->ids, exchange->drawn_id);
    request->id = view_of(exchange->drawn_id);
    reply_document(request, head_fault_problem(HEAD_LENGTH),
                   view_of(head_fault_detail(HEAD_LENGTH)), &document);
    blob_printf(answer,
                "HTTP/1.1 400 Bad Request\r\n"
                "Connection: close\r\n"
                "Content-Type: application/problem+json\r\n"
                "Cache-Control: no-store\r\n"
                "Request-Id: %s\r\n"
                "Content-Length: %zu\r\n\r\n",
                exchange->drawn_id, document.size);
    if (document.failed)
        answer->failed = true;
    blob_append(answer, blob_view(&document));
    blob_free(&document);
}

void bad_length_answer(struct http_loop *loop)
{
    struct connection *connection = find(loop);
    struct blob answer = BLOB_EMPTY;

    if (connection == NULL)
        return; /* Then the library's own answer must do. */
    write_answer(connection->reading, &answer);
    counter_add(&loop->shared->stats->problems[PROBLEM_MALFORMED_REQUEST], 1);
    /*
     * Earlier answers of this connection have all gone to the kernel; if
     * there is no room behind them, a closed connection is answer enough.
     */
    if (!answer.failed)
        (void)!send(connection->descriptor, answer.data, answer.size,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    blob_free(&answer);
    connection_end(connection);
}
