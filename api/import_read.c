#include "api/import_read.h"

#include "api/json_check.h"
#include "api/json_text.h"
#include "api/key_quorum.h"
#include "base/clock.h"
#include "service/settings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char no_files[] = "in Redis a value has at most --inline-bytes";

/* What becomes of the pieces that come. */
enum fate {
    FATE_NONE,    /* None are expected. */
    FATE_KEEP,    /* They make the value of `pending`. */
    FATE_PRESENT, /* It is there already: they are passed over. */
    FATE_REFUSED, /* Its record was refused, which was told. */
};

struct import_reader {
    struct import_reader_options options;
    struct import_counts counts;
    struct blob faults;
    uint64_t fault_count;

    /* The value in pieces. */
    enum fate fate;
    struct blob text; /* The line of its record, which pending borrows. */
    struct import_line pending;
    uint64_t line;
    uint64_t offset;
    struct blob bytes;
    struct large_file *file; /* Instead of bytes. */
    struct json_check check; /* Of JSON. */
};

enum kist_status import_reader_open(const struct import_reader_options *options,
                                    struct import_reader **out_reader)
{
    struct import_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL)
        return KIST_NO_MEMORY;
    reader->options = *options;
    json_check_init(&reader->check);
    *out_reader = reader;
    return KIST_OK;
}

/* pending may have been given away by then. */
static void forget_pending(struct import_reader *reader)
{
    if (reader->fate != FATE_NONE)
        batch_operation_clear(&reader->pending.operation);
    large_discard(reader->file);
    reader->file = NULL;
    blob_clear(&reader->bytes);
    json_check_clear(&reader->check);
    json_check_init(&reader->check);
    reader->fate = FATE_NONE;
}

void import_reader_close(struct import_reader *reader)
{
    if (reader == NULL)
        return;
    forget_pending(reader);
    json_check_clear(&reader->check);
    blob_free(&reader->bytes);
    blob_free(&reader->text);
    blob_free(&reader->faults);
    free(reader);
}

const struct import_counts *import_reader_counts(struct import_reader *reader)
{
    return &reader->counts;
}

struct view import_reader_faults(const struct import_reader *reader)
{
    return blob_view(&reader->faults);
}

void import_reader_fault(struct import_reader *reader, uint64_t line,
                         struct view key, enum problem problem,
                         const char *detail)
{
    struct blob *out = &reader->faults;

    reader->counts.failed++;
    if (reader->fault_count++ >= IMPORT_FAULTS)
        return;
    blob_printf(out, "%s{\"line\":%" PRIu64, out->size > 0 ? "," : "", line);
    if (key.size > 0) {
        blob_append_text(out, ",\"key\":");
        blob_append_json(out, key);
    }
    blob_printf(out, ",\"type\":\"" PROBLEM_TYPE_PREFIX "%s\",\"detail\":",
                problem_row(problem)->slug);
    blob_append_json(out, view_of(detail));
    blob_append_byte(out, '}');
}

static void tell_refusal(struct import_reader *reader, uint64_t line,
                         const struct batch_operation *operation)
{
    import_reader_fault(reader, line, operation->key, operation->problem,
                        operation->detail);
}

/* Values in pieces. */

static void end_pending(struct import_reader *reader)
{
    if (reader->fate == FATE_KEEP || reader->fate == FATE_PRESENT)
        import_reader_fault(reader, reader->line, reader->pending.operation.key,
                            PROBLEM_UNPROCESSABLE,
                            "the pieces after the record are fewer than its "
                            "size says");
    forget_pending(reader);
}

/* Bytes that are there need not be written to a file first. */
static bool is_present(struct import_reader *reader,
                       const struct batch_operation *operation)
{
    struct item item;
    bool present;

    if (reader->options.mode != IMPORT_MERGE || reader->options.in_cluster ||
        reader->options.store == NULL ||
        store_get(reader->options.store, operation->key, &item) != KIST_OK)
        return false;
    present = version_compare(item.record.version, operation->put.version) >= 0;
    item_free(&item);
    return present;
}

