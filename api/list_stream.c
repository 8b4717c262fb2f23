#include "api/list_stream.h"

#include "api/api.h"
#include "api/entity.h"
#include "api/large_value.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "api/scan_job.h"
#include "base/clock.h"

#include <stdlib.h>

#define PIECE_BYTES (64u << 10)
#define SLICE_STEPS 10000

struct list_stream {
    struct stream stream;
    struct scan_job job; /* For its range; the stream makes its own slices. */
    struct blob *piece;  /* During fill(). */
    uint64_t left;       /* Of limit; UINT64_MAX without one. */
    bool values;
    uint64_t load_limit;     /* Larger values are told of without theirs. */
    enum kist_status status; /* Of reading them. */
};

static bool go_on(struct list_stream *list)
{
    blob_append_byte(list->piece, '\n');
    if (list->left != UINT64_MAX)
        list->left--;
    return list->left > 0 && list->piece->size < PIECE_BYTES;
}

static bool add_key(void *ctx, struct view key, const struct record *record)
{
    struct list_stream *list = ctx;
    struct item item = {.record = *record};

    if (list->values)
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

static void free_stream(struct stream *stream)
{
    struct list_stream *list = (struct list_stream *)stream;

    scan_clear(&list->job.scan);
    free(list);
}

void list_stream_reply(struct request *request)
{
    struct list_stream *list = calloc(1, sizeof(*list));

    if (list == NULL) {
        reply_status(request, KIST_NO_MEMORY, "The keys were not listed");
        return;
    }
    list->stream = (struct stream){fill, free_stream};
    list->left = UINT64_MAX;
    list->load_limit = request->api->settings->max_json_bytes;
    if (!preconditions_number(request, PARAMETER_LIMIT, 1, INT64_MAX,
                              &list->left) ||
        !preconditions_switch(request, PARAMETER_VALUES, &list->values) ||
        !scan_job_init(&list->job, request, NULL)) {
        free_stream(&list->stream);
        return;
    }
    reply_stream(request, 200, NDJSON_MEDIA_TYPE, &list->stream);
}
