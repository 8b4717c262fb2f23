#include "api/acceptor.h"

#include "service/settings.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    BURST = 64,     /* Accepted before the other listeners are looked at. */
    OVER_CAP = 64,  /* Let in while the idle ones they replace still go. */
    PAUSE_MS = 100, /* While descriptors or memory are short. */
    USER_TIMEOUT_MS = 60 * 1000,
    PEERS_MOST = 16384, /* Connections: 100 members with 16 loops need less. */
};

static const char refusal_head[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                   "Content-Type: application/problem+json\r\n"
                                   "Cache-Control: no-store\r\n"
                                   "Retry-After: 1\r\n"
                                   "Connection: close\r\n\r\n";

static const char *const refusal_bodies[HTTP_REFUSALS] = {
    [HTTP_REFUSED_TOTAL] =
        "{\"type\":\"urn:kist:problem:busy\",\"title\":\"The node is busy\","
        "\"status\":503,\"detail\":\"max-connections are open, and none of "
        "them is idle. Try again.\"}\n",
    [HTTP_REFUSED_ADDRESS] =
        "{\"type\":\"urn:kist:problem:busy\",\"title\":\"The node is busy\","
        "\"status\":503,\"detail\":\"max-connections-per-address are open "
        "from this address. Use fewer connections.\"}\n",
    [HTTP_REFUSED_FAILED] =
        "{\"type\":\"urn:kist:problem:busy\",\"title\":\"The node is busy\","
        "\"status\":503,\"detail\":\"There is no memory for a connection "
        "now. Try again.\"}\n",
};

struct acceptor {
    /* Set by acceptor_open(), then read-only. */
    struct acceptor_options options;
    size_t most;
    int stop; /* An eventfd, readable when the thread is to end. */
    pthread_t thread;

    /* The thread only. */
    struct pollfd *polls; /* The listeners, then stop. */
};

/*
 * One send into an empty socket buffer cannot block. What the client sent is
 * read first: closing over unread bytes would reset the connection, and the
 * reset could overtake the answer.
 */
static void refuse(struct acceptor *acceptor, int descriptor,
                   enum http_refusal why)
{
    char scrap[4096];
    char answer[1024];
    size_t head = sizeof(refusal_head) - 1;
    size_t body = strlen(refusal_bodies[why]);

    counter_add(&acceptor->options.shared->stats->refused[why], 1);
    assert(head + body <= sizeof(answer));
    memcpy(answer, refusal_head, head);
    memcpy(answer + head, refusal_bodies[why], body);
    if (send(descriptor, answer, head + body, MSG_NOSIGNAL | MSG_DONTWAIT) >=
            0 &&
        shutdown(descriptor, SHUT_WR) == 0)
        (void)!recv(descriptor, scrap, sizeof(scrap), MSG_DONTWAIT);
    close(descriptor);
}

static struct http_loop *least_busy(const struct acceptor *acceptor)
{
    struct http_loop *best = acceptor->options.loops[0];
    size_t fewest = SIZE_MAX;

    for (size_t i = 0; i < acceptor->options.nloops; i++) {
        struct http_loop *loop = acceptor->options.loops[i];
        size_t n =
            atomic_load_explicit(&loop->nconnections, memory_order_relaxed);

        if (n < fewest) {
            fewest = n;
            best = loop;
        }
    }
    return best;
}

/* False: no loop has an idle connection. */
static bool make_room(const struct acceptor *acceptor)
{
    struct http_loop *best = NULL;
    size_t most = 0;

    for (size_t i = 0; i < acceptor->options.nloops; i++) {
        struct http_loop *loop = acceptor->options.loops[i];
        size_t n = atomic_load_explicit(&loop->nidle, memory_order_relaxed);

        if (n > most) {
            most = n;
            best = loop;
        }
    }
    if (best == NULL)
        return false;
    http_loop_evict(best);
    return true;
}

/* Clients never keep peers out, nor the other way round. */
static enum census_verdict admit(struct acceptor *acceptor,
                                 enum http_guest guest,
                                 struct census_address address)
{
    struct census *census = http_shared_census(acceptor->options.shared, guest);
    enum census_verdict verdict;

    if (guest == HTTP_PEER)
        return census_enter(census, address, PEERS_MOST);
    verdict = census_enter(census, address, acceptor->most);
    if (verdict == CENSUS_FULL && make_room(acceptor))
        verdict = census_enter(census, address, acceptor->most + OVER_CAP);
    return verdict;
}

static void set_options(int descriptor)
{
    const struct {
        int level, option, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int value = options[i].value;

        /* Refused only for a connection that is gone already. */
        (void)setsockopt(descriptor, options[i].level, options[i].option,
                         &value, sizeof(value));
    }
}

static void let_in(struct acceptor *acceptor, int descriptor,
                   enum http_guest guest, const struct sockaddr *address,
                   socklen_t size)
{
    struct http_shared *shared = acceptor->options.shared;
    struct census_address counted = census_address(address);

    switch (admit(acceptor, guest, counted)) {
    case CENSUS_ADMITTED:
        break;
    case CENSUS_FULL:
        refuse(acceptor, descriptor, HTTP_REFUSED_TOTAL);
        return;
    case CENSUS_ADDRESS_FULL:
        refuse(acceptor, descriptor, HTTP_REFUSED_ADDRESS);
        return;
    }
    set_options(descriptor);
    if (http_loop_hand_over(least_busy(acceptor), descriptor, address, size,
                            guest, counted)) {
        counter_add(&shared->stats->accepted, 1);
        return;
    }
    census_leave(http_shared_census(shared, guest), counted);
    refuse(acceptor, descriptor, HTTP_REFUSED_FAILED);
}

/* Errors of one connection, as accept(2) lists them: the next one may do. */
static bool is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO ||
           error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN ||
           error == ENONET || error == EHOSTUNREACH || error == EOPNOTSUPP ||
           error == ENETUNREACH || error == EPERM;
}

