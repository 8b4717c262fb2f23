#include "api/list_stream.h"

#include "api/api.h"
#include "api/entity.h"
#include "api/large_value.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "api/scan_job.h"
#include "base/clock.h"
#include "base/owner.h"

#include <stdlib.h>

#define PIECE_BYTES (64u << 10)
/* Elsewhere: what is left of a slice is fetched again with the next. */
#define PIECE_BYTES_GATHERED (1u << 20)
#define SLICE_STEPS          10000

struct list_stream {
    struct stream stream;
    struct scan_job job; /* For its range; the stream makes its own slices. */
    struct blob *piece;  /* During fill(). */
    uint64_t left;       /* Of limit; UINT64_MAX without one. */
    size_t piece_bytes;
    bool values;
    uint64_t load_limit;     /* Larger values are told of without theirs. */
    enum kist_status status; /* Of reading them. */

    /* In a cluster. */
    struct scan_visitor visitor;
    bool is_gathering; /* A slice is under way; the first has no piece yet. */
    bool is_abandoned; /* To be freed after it. */
};

static bool go_on(struct list_stream *list)
{
    blob_append_byte(list->piece, '\n');
    if (list->left != UINT64_MAX)
        list->left--;
    return list->left > 0 && list->piece->size < list->piece_bytes;
}

static bool add_key(void *ctx, struct view key, const struct record *record)
{
    struct list_stream *list = ctx;
    struct item item = {.record = *record};

    /* In a cluster they have come with their records (scan_page.h). */
    if (list->values && list->stream.start == NULL)
        list->status = large_value_load(list->job.scan.store, key,
                                        list->load_limit, &item);
    if (list->status == KIST_OK)
        entity_append_item(list->piece, key, &item.record,
                           list->values ? ENTITY_WITH_VALUE
                                        : ENTITY_WITHOUT_VALUE);
    item_free(&item);
    if (list->status == KIST_OK)
        return go_on(list);
    if (list->status != KIST_NOT_FOUND)
        return false;
    list->status = KIST_OK; /* Deleted just now. */
    return true;
}

static bool add_prefix(void *ctx, struct view prefix)
{
    struct list_stream *list = ctx;

    blob_append_text(list->piece, "{\"prefix\":");
    blob_append_json(list->piece, prefix);
    blob_append_byte(list->piece, '}');
    return go_on(list);
}

/* Slices until there is a line to send, for an empty piece ends the stream. */
static enum kist_status fill(struct stream *stream, struct blob *piece)
{
    struct list_stream *list = (struct list_stream *)stream;
    struct scan_visitor visitor = {list, add_key, add_prefix};
    enum kist_status status = KIST_OK;

    list->piece = piece;
    while (status == KIST_OK && list->status == KIST_OK && piece->size == 0 &&
           list->left > 0 && !list->job.scan.done)
        status =
            scan_run(&list->job.scan, &visitor, clock_wall_ms(), SLICE_STEPS);
    if (status == KIST_OK)
        status = list->status;
    if (piece->failed)
        status = KIST_NO_MEMORY;
    return status;
}

static void free_stream(struct stream *stream);

/* In a cluster: slices come by way of the loop. */

static void gathered(struct scan_gather *gather, enum kist_status status)
{
    struct list_stream *list = OWNER(gather, struct list_stream, job.gather);

    list->is_gathering = false;
    if (list->is_abandoned) {
        free_stream(&list->stream);
        return;
    }
    if (status == KIST_OK)
        status = list->status;
    if (status == KIST_OK && list->piece->size == 0 && list->left > 0 &&
        !list->job.scan.done) {
        list->stream.start(&list->stream, list->piece);
        return;
    }
    list->stream.filled(&list->stream, status);
}

static enum kist_status gather(struct list_stream *list)
{
    enum kist_status status;

    list->visitor = (struct scan_visitor){list, add_key, add_prefix};
    list->job.gather.scan = &list->job.scan;
    list->job.gather.visitor = &list->visitor;
    list->job.gather.done = gathered;
    status = scan_gather_start(&list->job.gather);
    list->is_gathering = status == KIST_OK;
    return status;
}

static void start(struct stream *stream, struct blob *piece)
{
    struct list_stream *list = (struct list_stream *)stream;
    enum kist_status status = KIST_OK;

    list->piece = piece;
    if (list->is_gathering)
        return;
    if (list->left > 0 && !list->job.scan.done) {
        status = gather(list);
        if (status == KIST_OK)
            return;
    }
    stream->filled(stream, status);
}

/* The first slice begins before the answer does: it may have to be another. */
static enum kist_status start_early(struct request *request,
                                    struct list_stream *list)
{
    list->stream.fill = NULL;
    list->stream.start = start;
    list->piece_bytes = PIECE_BYTES_GATHERED;
    list->job.gather.values = list->values;
    return request->method == METHOD_HEAD ? KIST_OK : gather(list);
}

static void free_stream(struct stream *stream)
{
    struct list_stream *list = (struct list_stream *)stream;

    list->is_abandoned = list->is_gathering;
    if (list->is_abandoned)
        return;
    scan_clear(&list->job.scan);
    free(list);
}

void list_stream_reply(struct request *request)
{
    struct list_stream *list = calloc(1, sizeof(*list));
    enum kist_status status = KIST_OK;

    if (list == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The keys were not listed");
        return;
    }
    list->stream = (struct stream){.fill = fill, .free = free_stream};
    list->left = UINT64_MAX;
    list->piece_bytes = PIECE_BYTES;
    list->load_limit = request->api->settings->max_json_bytes;
    if (!preconditions_number(request, PARAMETER_LIMIT, 1, INT64_MAX,
                              &list->left) ||
        !preconditions_switch(request, PARAMETER_VALUES, &list->values) ||
        !scan_job_init(&list->job, request, NULL)) {
        free_stream(&list->stream);
        return;
    }
    list->job.scan.values = list->values;
    if (request->api->redis != NULL)
        list->piece_bytes = PIECE_BYTES_GATHERED;
    if (request->api_loop->seat != NULL)
        status = start_early(request, list);
    if (status != KIST_OK) {
        scan_job_reply_failed(&list->job, status, "The keys were not listed");
        free_stream(&list->stream);
        return;
    }
    reply_stream(request, 200, NDJSON_MEDIA_TYPE, &list->stream);
}
