/*
 * libcurl's socket-action interface: it names the descriptors and the one
 * timer that it wants watched, and is told when they are due.
 *
 * No call is done within transport_send(): what cannot be sent waits in
 * `refused` for the end of the turn.
 */
#include "replication/transport_curl.h"

#include "base/clock.h"
#include "replication/outbox.h"
#include "replication/transport_handle.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME      "http://"
#define SCHEME_SIZE (sizeof(SCHEME) - 1)

enum {
    KEPT_BYTES = 65536, /* Of memory that an idle transfer keeps. */
    URL_SIZE = 300,
};

/* One request at a time. */
struct transfer {
    struct transfer *next;
    struct transport_peer *peer;
    enum outbox_lane lane;
    CURL *easy;
    struct parcel parcel;
    struct blob answer;
    uint64_t began_ns;
};

struct transport_peer {
    struct transport_peer *next;
    char url[URL_SIZE];
    struct outbox outbox;
    unsigned in_flight[OUTBOX_LANES];
    struct transfer *busy;
    struct transfer *idle;
};

struct transport {
    struct transport_options options;
    CURLM *multi;
    struct curl_slist *headers;
    struct loop_timer *curl_timer;
    struct loop_timer *expiry_timer;
    uint64_t expiry_ms; /* What that one is set for; UINT64_MAX: it is not. */
    bool wants_turn;    /* libcurl wants to be called at once. */
    bool is_stopped;
    struct transport_peer *peers;
    struct env_call *refused;
};

/* A descriptor of libcurl's. */
struct transport_watch {
    struct transport *transport;
    struct loop_watch *watch;
    curl_socket_t descriptor;
};

static uint64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

bool transport_begin_process(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void transport_end_process(void)
{
    curl_global_cleanup();
}

/* What comes of a request. */

static void note(struct transport *transport, enum env_outcome outcome,
                 unsigned calls)
{
    struct transport_stats *stats = transport->options.stats;

    switch (outcome) {
    case ENV_ANSWERED:
        counter_add(&stats->answered, calls);
        break;
    case ENV_NOT_SENT:
        counter_add(&stats->not_sent, calls);
        break;
    case ENV_LOST:
        counter_add(&stats->lost, calls);
        break;
    }
}

/* Also over an earlier connection that broke: libcurl counts them all. */
static enum env_outcome failure_of(const struct transfer *transfer)
{
    long sent = 0;

    if (curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent) !=
        CURLE_OK)
        return ENV_LOST;
    return sent == 0 ? ENV_NOT_SENT : ENV_LOST;
}

static enum env_outcome outcome_of(const struct transport *transport,
                                   const struct transfer *transfer,
                                   CURLcode result)
{
    long code = 0;

    if (result != CURLE_OK ||
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &code) !=
            CURLE_OK)
        return failure_of(transfer);
    counter_add(&transport->options.stats->unauthorized, code == 401);
    return code == 200 ? ENV_ANSWERED : ENV_LOST;
}

/* Off the multi handle, and ready for the next parcel. */
static void retire(struct transport *transport, struct transfer *transfer)
{
    struct transport_peer *peer = transfer->peer;
    struct transfer **at = &peer->busy;

    curl_multi_remove_handle(transport->multi, transfer->easy);
    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    peer->in_flight[transfer->lane]--;
    transfer->next = peer->idle;
    peer->idle = transfer;
}

static void finish(struct transport *transport, struct transfer *transfer,
                   enum env_outcome outcome)
{
    if (outcome == ENV_ANSWERED)
        histogram_observe(&transport->options.stats->time,
                          clock_mono_ns() - transfer->began_ns);
    retire(transport, transfer);
    note(transport, outcome, transfer->parcel.waiting);
    parcel_finish(&transfer->parcel, outcome, blob_view(&transfer->answer));
    blob_clear(&transfer->answer);
    if (transfer->answer.capacity > KEPT_BYTES)
        blob_free(&transfer->answer);
    if (transfer->parcel.body.capacity > KEPT_BYTES)
        blob_free(&transfer->parcel.body);
}

static void collect(struct transport *transport)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(transport->multi, &left)) != NULL) {
        char *transfer = NULL;

        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                              &transfer) != CURLE_OK)
            continue;
        finish(transport, (struct transfer *)(void *)transfer,
               outcome_of(transport, (struct transfer *)(void *)transfer,
                          message->data.result));
    }
}