/* False: what a connection needs is short; wait a little. */
static bool accept_burst(struct acceptor *acceptor, int listener,
                         enum http_guest guest)
{
    for (unsigned i = 0; i < BURST; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        int descriptor = accept4(listener, (struct sockaddr *)&address, &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (descriptor >= 0) {
            let_in(acceptor, descriptor, guest,
                   (const struct sockaddr *)&address, size);
            continue;
        }
        if (errno == EAGAIN)
            return true;
        if (!is_passing(errno)) {
            counter_add(
                &acceptor->options.shared->stats->refused[HTTP_REFUSED_FAILED],
                1);
            return false;
        }
    }
    return true;
}

static enum http_guest guest_of(const struct acceptor *acceptor, size_t i)
{
    const struct acceptor_options *options = &acceptor->options;

    return i < options->nclients                     ? HTTP_CLIENT
           : i < options->nclients + options->npeers ? HTTP_PEER
                                                     : HTTP_ADMIN;
}

static void *accept_all(void *ctx)
{
    struct acceptor *acceptor = ctx;
    size_t n = acceptor->options.ndescriptors;
    bool pause = false;

    pthread_setname_np(pthread_self(), "acceptor");
    for (;;) {
        struct pollfd *polls = pause ? acceptor->polls + n : acceptor->polls;
        int found = poll(polls, pause ? 1 : n + 1, pause ? PAUSE_MS : -1);

        if (acceptor->polls[n].revents != 0)
            return NULL;
        if (pause || found <= 0) {
            pause = false;
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            if (acceptor->polls[i].revents != 0 &&
                !accept_burst(acceptor, acceptor->polls[i].fd,
                              guest_of(acceptor, i)))
                pause = true;
        }
    }
}

static enum kist_status open_parts(struct acceptor *acceptor)
{
    size_t n = acceptor->options.ndescriptors;

    acceptor->stop = eventfd(0, EFD_CLOEXEC);
    if (acceptor->stop < 0)
        return KIST_IO;
    acceptor->polls = calloc(n + 1, sizeof(*acceptor->polls));
    if (acceptor->polls == NULL)
        return KIST_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        acceptor->polls[i].fd = acceptor->options.descriptors[i];
        acceptor->polls[i].events = POLLIN;
    }
    acceptor->polls[n].fd = acceptor->stop;
    acceptor->polls[n].events = POLLIN;
    return KIST_OK;
}

static void free_parts(struct acceptor *acceptor)
{
    if (acceptor->stop >= 0)
        close(acceptor->stop);
    free(acceptor->polls);
    free(acceptor);
}

enum kist_status acceptor_open(const struct acceptor_options *options,
                               struct acceptor **out_acceptor)
{
    struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

    if (acceptor == NULL)
        return KIST_NO_MEMORY;
    acceptor->options = *options;
    acceptor->most = (size_t)options->shared->api->settings->max_connections;

    enum kist_status status = open_parts(acceptor);

    if (status == KIST_OK &&
        pthread_create(&acceptor->thread, NULL, accept_all, acceptor) != 0)
        status = KIST_IO;
    if (status != KIST_OK) {
        free_parts(acceptor);
        return status;
    }
    *out_acceptor = acceptor;
    return KIST_OK;
}

void acceptor_close(struct acceptor *acceptor)
{
    uint64_t one = 1;

    if (acceptor == NULL)
        return;
    ssize_t written = write(acceptor->stop, &one, sizeof(one));

    assert(written == sizeof(one));
    (void)written;
    pthread_join(acceptor->thread, NULL);
    free_parts(acceptor);
}