static bool needs_file(const struct import_reader *reader, uint64_t size)
{
    return size > reader->options.settings->inline_bytes;
}

static enum kist_status begin_file(struct import_reader *reader, uint64_t size)
{
    return large_create(store_large(reader->options.store), size,
                        &reader->file);
}

static void refuse_pending(struct import_reader *reader, uint64_t line,
                           enum problem problem, const char *detail)
{
    import_reader_fault(reader, line, reader->pending.operation.key, problem,
                        detail);
    large_discard(reader->file);
    reader->file = NULL;
    reader->fate = FATE_REFUSED;
}

/* The line is kept, for its pieces may come much later. */
static enum kist_status begin_value(struct import_reader *reader,
                                    struct view line)
{
    enum kist_status status;

    blob_clear(&reader->text);
    blob_append(&reader->text, line);
    if (reader->text.failed)
        return KIST_NO_MEMORY;
    reader->fate = FATE_KEEP; /* From here on pending is ours to clear. */
    reader->line = reader->counts.lines;
    reader->offset = 0;
    status = import_line_read(&reader->pending, blob_view(&reader->text),
                              reader->options.mode, reader->options.settings,
                              clock_wall_ms());
    if (status != KIST_OK)
        return status;
    if (reader->pending.operation.refused) {
        tell_refusal(reader, reader->line, &reader->pending.operation);
        reader->fate = FATE_REFUSED;
        return KIST_OK;
    }
    if (is_present(reader, &reader->pending.operation)) {
        reader->fate = FATE_PRESENT;
        return KIST_OK;
    }
    if (!needs_file(reader, reader->pending.size))
        return KIST_OK;
    if (reader->options.store != NULL)
        return begin_file(reader, reader->pending.size);
    refuse_pending(reader, reader->line, PROBLEM_BODY_TOO_LARGE, no_files);
    return KIST_OK;
}

/* False: told. */
static bool piece_fits(struct import_reader *reader,
                       const struct import_line *piece)
{
    const struct batch_operation *operation = &piece->operation;
    uint64_t left = reader->pending.size - reader->offset;

    if (view_equal(operation->key, reader->pending.operation.key) &&
        piece->offset == reader->offset && operation->put.value.size > 0 &&
        operation->put.value.size <= left)
        return true;
    refuse_pending(reader, reader->counts.lines, PROBLEM_UNPROCESSABLE,
                   "the piece is not where the one before it ended, or goes "
                   "beyond the size of its record");
    return false;
}

/*
 * In a cluster the same record has the same file, whoever brings it. One that
 * is written anew is another record each time.
 */
static enum kist_status finish_named(struct import_reader *reader,
                                     const struct batch_operation *operation,
                                     struct large_reference *out)
{
    if (!reader->options.in_cluster || reader->options.mode != IMPORT_MERGE)
        return large_finish(reader->file, out);
    *out = key_quorum_name(reader->options.cluster, operation->key,
                           operation->put.version);
    out->serial ^= large_hash(reader->file) ^ large_size(reader->file);
    return large_finish_named(reader->file, out);
}

/* The operation's value is the file. */
static enum kist_status finish_file(struct import_reader *reader,
                                    struct batch_operation *operation)
{
    struct large_reference reference;
    struct blob bytes = BLOB_EMPTY;
    enum kist_status status;

    /* Room first: a file that is finished and not named would stay. */
    if (blob_reserve(&bytes, LARGE_REFERENCE_SIZE) != KIST_OK)
        return KIST_NO_MEMORY;
    status = finish_named(reader, operation, &reference);
    if (status != KIST_OK) {
        blob_free(&bytes);
        return status;
    }
    large_discard(reader->file);
    reader->file = NULL;
    large_reference_encode(&reference, &bytes);
    blob_free(&operation->edit.result);
    operation->edit.result = bytes;
    operation->put.value = blob_view(&bytes);
    operation->put.large = true;
    return KIST_OK;
}