/* The loop's side of libcurl. */

static void act(struct transport *transport, curl_socket_t descriptor,
                int events)
{
    int running;

    /* What is wrong with a transfer comes as its message. */
    curl_multi_socket_action(transport->multi, descriptor, events, &running);
    collect(transport);
}

static void on_ready(void *ctx, unsigned readiness)
{
    struct transport_watch *watch = ctx;
    int events = 0;

    if ((readiness & LOOP_READABLE) != 0)
        events |= CURL_CSELECT_IN;
    if ((readiness & LOOP_WRITABLE) != 0)
        events |= CURL_CSELECT_OUT;
    act(watch->transport, watch->descriptor, events); /* It may be gone now. */
}

static void on_curl_timer(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static struct transport_watch *new_watch(struct transport *transport,
                                         curl_socket_t descriptor,
                                         unsigned readiness)
{
    struct transport_watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return NULL;
    watch->transport = transport;
    watch->descriptor = descriptor;
    if (loop_watch_open(transport->options.loop, descriptor, readiness,
                        on_ready, watch, &watch->watch) != KIST_OK) {
        free(watch);
        return NULL;
    }
    return watch;
}

static void drop_watch(struct transport_watch *watch)
{
    if (watch != NULL)
        loop_watch_close(watch->watch);
    free(watch);
}

/*
 * CURLMOPT_SOCKETFUNCTION. A failure here would be the end of the whole multi
 * handle, so a descriptor that cannot be watched is left to its deadline.
 */
static int on_socket(CURL *easy, curl_socket_t descriptor, int what, void *ctx,
                     void *known)
{
    struct transport *transport = ctx;
    struct transport_watch *watch = known;
    unsigned readiness = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        drop_watch(watch);
        return 0;
    }
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        readiness |= LOOP_READABLE;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        readiness |= LOOP_WRITABLE;
    if (watch == NULL) {
        watch = new_watch(transport, descriptor, readiness);
        curl_multi_assign(transport->multi, descriptor, watch);
    } else if (loop_watch_set(watch->watch, readiness) != KIST_OK) {
        return 0;
    }
    return 0;
}

/* CURLMOPT_TIMERFUNCTION: it must not be called back from within. */
static int on_timeout(CURLM *multi, long timeout_ms, void *ctx)
{
    struct transport *transport = ctx;

    (void)multi;
    transport->wants_turn = timeout_ms == 0;
    if (timeout_ms < 0)
        loop_timer_stop(transport->curl_timer);
    else
        loop_timer_set(transport->curl_timer, (uint64_t)timeout_ms);
    return 0;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_bytes(char *bytes, size_t one, size_t size, void *ctx)
{
    struct transfer *transfer = ctx;

    (void)one; /* Is 1, says libcurl. */
    if (transfer->answer.size + size > TRANSPORT_ANSWER_MAX)
        return 0;
    blob_append(&transfer->answer, (struct view){bytes, size});
    return transfer->answer.failed ? 0 : size;
}

/* Transfers. */

static bool set_options(CURL *easy, struct transfer *transfer)
{
    return curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POST, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
}

static void free_transfer(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    blob_free(&transfer->parcel.body);
    blob_free(&transfer->answer);
    free(transfer);
}

/* NULL: no memory. */
static struct transfer *take_transfer(struct transport *transport,
                                      struct transport_peer *peer)
{
    struct transfer *transfer = peer->idle;

    if (transfer != NULL) {
        peer->idle = transfer->next;
        return transfer;
    }
    transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL)
        return NULL;
    transfer->peer = peer;
    transfer->easy =
        transport_handle_new(transport->headers, on_bytes, transfer);
    if (transfer->easy == NULL || !set_options(transfer->easy, transfer)) {
        free_transfer(transfer);
        return NULL;
    }
    return transfer;
}

/* The transfer has a parcel. False: it did not leave. */
static bool start(struct transport *transport, struct transfer *transfer)
{
    CURL *easy = transfer->easy;
    const struct blob *body = &transfer->parcel.body;

    if (parcel_seal(&transfer->parcel, now_ms()) != KIST_OK)
        return false;
    transfer->began_ns = clock_mono_ns();
    return curl_easy_setopt(easy, CURLOPT_URL, transfer->peer->url) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)body->size) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data) == CURLE_OK &&
           curl_multi_add_handle(transport->multi, easy) == CURLM_OK;
}

