/*
 * headload - a load generator for answers without a body: HEAD, and 304.
 *
 *     headload <port> <requests> <connections> <seconds> <seed> <status>
 *
 * wrk waits for the body that a Content-Length in such an answer speaks of.
 * This does what wrk does otherwise: one thread, connections that are kept,
 * one request at a time on each, drawn at random from the file that
 * bench/wrk.py wrote ("<length>\n<bytes>", again and again). Prints the line
 * that bench/requests.lua prints. An answer with another status is an error.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 4096, CONNECTIONS_MAX = 10000, EVENTS = 256 };

/* Latencies are counted by microsecond; the last place is "this or more". */
enum { LATENCY_MAX_US = 2000000 };

struct text {
    char *bytes;
    size_t size;
};

struct connection {
    int fd;
    size_t got;
    uint64_t began_us;
    char head[HEAD_MAX];
};

struct load {
    struct text *requests; /* Owned, and their bytes. */
    size_t count, room;
    struct connection *connections; /* Owned. */
    size_t nconnections;
    int epoll;
    int status;
    uint64_t random;

    uint64_t answers, bytes, wrong, broken, longest_us, sum_us;
    uint32_t *latencies; /* Owned: LATENCY_MAX_US + 1 counts. */
};

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static bool keep(struct load *load, struct text text)
{
    if (load->count == load->room) {
        size_t room = load->room == 0 ? 1024 : 2 * load->room;
        struct text *wider = realloc(load->requests, room * sizeof(*wider));

        if (wider == NULL)
            return false;
        load->requests = wider;
        load->room = room;
    }
    load->requests[load->count++] = text;
    return true;
}

static bool read_requests(struct load *load, const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size;
    bool good = file != NULL;

    while (good && fscanf(file, "%zu", &size) == 1 && fgetc(file) == '\n') {
        struct text text = {malloc(size), size};

        good = text.bytes != NULL && fread(text.bytes, 1, size, file) == size &&
               keep(load, text);
        if (!good)
            free(text.bytes);
    }
    if (file != NULL)
        fclose(file);
    return good && load->count > 0;
}

/* xorshift64: which key is next needs no better. */
static uint64_t draw(struct load *load)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

/* A request is far smaller than a socket's buffer, which is empty: all of it
 * goes at once, or the connection is broken. */
static bool send_next(struct load *load, struct connection *connection)
{
    const struct text *text = &load->requests[draw(load) % load->count];

    connection->got = 0;
    connection->began_us = now_us();
    return send(connection->fd, text->bytes, text->size, MSG_NOSIGNAL) ==
           (ssize_t)text->size;
}

static bool open_connection(struct load *load, struct connection *connection,
                            uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    int on = 1;

    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    return connection->fd >= 0 &&
           connect(connection->fd, (struct sockaddr *)&address,
                   sizeof(address)) == 0 &&
           setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on,
                      sizeof(on)) == 0 &&
           epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) == 0;
}

static void count_answer(struct load *load, const struct connection *connection)
{
    uint64_t took_us = now_us() - connection->began_us;
    int status = 0;

    if (sscanf(connection->head, "HTTP/1.1 %3d ", &status) != 1 ||
        status != load->status)
        load->wrong++;
    load->answers++;
    load->bytes += connection->got;
    load->sum_us += took_us;
    if (took_us > load->longest_us)
        load->longest_us = took_us;
    load->latencies[took_us < LATENCY_MAX_US ? took_us : LATENCY_MAX_US]++;
}

/* False: the connection ended, or more came than a head. */
static bool receive(struct load *load, struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->head + connection->got,
                       HEAD_MAX - 1 - connection->got, MSG_DONTWAIT);
    const char *end;

    if (got < 0 && errno == EAGAIN)
        return true;
    if (got <= 0)
        return false;
    connection->got += (size_t)got;
    connection->head[connection->got] = '\0';
    end = strstr(connection->head, "\r\n\r\n");
    if (end == NULL)
        return connection->got < HEAD_MAX - 1;
    if (end + 4 != connection->head + connection->got)
        return false;
    count_answer(load, connection);
    return send_next(load, connection);
}