/* KIST_INVALID: it is not, and was told. */
static enum kist_status check_json(struct import_reader *reader)
{
    enum json_type type;
    enum kist_status status = json_check_finish(&reader->check, &type);

    if (status == KIST_INVALID)
        refuse_pending(reader, reader->line, PROBLEM_INVALID_JSON,
                       reader->check.fault.reason);
    else if (status == KIST_OK && type != reader->pending.operation.put.type) {
        refuse_pending(reader, reader->line, PROBLEM_INVALID_JSON,
                       "\"type\" is not the type of the value");
        status = KIST_INVALID;
    }
    return status;
}

/* All pieces are there: the operation is the caller's now. */
static enum kist_status give_value(struct import_reader *reader,
                                   struct import_operation *out, size_t *count)
{
    struct batch_operation *operation = &reader->pending.operation;
    enum kist_status status = KIST_OK;

    if (operation->put.type != JSON_NONE)
        status = check_json(reader);
    if (status == KIST_INVALID)
        return KIST_OK;
    if (status == KIST_OK && reader->file != NULL)
        status = finish_file(reader, operation);
    if (status != KIST_OK)
        return status;
    if (!operation->put.large) {
        blob_free(&operation->edit.result);
        operation->edit.result = reader->bytes;
        operation->put.value = blob_view(&reader->bytes);
        reader->bytes = BLOB_EMPTY;
    }
    *out = (struct import_operation){*operation, reader->line};
    *count += 1;
    reader->fate = FATE_NONE;
    forget_pending(reader);
    return KIST_OK;
}

static enum kist_status keep_piece(struct import_reader *reader,
                                   struct view bytes)
{
    enum kist_status status = KIST_OK;

    if (reader->pending.operation.put.type != JSON_NONE)
        status = json_check_feed(&reader->check, bytes);
    if (status == KIST_INVALID) {
        refuse_pending(reader, reader->line, PROBLEM_INVALID_JSON,
                       reader->check.fault.reason);
        return KIST_OK;
    }
    if (status == KIST_OK && reader->file != NULL)
        return large_append(reader->file, bytes);
    blob_append(&reader->bytes, bytes);
    return reader->bytes.failed ? KIST_NO_MEMORY : status;
}

static enum kist_status take_piece(struct import_reader *reader,
                                   const struct import_line *piece,
                                   struct import_operation *out, size_t *count)
{
    enum kist_status status = KIST_OK;

    if (reader->fate == FATE_NONE) {
        import_reader_fault(reader, reader->counts.lines, piece->operation.key,
                            PROBLEM_UNPROCESSABLE,
                            "a piece without its record before it");
        return KIST_OK;
    }
    if (reader->fate == FATE_REFUSED || !piece_fits(reader, piece))
        return KIST_OK;
    if (reader->fate == FATE_KEEP)
        status = keep_piece(reader, piece->operation.put.value);
    reader->offset += piece->operation.put.value.size;
    if (status != KIST_OK || reader->offset < reader->pending.size)
        return status;
    if (reader->fate == FATE_KEEP)
        return give_value(reader, out, count);
    if (reader->fate == FATE_PRESENT) {
        reader->counts.unchanged++;
        forget_pending(reader);
    }
    return KIST_OK;
}

/* Lines. */

/* A value on one line that is too large for the engine, as with PUT. */
static enum kist_status move_to_file(struct import_reader *reader,
                                     struct batch_operation *operation)
{
    struct view value = operation->put.value;
    enum kist_status status = begin_file(reader, value.size);

    if (status == KIST_OK)
        status = large_append(reader->file, value);
    return status == KIST_OK ? finish_file(reader, operation) : status;
}

static enum kist_status take_record(struct import_reader *reader,
                                    struct batch_operation *operation,
                                    struct import_operation *out, size_t *count)
{
    enum kist_status status = KIST_OK;

