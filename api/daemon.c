#include "api/daemon.h"

#include "api/bad_length.h"
#include "api/exchange.h"
#include "api/head.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * For a head and its answer's head; half of it is a read of a body.
 * libmicrohttpd clears it after each request, which at 32 KiB was a quarter
 * of a GET's time in user space, and each idle connection keeps it. With less
 * than this, long bodies come in twice as slowly.
 */
enum { POOL_SIZE = 16 * 1024 };

static_assert(HEAD_SIZE_MAX <= POOL_SIZE - 4 * 1024,
              "the head of an answer finds room behind the request's");

/* Percent-decoding is ours (api/target.h): leave the text as it is. */
static size_t keep_encoding(void *cls, struct MHD_Connection *connection,
                            char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static void __attribute__((format(printf, 2, 0)))
on_message(void *cls, const char *format, va_list values)
{
    struct http_loop *loop = cls;

    if (bad_length_is_announced(format))
        bad_length_answer(loop);

    struct log_line line =
        log_begin(loop->shared->api->log, LOG_DEBUG, "http.library");
    char text[512];
    int size;

    if (line.log == NULL)
        return;
    size = vsnprintf(text, sizeof(text), format, values);
    if (size >= 0)
        log_text(&line, "message", view_of(text));
    log_end(&line);
}

enum kist_status daemon_open(struct http_loop *loop,
                             MHD_NotifyConnectionCallback moved)
{
    loop->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, exchange_call, loop, MHD_OPTION_EXTERNAL_LOGGER,
        on_message, loop, /* Must be first. */
        MHD_OPTION_NOTIFY_CONNECTION, moved, loop, MHD_OPTION_NOTIFY_COMPLETED,
        exchange_close, loop, MHD_OPTION_URI_LOG_CALLBACK, exchange_open, loop,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_encoding, loop,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)INT_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)POOL_SIZE, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
    return loop->daemon == NULL ? KIST_IO : KIST_OK;
}
