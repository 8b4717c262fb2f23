#include "api/backup_lines.h"

#include "api/export_line.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)64 << 10)

struct lines {
    int out;
    struct engine_fault *fault;
    struct blob buffer;
    struct blob key; /* Of the value that comes in pieces. */
    uint64_t offset;
};

static enum kist_status write_out(struct lines *lines)
{
    struct view rest = blob_view(&lines->buffer);

    if (lines->buffer.failed)
        return KIST_NO_MEMORY;
    while (rest.size > 0) {
        ssize_t put = write(lines->out, rest.data, rest.size);

        if (put >= 0) {
            rest = view_from(rest, (size_t)put);
        } else if (errno != EINTR) {
            engine_fault_set(lines->fault, "the lines cannot be written: %s",
                             strerror(errno));
            return KIST_IO;
        }
    }
    blob_clear(&lines->buffer);
    return KIST_OK;
}

static enum kist_status go_on(struct lines *lines)
{
    return lines->buffer.size < BUFFER_BYTES ? KIST_OK : write_out(lines);
}

static enum kist_status add_pieces(struct lines *lines, struct view bytes)
{
    enum kist_status status = KIST_OK;

    while (status == KIST_OK && bytes.size > 0) {
        struct view piece = bytes;

        if (piece.size > EXPORT_PIECE)
            piece.size = EXPORT_PIECE;
        export_line_piece(blob_view(&lines->key), lines->offset, piece,
                          &lines->buffer);
        lines->offset += piece.size;
        bytes = view_from(bytes, piece.size);
        status = go_on(lines);
    }
    return status;
}

static enum kist_status take_record(void *ctx, struct view key,
                                    struct view bytes,
                                    const struct record *record,
                                    const struct large_reference *reference)
{
    struct lines *lines = ctx;

    (void)bytes;
    export_line_record(key, record, &lines->buffer);
    blob_clear(&lines->key);
    blob_append(&lines->key, key);
    lines->offset = 0;
    if (lines->key.failed)
        return KIST_NO_MEMORY;
    if (reference == NULL && !export_line_is_whole(record))
        return add_pieces(lines, record->value);
    return go_on(lines);
}

static enum kist_status take_value(void *ctx, struct view bytes, bool is_last)
{
    (void)is_last;
    return add_pieces(ctx, bytes);
}

enum kist_status backup_lines_write(int backup, int out,
                                    struct engine_fault *out_fault)
{
    struct lines lines = {.out = out, .fault = out_fault};
    struct backup_visitor visitor = {
        .ctx = &lines,
        .record = take_record,
        .value = take_value,
    };
    struct backup_summary summary;
    enum kist_status status =
        backup_read(backup, &visitor, out_fault, &summary);

    if (status == KIST_OK) {
        export_line_end(summary.counts.records, &lines.buffer);
        status = write_out(&lines);
    }
    blob_free(&lines.buffer);
    blob_free(&lines.key);
    return status;
}