static void begin(struct transport *transport, struct transfer *transfer)
{
    struct transport_peer *peer = transfer->peer;

    transfer->next = peer->busy;
    peer->busy = transfer;
    peer->in_flight[transfer->lane]++;
    counter_add(&transport->options.stats->bodies, 1);
    if (!start(transport, transfer))
        finish(transport, transfer, ENV_NOT_SENT);
}

/*
 * Requests at a time: one is read while one is worked on. But pushes are synced
 * by the peer, one request after the other, so those that come meanwhile go
 * together: fewer syncs, and no later.
 */
static unsigned most_in_flight(enum outbox_lane lane)
{
    return lane == OUTBOX_PUSHES ? 1 : 2;
}

static void flush_lane(struct transport *transport, struct transport_peer *peer,
                       enum outbox_lane lane)
{
    while (peer->outbox.lanes[lane].first != NULL &&
           peer->in_flight[lane] < most_in_flight(lane)) {
        struct transfer *transfer = take_transfer(transport, peer);

        if (transfer == NULL)
            return; /* Their deadline ends them, or there is memory again. */
        transfer->lane = lane;
        outbox_take(&peer->outbox, lane, &transfer->parcel);
        begin(transport, transfer);
    }
}

/* Deadlines. */

static void expire_at(struct transport *transport, uint64_t deadline_ms)
{
    uint64_t at_ms = now_ms();

    if (deadline_ms >= transport->expiry_ms)
        return;
    transport->expiry_ms = deadline_ms;
    loop_timer_set(transport->expiry_timer,
                   deadline_ms > at_ms ? deadline_ms - at_ms : 0);
}

/* A transfer that nobody waits for any more is given up. */
static void expire_transfers(struct transport *transport,
                             struct transport_peer *peer, uint64_t at_ms)
{
    struct transfer *next;

    for (struct transfer *transfer = peer->busy; transfer != NULL;
         transfer = next) {
        enum env_outcome outcome = failure_of(transfer);
        unsigned waiting = transfer->parcel.waiting;

        next = transfer->next;
        expire_at(transport, parcel_expire(&transfer->parcel, at_ms, outcome));
        note(transport, outcome, waiting - transfer->parcel.waiting);
        if (transfer->parcel.waiting == 0)
            finish(transport, transfer, outcome);
    }
}

static void expire_waiting(struct transport *transport,
                           struct transport_peer *peer, uint64_t at_ms)
{
    uint64_t before = peer->outbox.expired;

    expire_at(transport, outbox_expire(&peer->outbox, at_ms));
    counter_add(&transport->options.stats->not_sent,
                peer->outbox.expired - before);
}

static void on_expiry(void *ctx)
{
    struct transport *transport = ctx;
    uint64_t at_ms = now_ms();

    transport->expiry_ms = UINT64_MAX;
    for (struct transport_peer *peer = transport->peers; peer != NULL;
         peer = peer->next) {
        expire_transfers(transport, peer, at_ms);
        expire_waiting(transport, peer, at_ms);
    }
}

/* Sending. */

static bool is_at(const struct transport_peer *peer, struct view address)
{
    return strncmp(peer->url + SCHEME_SIZE, address.data, address.size) == 0 &&
           peer->url[SCHEME_SIZE + address.size] == '/';
}

/* NULL: no memory, or its address is too long. */
static struct transport_peer *new_peer(struct transport *transport,
                                       struct view address)
{
    struct transport_peer *peer = calloc(1, sizeof(*peer));

    if (peer == NULL)
        return NULL;

    int size = snprintf(peer->url, URL_SIZE, SCHEME "%.*s/peer/1",
                        (int)address.size, address.data);
    if (size < 0 || size >= URL_SIZE) {
        free(peer);
        return NULL;
    }
    outbox_init(&peer->outbox, transport->options.queue_bytes);
    peer->next = transport->peers;
    transport->peers = peer;
    return peer;
}

/* By address: who has which incarnation is found out by asking. */
static struct transport_peer *find_peer(struct transport *transport,
                                        struct view address)
{
    struct transport_peer *peer = transport->peers;

    while (peer != NULL && !is_at(peer, address))
        peer = peer->next;
    return peer != NULL ? peer : new_peer(transport, address);
}