static void go(struct load *load, uint64_t end_us)
{
    struct epoll_event events[EVENTS];

    while (now_us() < end_us) {
        int ready = epoll_wait(load->epoll, events, EVENTS, 100);

        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;

            if (!receive(load, connection)) {
                load->broken++;
                close(connection->fd);
                connection->fd = -1;
            }
        }
    }
}

static uint64_t percentile(const struct load *load, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)load->answers);
    uint64_t seen = 0;

    for (uint64_t us = 0; us <= LATENCY_MAX_US; us++) {
        seen += load->latencies[us];
        if (seen > wanted)
            return us;
    }
    return load->longest_us;
}

static void print(const struct load *load, uint64_t elapsed_us)
{
    uint64_t answers = load->answers == 0 ? 1 : load->answers;

    printf("RESULT {\"requests\":%" PRIu64 ",\"duration_us\":%" PRIu64
           ",\"bytes\":%" PRIu64 ",\"connect\":0,\"read\":%" PRIu64
           ",\"write\":0,\"timeout\":0,\"status\":%" PRIu64
           ",\"mean\":%.1f,\"max\":%" PRIu64,
           load->answers, elapsed_us, load->bytes, load->broken, load->wrong,
           (double)load->sum_us / (double)answers, load->longest_us);
    printf(",\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64
           ",\"p999\":%" PRIu64 "}\n",
           percentile(load, 0.5), percentile(load, 0.9), percentile(load, 0.99),
           percentile(load, 0.999));
}

static bool start(struct load *load, uint16_t port)
{
    for (size_t i = 0; i < load->nconnections; i++)
        load->connections[i].fd = -1;
    for (size_t i = 0; i < load->nconnections; i++) {
        struct connection *connection = &load->connections[i];

        if (!open_connection(load, connection, port) ||
            !send_next(load, connection))
            return false;
    }
    return true;
}

static void clear(struct load *load)
{
    for (size_t i = 0; load->connections != NULL && i < load->nconnections; i++)
        if (load->connections[i].fd >= 0)
            close(load->connections[i].fd);
    for (size_t i = 0; i < load->count; i++)
        free(load->requests[i].bytes);
    if (load->epoll >= 0)
        close(load->epoll);
    free(load->requests);
    free(load->connections);
    free(load->latencies);
}

int main(int argc, char **argv)
{
    struct load load = {0};
    uint64_t began_us;
    bool good;

    if (argc != 7) {
        fprintf(stderr, "Usage: headload <port> <requests> <connections> "
                        "<seconds> <seed> <status>\n");
        return 2;
    }
    load.nconnections = strtoul(argv[3], NULL, 10);
    load.random = 0x9e3779b97f4a7c15u * (strtoul(argv[5], NULL, 10) + 1);
    load.status = (int)strtol(argv[6], NULL, 10);
    load.epoll = epoll_create1(0);
    if (load.nconnections < 1 || load.nconnections > CONNECTIONS_MAX)
        load.nconnections = 1;
    load.connections = calloc(load.nconnections, sizeof(*load.connections));
    load.latencies = calloc(LATENCY_MAX_US + 1, sizeof(*load.latencies));

    good = load.epoll >= 0 && load.connections != NULL &&
           load.latencies != NULL && read_requests(&load, argv[2]);
    began_us = now_us();
    good = good && start(&load, (uint16_t)strtoul(argv[1], NULL, 10));
    if (good) {
        go(&load, began_us + 1000000u * strtoul(argv[4], NULL, 10));
        print(&load, now_us() - began_us);
    } else {
        perror("headload");
    }
    clear(&load);
    return good ? 0 : 1;
}
