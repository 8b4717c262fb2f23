/*
 * The feed belongs to two: the response, until libmicrohttpd frees it, and
 * the pool job, until it is done. Whoever is last frees.
 *
 *     piece      being sent, from `sent` on
 *     next       made ahead, if ready
 *     filling    a pool job is making `next`
 */
#include "api/feed.h"

#include "base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 32 * 1024 };

enum feed_state {
    FEED_FLOWING,
    FEED_ENDED,  /* The stream gave its last piece. */
    FEED_FAILED, /* Or it failed: the client must see a cut. */
};

struct feed {
    struct loop_work work; /* First: the pool job is the feed. */
    struct feed *previous;
    struct feed *following;
    struct http_loop *loop;
    struct MHD_Connection *mhd;
    struct connection *connection;
    struct stream *stream;
    struct blob piece;
    size_t sent;
    struct blob next;
    bool next_ready;
    bool filling;
    bool suspended; /* The connection waits for the next piece. */
    bool cut;       /* The loop is stopping: send no more. */
    bool orphaned;  /* The response is gone. */
    enum feed_state state;
    enum kist_status status; /* Of the last fill; the pool job writes it. */
};

static void free_feed(struct feed *feed)
{
    if (feed->previous != NULL)
        feed->previous->following = feed->following;
    else
        feed->loop->feeds = feed->following;
    if (feed->following != NULL)
        feed->following->previous = feed->previous;
    blob_free(&feed->piece);
    blob_free(&feed->next);
    feed->stream->free(feed->stream);
    free(feed);
}

static void run_fill(struct loop_work *work)
{
    struct feed *feed = (struct feed *)work;

    feed->status = feed->stream->fill(feed->stream, &feed->next);
    if (feed->next.failed)
        feed->status = KIST_NO_MEMORY;
}

static void resume(struct feed *feed)
{
    if (!feed->suspended)
        return;
    feed->suspended = false;
    http_loop_enter(feed->loop, feed->connection, CONNECTION_ANSWER,
                    clock_mono_ns());
    MHD_resume_connection(feed->mhd);
    http_loop_wake(feed->loop);
}

static void fill_done(struct loop_work *work)
{
    struct feed *feed = (struct feed *)work;

    feed->filling = false;
    if (feed->orphaned) {
        free_feed(feed);
        return;
    }
    if (feed->status != KIST_OK)
        feed->state = FEED_FAILED;
    else if (feed->next.size == 0)
        feed->state = FEED_ENDED;
    else
        feed->next_ready = true;
    resume(feed);
}

/* The end of stream->start(). */
static void filled(struct stream *stream, enum kist_status status)
{
    struct feed *feed = stream->feed;

    feed->status = feed->next.failed ? KIST_NO_MEMORY : status;
    fill_done(&feed->work);
}

static void start_fill(struct feed *feed)
{
    assert(!feed->filling && !feed->next_ready);
    if (feed->state != FEED_FLOWING)
        return;
    blob_clear(&feed->next);
    feed->filling = true;
    if (feed->stream->start != NULL) {
        feed->stream->start(feed->stream, &feed->next);
        return;
    }
    if (loop_work(feed->loop->loop, &feed->work) != KIST_OK) {
        feed->filling = false;
        feed->state = FEED_FAILED;
    }
}

/* The next piece becomes the one that is sent, and one more is begun. */
static void advance(struct feed *feed)
{
    struct blob empty = feed->piece;

    feed->piece = feed->next;
    feed->next = empty;
    feed->sent = 0;
    feed->next_ready = false;
    start_fill(feed);
}

/*
 * MHD_CONTENT_READER_END_WITH_ERROR would do, but after it libmicrohttpd 0.9.75
 * keeps a connection that was suspended until then: closed for the client, it
 * stays until something else makes libmicrohttpd look, and a stop waits for
 * it. One that breaks while it is written to is cleaned up at once: so this
 * one is broken, and the byte goes nowhere.
 */
static ssize_t cut_off(struct feed *feed, char *room)
{
    connection_end(feed->connection);
    *room = '\n';
    return 1;
}

static ssize_t read_feed(void *cls, uint64_t position, char *room, size_t size)
{
    struct feed *feed = cls;

    (void)position;
    if (feed->cut)
        return cut_off(feed, room);
    if (feed->sent == feed->piece.size && feed->next_ready)
        advance(feed);

    size_t left = feed->piece.size - feed->sent;

    if (left > 0) {
        if (size > left)
            size = left;
        memcpy(room, feed->piece.data + feed->sent, size);
        feed->sent += size;
        counter_add(&feed->loop->shared->stats->sent_bytes, size);
        return (ssize_t)size;
    }
    if (!feed->filling)
        return feed->state == FEED_ENDED ? MHD_CONTENT_READER_END_OF_STREAM
                                         : cut_off(feed, room);
    feed->suspended = true;
    http_loop_enter(feed->loop, feed->connection, CONNECTION_WORK,
                    clock_mono_ns());
    MHD_suspend_connection(feed->mhd);
    return 0;
}

static void response_gone(void *cls)
{
    struct feed *feed = cls;

    feed->orphaned = true;
    if (!feed->filling)
        free_feed(feed);
}

static void link_feed(struct feed *feed)
{
    feed->following = feed->loop->feeds;
    if (feed->following != NULL)
        feed->following->previous = feed;
    feed->loop->feeds = feed;
}

struct MHD_Response *feed_response(struct http_loop *loop,
                                   struct MHD_Connection *mhd,
                                   struct connection *connection,
                                   struct stream *stream, enum feed_use use)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    struct MHD_Response *response;

    if (feed == NULL) {
        stream->free(stream);
        return NULL;
    }
    feed->work = (struct loop_work){.run = run_fill, .done = fill_done};
    feed->loop = loop;
    feed->mhd = mhd;
    feed->connection = connection;
    feed->stream = stream;
    stream->filled = filled;
    stream->feed = feed;
    link_feed(feed);
    response = MHD_create_response_from_callback(
        stream->size == 0 ? MHD_SIZE_UNKNOWN : stream->size, BLOCK_SIZE,
        read_feed, feed, response_gone);
    if (response == NULL) {
        free_feed(feed);
        return NULL;
    }
    if (use == FEED_READ) {
        start_fill(feed);
        return response;
    }
    /*
     * 0.9.75 ends the answer to HEAD with an empty chunk, which a client takes
     * for the next answer. In this mode it sends no chunks, and closes.
     */
    feed->state = FEED_ENDED;
    MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT,
                             MHD_RO_END);
    return response;
}

void feed_cut_all(struct http_loop *loop)
{
    for (struct feed *feed = loop->feeds; feed != NULL;
         feed = feed->following) {
        if (!feed->suspended)
            continue;
        feed->cut = true;
        resume(feed);
    }
}
