/* Files from peers that do well, break off, say nothing, or lie. */
#include "replication/transport_files.h"

#include "base/clock.h"
#include "replication/transport_curl.h"
#include "storage/large.h"
#include "tests/support/scratch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SIZE = 3000000, PEERS = 3, PATIENCE_MS = 20000 };

enum manner { HAS_IT, HAS_IT_NOT, BREAKS_OFF, LIES, REFUSES };

struct peer {
    enum manner manner;
    int listener;
    char address[32];
    pthread_t thread;
    _Atomic unsigned requests;
    _Atomic uint64_t last_from; /* Where the last one began. */
};

static struct peer peers[PEERS];
static struct scratch scratch;
static struct large *large;
static struct transport_files_stats stats;
static struct transport_files *files;
static struct env_bring bring;
static char *value;

/* A peer: one request, one connection. */

static bool read_head(int connection, char *head, size_t room)
{
    size_t size = 0;

    while (size < room - 1) {
        ssize_t got = recv(connection, head + size, room - 1 - size, 0);

        if (got <= 0)
            return false;
        size += (size_t)got;
        head[size] = '\0';
        if (strstr(head, "\r\n\r\n") != NULL)
            return true;
    }
    return false;
}

static void send_all(int connection, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(connection, bytes, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void answer(struct peer *peer, int connection, const char *head)
{
    static const char none[] = "HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n";
    static const char busy[] = "HTTP/1.1 503 N\r\nContent-Length: 0\r\n\r\n";
    const char *range = strstr(head, "Range: bytes=");
    unsigned long from = range != NULL ? strtoul(range + 13, NULL, 10) : 0;
    const char *dash = range != NULL ? strchr(range + 13, '-') : NULL;
    unsigned long to = SIZE;
    char line[160];
    int size;

    if (dash != NULL && dash[1] >= '0' && dash[1] <= '9')
        to = strtoul(dash + 1, NULL, 10) + 1;
    peer->last_from = from;
    if (peer->manner == HAS_IT_NOT || peer->manner == REFUSES) {
        const char *text = peer->manner == REFUSES ? busy : none;

        send_all(connection, text, strlen(text));
        return;
    }
    size = snprintf(line, sizeof(line),
                    "HTTP/1.1 %s\r\nContent-Length: %lu\r\n"
                    "Connection: close\r\n\r\n",
                    range != NULL ? "206 P" : "200 O", to - from);
    send_all(connection, line, (size_t)size);
    if (peer->manner == BREAKS_OFF)
        to = from + (to - from) / 2;
    if (peer->manner == LIES)
        send_all(connection, "?", 1);
    else
        send_all(connection, value + from, 1);
    send_all(connection, value + from + 1, to - from - 1);
}

static void *run_peer(void *ctx)
{
    struct peer *peer = ctx;
    char head[4096];
    int connection;

    while ((connection = accept(peer->listener, NULL, NULL)) >= 0) {
        if (read_head(connection, head, sizeof(head))) {
            peer->requests++;
            answer(peer, connection, head);
        }
        close(connection);
    }
    return NULL;
}

static void start_peer(struct peer *peer)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(where);

    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(peer->listener, (struct sockaddr *)&where, size) == 0);
    cr_assert(listen(peer->listener, 8) == 0);
    cr_assert(getsockname(peer->listener, (struct sockaddr *)&where, &size) ==
              0);
    snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%u",
             ntohs(where.sin_port));
    cr_assert(pthread_create(&peer->thread, NULL, run_peer, peer) == 0);
}

/* Our side. */

static enum kist_status writable(void *ctx)
{
    (void)ctx;
    return KIST_OK;
}

static void set_up(void)
{
    struct engine_fault fault;

    scratch_make(&scratch);
    struct large_options options = {.directory = scratch.path,
                                    .writable = writable};
    struct transport_files_options ours = {.secret = "", .stats = &stats};

    value = malloc(SIZE);
    cr_assert(value != NULL && transport_begin_process());
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (char)(i * 7 + i / 251);
    cr_assert(large_open(&options, &fault, &large) == KIST_OK);
    ours.large = large;
    cr_assert(transport_files_open(&ours, &files) == KIST_OK);
    bring.file = (struct large_reference){
        .boot = 1, .serial = 2, .size = SIZE, .hash = XXH3_64bits(value, SIZE)};
    bring.count = PEERS;
    for (unsigned i = 0; i < PEERS; i++) {
        start_peer(&peers[i]);
        bring.sources[i] = (struct env_source){i, view_of(peers[i].address)};
    }
}

static void tear_down(void)
{
    transport_files_close(files);
    for (unsigned i = 0; i < PEERS; i++) {
        shutdown(peers[i].listener, SHUT_RDWR);
        pthread_join(peers[i].thread, NULL);
        close(peers[i].listener);
    }
    large_close(large);
    transport_end_process();
    free(value);
    scratch_remove(&scratch);
}