void transport_send(struct transport *transport, struct env_call *call)
{
    struct transport_peer *peer = NULL;

    if (!transport->is_stopped)
        peer = find_peer(transport, call->address);
    if (peer != NULL && call->message.size <= TRANSPORT_MESSAGE_MAX) {
        if (outbox_add(&peer->outbox, call, now_ms())) {
            expire_at(transport, call->deadline_ms);
            return;
        }
        counter_add(&transport->options.stats->refused, 1);
    }
    call->next = transport->refused;
    transport->refused = call;
}

static void tell_refused(struct transport *transport)
{
    struct env_call *call = transport->refused;

    transport->refused = NULL;
    while (call != NULL) {
        struct env_call *next = call->next;

        note(transport, ENV_NOT_SENT, 1);
        call->done(call, ENV_NOT_SENT, (struct view){0});
        call = next;
    }
}

void transport_flush(struct transport *transport)
{
    tell_refused(transport);
    for (struct transport_peer *peer = transport->peers; peer != NULL;
         peer = peer->next)
        for (unsigned lane = 0; lane < OUTBOX_LANES; lane++)
            flush_lane(transport, peer, lane);
    if (transport->wants_turn) {
        transport->wants_turn = false;
        act(transport, CURL_SOCKET_TIMEOUT, 0); /* They leave this turn. */
    }
    if (transport->refused != NULL)
        expire_at(transport, 0); /* Another turn, to tell them. */
}

/* From open to close. */

static bool make_headers(struct curl_slist **headers, const char *secret)
{
    return transport_handle_add_secret(headers, secret) &&
           transport_handle_add_header(
               headers, "Content-Type: application/octet-stream") &&
           transport_handle_add_header(headers, "Expect:") &&
           transport_handle_add_header(headers, "Accept:");
}

static bool set_multi(struct transport *transport)
{
    CURLM *multi = transport->multi;

    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket) ==
               CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, transport) ==
               CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout) ==
               CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, transport) ==
               CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) ==
               CURLM_OK;
}

enum kist_status transport_open(const struct transport_options *options,
                                struct transport **out_transport)
{
    struct transport *transport = calloc(1, sizeof(*transport));
    enum kist_status status;

    if (transport == NULL)
        return KIST_NO_MEMORY;
    transport->options = *options;
    transport->options.secret = NULL; /* The header has it. */
    transport->expiry_ms = UINT64_MAX;
    status = loop_timer_open(options->loop, on_curl_timer, transport,
                             &transport->curl_timer);
    if (status == KIST_OK)
        status = loop_timer_open(options->loop, on_expiry, transport,
                                 &transport->expiry_timer);
    if (status == KIST_OK) {
        transport->multi = curl_multi_init();
        if (transport->multi == NULL || !set_multi(transport) ||
            !make_headers(&transport->headers, options->secret))
            status = KIST_IO;
    }
    if (status != KIST_OK) {
        transport_close(transport);
        return status;
    }
    *out_transport = transport;
    return KIST_OK;
}

void transport_stop(struct transport *transport)
{
    transport->is_stopped = true;
    for (struct transport_peer *peer = transport->peers; peer != NULL;
         peer = peer->next) {
        expire_transfers(transport, peer, UINT64_MAX);
        expire_waiting(transport, peer, UINT64_MAX);
    }
    tell_refused(transport);
}

bool transport_is_idle(const struct transport *transport)
{
    for (const struct transport_peer *peer = transport->peers; peer != NULL;
         peer = peer->next)
        if (peer->busy != NULL || peer->outbox.bytes > 0)
            return false;
    return transport->refused == NULL;
}

static void free_peer(struct transport_peer *peer)
{
    while (peer->idle != NULL) {
        struct transfer *transfer = peer->idle;

        peer->idle = transfer->next;
        free_transfer(transfer);
    }
    free(peer);
}

void transport_close(struct transport *transport)
{
    if (transport == NULL)
        return;
    assert(transport_is_idle(transport));
    while (transport->peers != NULL) {
        struct transport_peer *peer = transport->peers;

        transport->peers = peer->next;
        free_peer(peer);
    }
    /* Closes the connections, and with them what watches them. */
    curl_multi_cleanup(transport->multi);
    curl_slist_free_all(transport->headers);
    loop_timer_close(transport->curl_timer);
    loop_timer_close(transport->expiry_timer);
    free(transport);
}
