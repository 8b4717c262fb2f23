#include "tests/support/http.h"

#include "base/clock.h"
#include "tests/support/give_up.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)

static void open_to(struct http *http, struct in_addr host, uint16_t port,
                    int receive_bytes)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = host,
    };
    int on = 1;

    *http = (struct http){.patience_ms = 20000};
    http->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (http->descriptor < 0)
        give_up("socket: %s", strerror(errno));
    if (receive_bytes > 0)
        setsockopt(http->descriptor, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                   sizeof receive_bytes);
    if (connect(http->descriptor, (struct sockaddr *)&address,
                sizeof address) != 0)
        give_up("connect to port %d: %s", port, strerror(errno));
    setsockopt(http->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void http_open_narrow(struct http *http, uint16_t port, int receive_bytes)
{
    open_to(http, (struct in_addr){htonl(INADDR_LOOPBACK)}, port,
            receive_bytes);
}

void http_open(struct http *http, uint16_t port)
{
    http_open_narrow(http, port, 0);
}

void http_open_at(struct http *http, const char *address, uint16_t port)
{
    struct in_addr host;

    if (inet_pton(AF_INET, address, &host) != 1)
        give_up("%s is no address", address);
    open_to(http, host, port, 0);
}

void http_close(struct http *http)
{
    if (http->descriptor >= 0)
        close(http->descriptor);
    blob_free(&http->inbox);
    *http = (struct http){.descriptor = -1};
}

bool http_send(struct http *http, struct view bytes)
{
    while (bytes.size > 0) {
        struct pollfd wait = {.fd = http->descriptor, .events = POLLOUT};

        if (poll(&wait, 1, http->patience_ms) == 0)
            give_up("the server takes no bytes for %d ms", http->patience_ms);
        ssize_t n = send(http->descriptor, bytes.data, bytes.size,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n < 0)
            return false;
        bytes = view_from(bytes, (size_t)n);
    }
    return true;
}

bool http_send_text(struct http *http, const char *text)
{
    return http_send(http, view_of(text));
}

/* Waits at most ms for bytes. False: none came; see http->ended. */
static bool receive(struct http *http, uint64_t deadline_ns)
{
    struct pollfd wait = {.fd = http->descriptor, .events = POLLIN};
    uint64_t now_ns = clock_mono_ns();
    char piece[65536];

    if (http->ended || now_ns >= deadline_ns)
        return false;
    if (poll(&wait, 1, (int)((deadline_ns - now_ns) / NS_PER_MS + 1)) <= 0)
        return false;

    ssize_t n = recv(http->descriptor, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        http->ended = true;
        return false;
    }
    if (http->used == http->inbox.size) {
        blob_clear(&http->inbox);
        http->used = 0;
    }
    blob_append(&http->inbox, (struct view){piece, (size_t)n});
    return true;
}

static struct view unread(const struct http *http)
{
    return view_from(blob_view(&http->inbox), http->used);
}

static uint64_t deadline_of(const struct http *http)
{
    return clock_mono_ns() + (uint64_t)http->patience_ms * NS_PER_MS;
}

/* The deadline passed with the connection open: nothing can be told. */
static bool ended_or_late(const struct http *http)
{
    if (!http->ended)
        give_up("no whole answer after %d ms, only: %.*s", http->patience_ms,
                (int)unread(http).size, unread(http).data);
    return false;
}

/* Everything up to and with end, appended to *into. */
static bool read_until(struct http *http, const char *end, uint64_t deadline_ns,
                       struct blob *into)
{
    for (;;) {
        struct view rest = unread(http);
        const char *at = rest.size > 0
                             ? memmem(rest.data, rest.size, end, strlen(end))
                             : NULL;
        if (at != NULL) {
            size_t size = (size_t)(at - rest.data) + strlen(end);

            blob_append(into, (struct view){rest.data, size});
            http->used += size;
            return true;
        }
        if (!receive(http, deadline_ns))
            return ended_or_late(http);
    }
}

static bool read_exactly(struct http *http, uint64_t size, uint64_t deadline_ns,
                         struct blob *into)
{
    while (size > 0) {
        struct view rest = unread(http);

        if (rest.size == 0) {
            if (!receive(http, deadline_ns))
                return ended_or_late(http);
            continue;
        }
        if (rest.size > size)
            rest.size = (size_t)size;
        blob_append(into, rest);
        http->used += rest.size;
        size -= rest.size;
    }
    return true;
}

static bool read_chunks(struct http *http, uint64_t deadline_ns,
                        struct blob *body)
{
    for (;;) {
        struct blob line = BLOB_EMPTY, end = BLOB_EMPTY;
        char *stop = NULL;
        bool ok = read_until(http, "\r\n", deadline_ns, &line);

        blob_append_byte(&line, '\0');
        uint64_t size = ok ? strtoull(line.data, &stop, 16) : 0;
        if (ok && (stop == line.data || strcmp(stop, "\r\n") != 0))
            give_up("the answer has the chunk size %s", line.data);
        blob_free(&line);
        ok = ok && read_exactly(http, size, deadline_ns, body) &&
             read_exactly(http, 2, deadline_ns, &end);
        if (ok && !view_is(blob_view(&end), "\r\n"))
            give_up("a chunk of the answer has no end");
        blob_free(&end);
        if (!ok || size == 0)
            return ok;
    }
}

static bool read_to_end(struct http *http, uint64_t deadline_ns,
                        struct blob *body)
{
    do {
        blob_append(body, unread(http));
        http->used = http->inbox.size;
    } while (receive(http, deadline_ns));
    return http->ended || ended_or_late(http);
}

/* Every line must be a header, so that none can come twice unnoticed. */
static void check_head(const struct http_answer *answer)
{
    struct view rest = blob_view(&answer->head);
    size_t line = 0;

    for (; !view_is(rest, "\r\n"); line++) {
        const char *end = memmem(rest.data, rest.size, "\r\n", 2);
        struct view text = {rest.data, (size_t)(end - rest.data)};
        const char *colon = memchr(text.data, ':', text.size);

        if (line > 0 && (colon == NULL || colon == text.data ||
                         memchr(text.data, ' ', (size_t)(colon - text.data))))
            give_up("not an HTTP answer: %.*s", (int)answer->head.size,
                    answer->head.data);
        rest = view_from(rest, text.size + 2);
    }
}

struct view http_header(const struct http_answer *answer, const char *name)
{
    struct view rest = blob_view(&answer->head);
    struct view found = {NULL, 0};

    for (const char *end;
         (end = memmem(rest.data, rest.size, "\r\n", 2)) != NULL;) {
        struct view line = {rest.data, (size_t)(end - rest.data)};
        const char *colon =
            line.size > 0 ? memchr(line.data, ':', line.size) : NULL;

        rest = view_from(rest, line.size + 2);
        if (colon == NULL)
            continue;
        struct view here = {line.data, (size_t)(colon - line.data)};
        if (!view_is_ignoring_case(here, name))
            continue;
        if (found.data != NULL)
            give_up("two headers %s in: %.*s", name, (int)answer->head.size,
                    answer->head.data);
        found = view_trim(view_from(line, here.size + 1));
    }
    return found;
}

static void parse_head(struct http_answer *answer)
{
    const char *head = answer->head.data;

    if (answer->head.size < 15 || memcmp(head, "HTTP/1.1 ", 9) != 0)
        give_up("not an HTTP answer: %.*s", (int)answer->head.size, head);
    answer->status = (unsigned)strtoul(head + 9, NULL, 10);
    if (answer->status < 100 || answer->status > 599)
        give_up("not a status line: %.*s", (int)answer->head.size, head);
    check_head(answer);
    answer->closes =
        view_is_ignoring_case(http_header(answer, "Connection"), "close");
}

static bool read_body(struct http *http, uint64_t deadline_ns,
                      struct http_answer *answer)
{
    struct view length = http_header(answer, "Content-Length");
    struct view coding = http_header(answer, "Transfer-Encoding");
    uint64_t size = 0;

    if (coding.data != NULL && length.data != NULL)
        give_up("the answer has a length and chunks");
    if (coding.data != NULL)
        return read_chunks(http, deadline_ns, &answer->body);
    if (length.data == NULL)
        return read_to_end(http, deadline_ns, &answer->body);
    if (!view_to_u64(length, &size))
        give_up("the answer's length is %.*s", (int)length.size, length.data);
    return read_exactly(http, size, deadline_ns, &answer->body);
}

void http_answer_free(struct http_answer *answer)
{
    blob_free(&answer->head);
    blob_free(&answer->body);
    *answer = (struct http_answer){0};
}

bool http_read(struct http *http, enum http_kind kind,
               struct http_answer *answer)
{
    uint64_t deadline_ns = deadline_of(http);

    http_answer_free(answer);
    if (!read_until(http, "\r\n\r\n", deadline_ns, &answer->head))
        return false;
    parse_head(answer);
    if (kind == HTTP_HEAD_ONLY || answer->status < 200 ||
        answer->status == 204 || answer->status == 304)
        answer->whole = true;
    else
        answer->whole = read_body(http, deadline_ns, answer);
    return answer->whole;
}

size_t http_read_raw(struct http *http, char *into, size_t size)
{
    uint64_t deadline_ns = deadline_of(http);

    while (unread(http).size == 0) {
        if (!receive(http, deadline_ns)) {
            ended_or_late(http);
            return 0;
        }
    }
    struct view rest = unread(http);
    if (rest.size < size)
        size = rest.size;
    memcpy(into, rest.data, size);
    http->used += size;
    return size;
}

bool http_closes(struct http *http, int ms)
{
    uint64_t deadline_ns = clock_mono_ns() + (uint64_t)ms * NS_PER_MS;

    while (unread(http).size == 0 && receive(http, deadline_ns))
        ;
    return http->ended && unread(http).size == 0;
}

bool http_ask(struct http *http, const char *what, const char *headers,
              struct view body, struct http_answer *answer)
{
    struct blob request = BLOB_EMPTY;
    bool is_head = strncmp(what, "HEAD ", 5) == 0;

    blob_printf(&request, "%s HTTP/1.1\r\nHost: kist\r\n%s", what, headers);
    if (body.data != NULL)
        blob_printf(&request, "Content-Length: %zu\r\n", body.size);
    blob_append_text(&request, "\r\n");
    blob_append(&request, body);
    /* A refusal may come before all was taken: the answer tells. */
    http_send(http, blob_view(&request));
    blob_free(&request);
    return http_read(http, is_head ? HTTP_HEAD_ONLY : HTTP_WITH_BODY, answer);
}
