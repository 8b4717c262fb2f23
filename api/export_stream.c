#include "api/export_stream.h"

#include "api/api.h"
#include "api/export_line.h"
#include "api/list_stream.h"
#include "api/preconditions.h"
#include "api/reply.h"
#include "api/scan_job.h"
#include "base/clock.h"
#include "storage/cursor.h"
#include "storage/large_reader.h"

#include <stdlib.h>

#define PIECE_BYTES (64u << 10)
/* A slice holds a cursor, which holds off a reopen: some milliseconds. */
#define SLICE_STEPS 10000

struct export_stream {
    struct stream stream;
    struct scan_job job; /* For its range alone. */
    bool deleted;        /* The dead, too. */
    uint64_t records;
    bool is_ended; /* The last line was given. */

    /* The value that is given in pieces. */
    struct blob key;
    struct blob value;           /* That lies in the engine; or the piece */
    struct large_reader *reader; /* of its file; NULL: none. */
    uint64_t offset, size;

    /* During add_page(). */
    struct blob *piece;
    enum kist_status status;

    /* The file of the record at `lower` was not there. */
    struct version missed;
};

static bool in_value(const struct export_stream *stream)
{
    return stream->offset < stream->size;
}

/* The scan goes on behind key. */
static enum kist_status pass(struct export_stream *stream, struct view key)
{
    struct blob *lower = &stream->job.scan.lower;

    blob_clear(lower);
    blob_append(lower, key);
    blob_append_byte(lower, '\0');
    stream->missed = VERSION_NONE;
    return lower->failed ? KIST_NO_MEMORY : KIST_OK;
}

/*
 * KIST_NOT_FOUND: it was replaced just now, so look again. Twice the same
 * record without its file is a lost one.
 */
static enum kist_status open_file(struct export_stream *stream,
                                  const struct record *record)
{
    struct large_reference reference;
    enum kist_status status = large_reference_decode(record->value, &reference);

    if (status == KIST_OK)
        status = large_reader_open(store_large(stream->job.scan.store),
                                   &reference, &stream->reader);
    if (status != KIST_NOT_FOUND)
        return status;
    if (version_equal(stream->missed, record->version))
        return KIST_CORRUPT;
    stream->missed = record->version;
    return KIST_NOT_FOUND;
}

static enum kist_status begin_value(struct export_stream *stream,
                                    struct view key,
                                    const struct record *record)
{
    if (record->large) {
        enum kist_status status = open_file(stream, record);

        if (status != KIST_OK)
            return status;
    } else {
        blob_clear(&stream->value);
        blob_append(&stream->value, record->value);
    }
    blob_clear(&stream->key);
    blob_append(&stream->key, key);
    stream->offset = 0;
    stream->size = record_value_size(record);
    return stream->key.failed || stream->value.failed ? KIST_NO_MEMORY
                                                      : KIST_OK;
}

static enum kist_status add_record(struct export_stream *stream,
                                   struct view key, const struct record *record,
                                   struct blob *piece)
{
    enum kist_status status = KIST_OK;

    if (record->large || !export_line_is_whole(record))
        status = begin_value(stream, key, record);
    if (status != KIST_OK)
        return status;
    export_line_record(key, record, piece);
    stream->records++;
    return KIST_OK;
}

static bool is_beyond(const struct export_stream *stream, struct view key)
{
    struct view upper = blob_view(&stream->job.scan.upper);

    return upper.size > 0 && view_compare(key, upper) >= 0;
}

/* The record that the cursor is at, if it is to be told. */
static enum kist_status take(struct export_stream *stream,
                             const struct cursor *cursor, uint64_t now_ms,
                             struct blob *piece)
{
    struct record record;
    struct view key;
    enum kist_status status = cursor_record(cursor, &record);

    if (status != KIST_OK || !cursor_key(cursor, &key))
        return status;
    if (stream->deleted || !record_is_dead(&record, now_ms))
        status = add_record(stream, key, &record, piece);
    return status == KIST_OK ? pass(stream, key) : status;
}

static enum kist_status walk(struct export_stream *stream,
                             struct cursor *cursor, struct blob *piece)
{
    uint64_t now_ms = clock_wall_ms();
    enum kist_status status = KIST_OK;
    struct view key;

