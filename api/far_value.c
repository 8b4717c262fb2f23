#include "api/far_value.h"

#include "api/api.h"
#include "api/reply.h"
#include "base/owner.h"
#include "replication/bring.h"
#include "replication/cluster.h"

#include <stdlib.h>

struct far_value {
    struct stream stream;
    struct transport_files *files; /* Kept. */
    const struct ring *ring;       /* A share: has the addresses. */
    struct env_bring bring;

    /* Of an answer. */
    struct blob begun; /* Its first piece, until it goes out. */
    uint64_t at, end;
};

static enum kist_status fill(struct stream *stream, struct blob *piece);

static void free_stream(struct stream *stream)
{
    far_value_free(OWNER(stream, struct far_value, stream));
}

enum kist_status far_value_new(struct request *request, struct view key,
                               const struct record *record,
                               struct far_value **out_far)
{
    const struct seat *seat = request->api_loop->seat;
    struct far_value *far;
    enum kist_status status;

    if (seat == NULL || request->api->cluster == NULL)
        return KIST_NOT_FOUND;
    far = calloc(1, sizeof(*far));
    if (far == NULL)
        return KIST_NO_MEMORY;
    status = bring_plan(seat, key, record, 0, &far->bring);
    if (status == KIST_OK && far->bring.count == 0)
        status = KIST_NOT_FOUND;
    if (status != KIST_OK) {
        free(far);
        return status;
    }
    far->stream = (struct stream){.fill = fill, .free = free_stream};
    far->files = cluster_files(request->api->cluster);
    far->ring = ring_share(seat->ring);
    *out_far = far;
    return KIST_OK;
}

void far_value_free(struct far_value *far)
{
    if (far == NULL)
        return;
    ring_free(far->ring);
    blob_free(&far->begun);
    free(far);
}

enum kist_status far_value_read(struct far_value *far, uint64_t offset,
                                size_t size, char *room)
{
    return transport_files_read(far->files, &far->bring, offset, size, room);
}

static enum kist_status append(struct far_value *far, uint64_t offset,
                               size_t size, struct blob *out)
{
    enum kist_status status;

    if (blob_reserve_exactly(out, out->size + size) != KIST_OK)
        return KIST_NO_MEMORY;
    status = far_value_read(far, offset, size, out->data + out->size);
    if (status == KIST_OK)
        out->size += size;
    return status;
}

enum kist_status far_value_load(struct far_value *far, struct item *item,
                                uint64_t limit)
{
    const struct large_reference *file = &far->bring.file;
    struct view media_type = item->record.media_type;
    struct blob loaded = BLOB_EMPTY;
    enum kist_status status = KIST_NO_MEMORY;

    if (file->size > limit)
        return KIST_TOO_LARGE;
    blob_append(&loaded, media_type);
    if (!loaded.failed)
        status = append(far, 0, (size_t)file->size, &loaded);
    if (status == KIST_OK &&
        !large_reference_fits(file,
                              view_from(blob_view(&loaded), media_type.size)))
        status = KIST_CORRUPT;
    if (status == KIST_OK)
        item_hold_value(item, &loaded);
    else
        blob_free(&loaded);
    return status;
}

/* An answer. */

static size_t next_size(const struct far_value *far)
{
    uint64_t left = far->end - far->at;

    return left < FAR_VALUE_PIECE ? (size_t)left : FAR_VALUE_PIECE;
}

enum kist_status far_value_begin(struct far_value *far, uint64_t first,
                                 uint64_t count)
{
    far->at = first;
    far->end = first + count;
    blob_clear(&far->begun);
    return append(far, first, next_size(far), &far->begun);
}

/* On a pool thread. */
static enum kist_status fill(struct stream *stream, struct blob *piece)
{
    struct far_value *far = OWNER(stream, struct far_value, stream);
    size_t size = next_size(far);
    enum kist_status status = KIST_OK;

    if (far->begun.size > 0) {
        blob_free(piece);
        *piece = far->begun;
        far->begun = BLOB_EMPTY;
    } else if (size > 0) {
        status = append(far, far->at, size, piece);
    }
    if (status == KIST_OK)
        far->at += size;
    return status;
}

void far_value_reply(struct request *request, unsigned code,
                     const char *media_type, struct far_value *far)
{
    far->stream.size = far->end - far->at;
    reply_stream(request, code, media_type, &far->stream);
}