TestSuite(transport_files, .init = set_up, .fini = tear_down, .timeout = 60);

static bool is_here(void)
{
    struct blob bytes = BLOB_EMPTY;
    bool here = large_read(large, &bring.file, &bytes) == KIST_OK &&
                bytes.size == SIZE && memcmp(bytes.data, value, SIZE) == 0;

    blob_free(&bytes);
    return here;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* Ask until it is here, or it is said to have failed. */
static enum kist_status outcome(void)
{
    uint64_t began_ns = clock_mono_ns(), progress;
    enum kist_status status = KIST_BUSY;

    while (status == KIST_BUSY && !is_here()) {
        cr_assert(clock_mono_ns() - began_ns < PATIENCE_MS * UINT64_C(1000000));
        status = transport_files_bring(files, &bring, &progress);
        nap();
    }
    return status == KIST_BUSY ? KIST_OK : status;
}

Test(transport_files, a_file_comes_and_is_fetched_once)
{
    uint64_t progress;

    for (unsigned i = 0; i < 50; i++)
        cr_assert(transport_files_bring(files, &bring, &progress) == KIST_BUSY);
    cr_expect(eq(int, outcome(), KIST_OK));
    cr_expect(eq(uint, peers[0].requests, 1));
    cr_expect(eq(int, outcome(), KIST_OK), "what is here is not fetched");
    cr_expect(eq(uint, peers[0].requests, 1));
    cr_expect(eq(u64, counter_read(&stats.bytes), SIZE));
}

Test(transport_files, what_came_is_told_once_as_old)
{
    struct large_reference old;

    cr_expect(not(transport_files_take_old(files, &old)));
    cr_expect(eq(int, outcome(), KIST_OK));
    while (!transport_files_take_old(files, &old))
        nap(); /* It is in its place a moment before it is counted. */
    cr_expect(large_reference_same(&old, &bring.file));
    cr_expect(not(transport_files_take_old(files, &old)));
}

Test(transport_files, where_one_breaks_off_the_next_goes_on)
{
    peers[0].manner = BREAKS_OFF;
    cr_expect(eq(int, outcome(), KIST_OK));
    cr_expect(eq(uint, peers[1].requests, 1));
    cr_expect(eq(u64, peers[1].last_from, SIZE / 2));
}

Test(transport_files, wrong_bytes_are_not_taken_and_the_next_is_asked)
{
    peers[0].manner = LIES;
    peers[1].manner = HAS_IT_NOT;
    cr_expect(eq(int, outcome(), KIST_OK));
    cr_expect(eq(u64, peers[2].last_from, 0), "all of it anew");
}

Test(transport_files, what_nobody_has_is_said_once)
{
    uint64_t progress;

    for (unsigned i = 0; i < PEERS; i++)
        peers[i].manner = HAS_IT_NOT;
    cr_expect(eq(int, outcome(), KIST_NOT_FOUND));
    peers[2].manner = HAS_IT;
    cr_expect(
        eq(int, transport_files_bring(files, &bring, &progress), KIST_BUSY));
    cr_expect(eq(int, outcome(), KIST_OK));
}

Test(transport_files, who_does_not_answer_may_have_it)
{
    peers[0].manner = HAS_IT_NOT;
    peers[1].manner = REFUSES;
    peers[2].manner = HAS_IT_NOT;
    cr_expect(eq(int, outcome(), KIST_IO));
    cr_expect(eq(u64, counter_read(&stats.failed), 1));
}

Test(transport_files, any_piece_can_be_read_from_whoever_has_it)
{
    char room[1000];

    peers[0].manner = HAS_IT_NOT;
    cr_assert(eq(int,
                 transport_files_read(files, &bring, 12345, sizeof(room), room),
                 KIST_OK));
    cr_expect(zero(int, memcmp(room, value + 12345, sizeof(room))));
    peers[1].manner = BREAKS_OFF;
    cr_assert(
        eq(int,
           transport_files_read(files, &bring, SIZE - 1000, sizeof(room), room),
           KIST_OK));
    cr_expect(zero(int, memcmp(room, value + SIZE - 1000, sizeof(room))));
    peers[1].manner = peers[2].manner = HAS_IT_NOT;
    cr_expect(eq(int,
                 transport_files_read(files, &bring, 0, sizeof(room), room),
                 KIST_NOT_FOUND));
}

Test(transport_files, after_a_stop_nothing_is_fetched)
{
    uint64_t progress;

    transport_files_stop(files);
    cr_expect(eq(int, transport_files_bring(files, &bring, &progress),
                 KIST_STOPPING));
}