    cursor_seek(cursor, blob_view(&stream->job.scan.lower));
    for (size_t step = 0; step < SLICE_STEPS && status == KIST_OK; step++) {
        if (!cursor_key(cursor, &key) || is_beyond(stream, key)) {
            stream->job.scan.done = true;
            return cursor_error(cursor);
        }
        status = take(stream, cursor, now_ms, piece);
        if (in_value(stream) || piece->size >= PIECE_BYTES)
            break;
        cursor_next(cursor);
    }
    return status == KIST_NOT_FOUND ? KIST_OK : status; /* Look again. */
}

static enum kist_status add_slice(struct export_stream *stream,
                                  struct blob *piece)
{
    struct cursor *cursor = NULL;
    enum kist_status status =
        cursor_open(stream->job.scan.store, CURSOR_RECORDS, &cursor);

    if (status == KIST_OK)
        status = walk(stream, cursor, piece);
    cursor_close(cursor);
    return status;
}

/* Records that are not in a store; all of them live. */

static bool tell(void *ctx, struct view key, const struct record *record)
{
    struct export_stream *stream = ctx;

    stream->status = add_record(stream, key, record, stream->piece);
    return stream->status == KIST_OK && !in_value(stream) &&
           stream->piece->size < PIECE_BYTES;
}

static enum kist_status add_page(struct export_stream *stream,
                                 struct blob *piece)
{
    struct scan_visitor visitor = {.ctx = stream, .key = tell};
    enum kist_status status;

    stream->piece = piece;
    status =
        scan_run(&stream->job.scan, &visitor, clock_wall_ms(), SLICE_STEPS);
    return status == KIST_OK ? stream->status : status;
}

static void close_value(struct export_stream *stream)
{
    large_reader_close(stream->reader);
    stream->reader = NULL;
}

static enum kist_status add_piece(struct export_stream *stream,
                                  struct blob *piece)
{
    uint64_t left = stream->size - stream->offset;
    size_t size = left < EXPORT_PIECE ? (size_t)left : EXPORT_PIECE;
    struct view bytes;
    enum kist_status status = KIST_OK;

    if (stream->reader != NULL) {
        blob_clear(&stream->value);
        status = large_reader_next(stream->reader, size, &stream->value);
        bytes = blob_view(&stream->value);
    } else {
        bytes = view_from(blob_view(&stream->value), stream->offset);
        bytes.size = size;
    }
    if (status != KIST_OK)
        return status;
    export_line_piece(blob_view(&stream->key), stream->offset, bytes, piece);
    stream->offset += size;
    if (!in_value(stream))
        close_value(stream);
    return KIST_OK;
}

/* An empty piece would end the stream. */
static enum kist_status fill(struct stream *base, struct blob *piece)
{
    struct export_stream *stream = (struct export_stream *)base;
    enum kist_status status = KIST_OK;

    while (status == KIST_OK && piece->size == 0 && !stream->is_ended) {
        if (in_value(stream)) {
            status = add_piece(stream, piece);
        } else if (!stream->job.scan.done) {
            status = stream->job.scan.store != NULL ? add_slice(stream, piece)
                                                    : add_page(stream, piece);
        } else {
            export_line_end(stream->records, piece);
            stream->is_ended = true;
        }
    }
    return piece->failed ? KIST_NO_MEMORY : status;
}

static void free_stream(struct stream *base)
{
    struct export_stream *stream = (struct export_stream *)base;

    close_value(stream);
    blob_free(&stream->key);
    blob_free(&stream->value);
    scan_clear(&stream->job.scan);
    free(stream);
}

void export_stream_reply(struct request *request)
{
    struct export_stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL) {
        reply_status(request, KIST_NO_MEMORY, "Nothing was exported");
        return;
    }
    stream->stream = (struct stream){.fill = fill, .free = free_stream};
    if (!preconditions_switch(request, PARAMETER_DELETED, &stream->deleted) ||
        !scan_job_init(&stream->job, request, NULL)) {
        free_stream(&stream->stream);
        return;
    }
    stream->job.scan.values = true;
    reply_header_literal(request, "Cache-Control", "no-store");
    reply_stream(request, 200, NDJSON_MEDIA_TYPE, &stream->stream);
}