    if (needs_file(reader, operation->put.value.size)) {
        if (reader->options.store == NULL) {
            import_reader_fault(reader, reader->counts.lines, operation->key,
                                PROBLEM_BODY_TOO_LARGE, no_files);
            return KIST_OK;
        }
        if (is_present(reader, operation)) {
            reader->counts.unchanged++;
            return KIST_OK;
        }
        status = move_to_file(reader, operation);
    }
    if (status != KIST_OK)
        return status;
    *out = (struct import_operation){*operation, reader->counts.lines};
    *count += 1;
    *operation = (struct batch_operation){0};
    return KIST_OK;
}

static enum kist_status take_line(struct import_reader *reader,
                                  struct import_line *line, struct view text,
                                  struct import_operation *out, size_t *count)
{
    bool is_record = line->kind == IMPORT_RECORD || line->kind == IMPORT_BEGIN;

    reader->counts.records += is_record;
    reader->counts.is_ended = line->kind == IMPORT_END;
    if (line->kind != IMPORT_PIECE)
        end_pending(reader);
    if (line->operation.refused && line->kind != IMPORT_BEGIN) {
        if (line->kind == IMPORT_PIECE && reader->fate != FATE_NONE)
            refuse_pending(reader, reader->counts.lines,
                           line->operation.problem, line->operation.detail);
        else
            tell_refusal(reader, reader->counts.lines, &line->operation);
        return KIST_OK;
    }
    switch (line->kind) {
    case IMPORT_RECORD:
        return take_record(reader, &line->operation, out, count);
    case IMPORT_BEGIN:
        return begin_value(reader, text);
    case IMPORT_PIECE:
        return take_piece(reader, line, out, count);
    case IMPORT_END:
        break;
    }
    return KIST_OK;
}

static enum kist_status read_line(struct import_reader *reader,
                                  struct view text,
                                  struct import_operation *out, size_t *count)
{
    struct import_line line;
    enum kist_status status;

    reader->counts.lines++;
    if (json_text_trim(text).size == 0)
        return KIST_OK;
    status = import_line_read(&line, text, reader->options.mode,
                              reader->options.settings, clock_wall_ms());
    if (status == KIST_OK)
        status = take_line(reader, &line, text, out, count);
    batch_operation_clear(&line.operation);
    return status;
}

/* A line at the start of rest, without its end; false: there is none yet. */
static bool next_line(struct view rest, bool is_last, struct view *out_line,
                      size_t *out_size)
{
    const char *end =
        rest.size == 0 ? NULL : memchr(rest.data, '\n', rest.size);

    if (end == NULL && (!is_last || rest.size == 0))
        return false;
    *out_line = rest;
    if (end != NULL)
        out_line->size = (size_t)(end - rest.data);
    *out_size = out_line->size + (end != NULL);
    return true;
}

enum kist_status import_reader_run(struct import_reader *reader,
                                   struct view text, size_t *at, bool is_last,
                                   struct import_operation *operations,
                                   size_t *out_count)
{
    enum kist_status status = KIST_OK;
    size_t size;
    struct view line;

    *out_count = 0;
    while (status == KIST_OK && *out_count < IMPORT_ROUND) {
        size_t before = *out_count;
        bool in_pieces = reader->fate == FATE_KEEP;

        if (!next_line(view_from(text, *at), is_last, &line, &size)) {
            if (text.size - *at > IMPORT_LINE_MAX)
                return KIST_TOO_LARGE;
            if (is_last)
                end_pending(reader);
            break;
        }
        if (line.size > IMPORT_LINE_MAX)
            return KIST_TOO_LARGE;
        status = read_line(reader, line, &operations[*out_count], out_count);
        *at += size;
        /* It borrows from the line that the next such record replaces. */
        if (in_pieces && *out_count > before)
            break;
    }
    reader->counts.settled =
        reader->fate == FATE_NONE ? reader->counts.lines : reader->line - 1;
    return reader->faults.failed ? KIST_NO_MEMORY : status;
}
