#include "service/healthcheck.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* "HTTP/1.1 200 " and nothing after it is looked at. */
enum { STATUS_LINE = 13 };

struct probe {
    int socket;
    uint64_t deadline_ns;
};

/* Where a wildcard can be reached from here. */
static struct address reachable(const struct address *listen)
{
    struct address target = *listen;
    uint16_t port = listen->where.any.sa_family == AF_INET
                        ? listen->where.v4.sin_port
                        : listen->where.v6.sin6_port;

    /* Of both families, IPv4's loopback is there even without IPv6. */
    if (listen->both_families ||
        (listen->where.any.sa_family == AF_INET &&
         listen->where.v4.sin_addr.s_addr == htonl(INADDR_ANY))) {
        target.where.v4 = (struct sockaddr_in){
            .sin_family = AF_INET,
            .sin_port = port,
            .sin_addr = {htonl(INADDR_LOOPBACK)},
        };
        target.size = sizeof(target.where.v4);
        target.both_families = false;
    } else if (listen->where.any.sa_family == AF_INET6 &&
               IN6_IS_ADDR_UNSPECIFIED(&listen->where.v6.sin6_addr)) {
        target.where.v6.sin6_addr = in6addr_loopback;
    }
    return target;
}

static enum kist_status wait_for(const struct probe *probe, short events)
{
    struct pollfd ready = {.fd = probe->socket, .events = events};

    for (;;) {
        uint64_t now_ns = clock_mono_ns();
        if (now_ns >= probe->deadline_ns)
            return KIST_IO;
        int left_ms = (int)((probe->deadline_ns - now_ns) / 1000000) + 1;

        int count = poll(&ready, 1, left_ms);
        if (count == 1)
            return KIST_OK;
        if (count < 0 && errno != EINTR)
            return KIST_IO;
    }
}

static enum kist_status reach(const struct probe *probe,
                              const struct address *target)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (connect(probe->socket, &target->where.any, target->size) == 0)
        return KIST_OK;
    if (errno != EINPROGRESS)
        return KIST_IO;
    enum kist_status status = wait_for(probe, POLLOUT);
    if (status != KIST_OK)
        return status;
    if (getsockopt(probe->socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0 ||
        error != 0)
        return KIST_IO;
    return KIST_OK;
}

/* A fresh connection takes these few bytes whole or not at all. */
static enum kist_status ask(const struct probe *probe,
                            const struct address *target)
{
    struct blob request = BLOB_EMPTY;
    enum kist_status status = KIST_OK;

    blob_append_text(&request, "GET /readyz HTTP/1.1\r\nHost: ");
    address_print(target, &request);
    blob_append_text(&request, "\r\nConnection: close\r\n\r\n");
    if (request.failed)
        status = KIST_NO_MEMORY;
    else if (send(probe->socket, request.data, request.size, MSG_NOSIGNAL) !=
             (ssize_t)request.size)
        status = KIST_IO;
    blob_free(&request);
    return status;
}

/* The three digits of the status line. */
static enum kist_status hear(const struct probe *probe, char out_code[4])
{
    char line[STATUS_LINE];
    size_t size = 0;

    while (size < sizeof(line)) {
        enum kist_status status = wait_for(probe, POLLIN);
        if (status != KIST_OK)
            return status;

        ssize_t got = recv(probe->socket, line + size, sizeof(line) - size, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return KIST_IO;
        size += got > 0 ? (size_t)got : 0;
    }

    uint64_t code;
    if (memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
        !view_to_u64((struct view){line + 9, 3}, &code))
        return KIST_IO;
    memcpy(out_code, line + 9, 3);
    out_code[3] = '\0';
    return KIST_OK;
}

static enum kist_status converse(const struct probe *probe,
                                 const struct address *target, char out_code[4])
{
    enum kist_status status = reach(probe, target);

    if (status == KIST_OK)
        status = ask(probe, target);
    if (status == KIST_OK)
        status = hear(probe, out_code);
    return status;
}

enum kist_status healthcheck_run(const struct address *listen,
                                 uint64_t timeout_ms, struct blob *out_line)
{
    struct address target = reachable(listen);
    struct probe probe = {
        .deadline_ns = clock_mono_ns() + timeout_ms * 1000000,
    };
    char code[4] = "";

    if (address_port(listen) == 0) {
        blob_append_text(out_line, "not ready: port 0 says not where to ask");
        return KIST_INVALID;
    }
    probe.socket = socket(target.where.any.sa_family,
                          SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum kist_status status = KIST_IO;
    if (probe.socket >= 0) {
        status = converse(&probe, &target, code);
        close(probe.socket);
    }

    if (status != KIST_OK)
        blob_append_text(out_line, "not ready: no answer from ");
    else if (strcmp(code, "200") == 0)
        blob_append_text(out_line, "ready: ");
    else
        blob_printf(out_line, "not ready: status %s from ", code);
    address_print(&target, out_line);
    if (status == KIST_OK && strcmp(code, "200") != 0)
        status = KIST_BUSY;
    return status;
}
