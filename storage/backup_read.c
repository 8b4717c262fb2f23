#include "storage/backup_read.h"

#include "storage/backup_frame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* A lie about a size must not cost memory before the bytes are there. */
#define READ_BYTES ((size_t)1 << 20)

struct reading {
    int descriptor;
    const struct backup_visitor *visitor;
    struct engine_fault *fault;
    struct backup_summary summary;
    struct backup_packer *packer;
    struct backup_chain chain;

    uint64_t frame, frame_at; /* The one at hand, and where it begins. */
    struct blob packed, bytes;
    struct blob last_key;
    bool has_key; /* last_key is one. */
    bool is_over; /* The tail was read. */

    /* The large value that is still to come. */
    bool in_value;
    struct large_reference reference;
    uint64_t left;
    XXH3_state_t *hash;
};

/* At the frame at hand, or at one of its records. */
static enum kist_status refuse(struct reading *reading, const char *why)
{
    engine_fault_set(reading->fault,
                     "the backup is damaged or cut: in frame %" PRIu64
                     ", which begins at byte %" PRIu64 ", after %" PRIu64
                     " records: %s",
                     reading->frame, reading->frame_at,
                     reading->summary.counts.records, why);
    return KIST_CORRUPT;
}

static enum kist_status refuse_record(struct reading *reading, struct view key,
                                      const char *why)
{
    struct blob text = BLOB_EMPTY;

    blob_append_text(&text, why);
    blob_append_text(&text, " (key ");
    blob_append_json(&text,
                     key.size < 200 ? key : (struct view){key.data, 200});
    blob_append_text(&text, ")");
    blob_append_byte(&text, '\0');
    if (!text.failed)
        why = text.data;
    refuse(reading, why);
    blob_free(&text);
    return KIST_CORRUPT;
}

/* Up to size bytes; fewer only where the file ends. */
static enum kist_status read_some(struct reading *reading, size_t size,
                                  struct blob *out)
{
    size_t end = out->size + size;

    while (out->size < end) {
        size_t room = end - out->size;
        ssize_t got;

        if (room > READ_BYTES)
            room = READ_BYTES;
        if (blob_reserve(out, room) != KIST_OK)
            return KIST_NO_MEMORY;
        got = read(reading->descriptor, out->data + out->size, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            engine_fault_set(reading->fault, "the backup cannot be read: %s",
                             strerror(errno));
            return KIST_IO;
        }
        if (got == 0)
            break;
        out->size += (size_t)got;
        reading->summary.bytes += (uint64_t)got;
    }
    return KIST_OK;
}

/* The manifest and the tail. */

/* The number after "name " at the start of a line. */
static bool find_number(struct view text, const char *name, int base,
                        uint64_t *out)
{
    char line[64];
    const char *at;
    size_t size;

    snprintf(line, sizeof(line), "\n%s ", name);
    size = strlen(line);
    at = memmem(text.data, text.size, line, size);
    if (at == NULL)
        return false;
    text = view_from(text, (size_t)(at - text.data) + size);
    size = 0;
    while (size < text.size && text.data[size] != '\n')
        size++;
    if (size == 0 || size >= sizeof(line))
        return false;
    memcpy(line, text.data, size);
    line[size] = '\0';
    errno = 0;
    *out = strtoull(line, (char **)&at, base);
    return errno == 0 && *at == '\0' && line[0] != '-';
}

static enum kist_status take_head(struct reading *reading)
{
    struct backup_manifest *manifest = &reading->summary.manifest;
    struct view text = blob_view(&reading->bytes);
    uint64_t format;

    if (!view_starts_with(text, VIEW_LITERAL("kist backup\n")) ||
        !find_number(text, "format", 10, &format))
        return refuse(reading, "the manifest cannot be read");
    if (format != BACKUP_FORMAT) {
        engine_fault_set(reading->fault,
                         "the backup has format %" PRIu64
                         " and this kistd knows format %d; use the version "
                         "that made it",
                         format, BACKUP_FORMAT);
        return KIST_INVALID;
    }
    if (!find_number(text, "node", 16, &manifest->node) ||
        !find_number(text, "time-ms", 10, &manifest->time_ms) ||
        !find_number(text, "clock-lease-ms", 10, &manifest->clock_lease_ms))
        return refuse(reading, "the manifest cannot be read");
    if (reading->visitor->manifest == NULL)
        return KIST_OK;
    return reading->visitor->manifest(reading->visitor->ctx, manifest, text);
}

static enum kist_status take_tail(struct reading *reading)
{
    struct blob expected = BLOB_EMPTY;
    bool equal;

    backup_print_tail(&reading->summary.counts, &expected);
    equal = view_equal(blob_view(&expected), blob_view(&reading->bytes));
    if (expected.failed) {
        blob_free(&expected);
        return KIST_NO_MEMORY;
    }
    blob_free(&expected);
    if (!equal)
        return refuse(reading, "it says that other records were before it");
    reading->is_over = true;
    return KIST_OK;
}

/* Records. */

static bool take_bytes(struct view *rest, size_t size, struct view *out)
{
    if (rest->size < size)
        return false;
    *out = (struct view){rest->data, size};
    *rest = view_from(*rest, size);
    return true;
}

static bool take_entry(struct view *rest, struct view *out_key,
                       struct view *out_bytes)
{
    struct view size;

    return take_bytes(rest, 2, &size) &&
           take_bytes(rest, read_u16(size.data), out_key) &&
           take_bytes(rest, 4, &size) &&
           take_bytes(rest, read_u32(size.data), out_bytes);
}

static bool is_in_order(const struct reading *reading, struct view key)
{
    if (key.size == 0 || key.size > STORE_KEY_MAX)
        return false;
    return !reading->has_key ||
           view_compare(key, blob_view(&reading->last_key)) > 0;
}

static enum kist_status note_key(struct reading *reading, struct view key)
{
    blob_clear(&reading->last_key);
    blob_append(&reading->last_key, key);
    reading->has_key = true;
    return reading->last_key.failed ? KIST_NO_MEMORY : KIST_OK;
}

static void count(struct reading *reading, struct view key, struct view bytes,
                  const struct record *record)
{
    struct backup_counts *counts = &reading->summary.counts;

    counts->records++;
    counts->record_bytes += key.size + bytes.size;
    if (version_compare(record->version, counts->largest) > 0)
        counts->largest = record->version;
    if (!reading->in_value)
        return;
    counts->values++;
    counts->value_bytes += reading->reference.size;
}

static enum kist_status take_record(struct reading *reading, struct view key,
                                    struct view bytes)
{
    const struct backup_visitor *visitor = reading->visitor;
    struct record record;
    enum kist_status status = note_key(reading, key);

    if (status != KIST_OK)
        return status;
    if (record_decode(key, bytes, &record) != KIST_OK)
        return refuse_record(reading, key, "a record's checksum is wrong");
    if (record.large && !record.tombstone) {
        if (large_reference_decode(record.value, &reading->reference) !=
                KIST_OK ||
            reading->reference.size == 0)
            return refuse_record(reading, key, "a record is wrong");
        reading->in_value = true;
        reading->left = reading->reference.size;
        XXH3_64bits_reset(reading->hash);
    }
    count(reading, key, bytes, &record);
    if (visitor->record == NULL)
        return KIST_OK;
    return visitor->record(visitor->ctx, key, bytes, &record,
                           reading->in_value ? &reading->reference : NULL);
}

static enum kist_status take_records(struct reading *reading)
{
    struct view rest = blob_view(&reading->bytes), key, bytes;
    enum kist_status status = KIST_OK;

    while (status == KIST_OK && rest.size > 0) {
        if (reading->in_value)
            return refuse(reading, "a large value is missing");
        if (!take_entry(&rest, &key, &bytes))
            return refuse(reading, "a record does not end in it");
        if (!is_in_order(reading, key))
            return refuse_record(reading, key, "a key is not in its place");
        status = take_record(reading, key, bytes);
    }
    return status;
}

/* A piece of the large value. */
static enum kist_status take_value(struct reading *reading)
{
    const struct backup_visitor *visitor = reading->visitor;
    struct view bytes = blob_view(&reading->bytes);
    struct view key = blob_view(&reading->last_key);

    if (!reading->in_value)
        return refuse(reading, "there is a value without its record");
    if (bytes.size == 0 || bytes.size > reading->left)
        return refuse_record(reading, key, "a large value has another size");
    XXH3_64bits_update(reading->hash, bytes.data, bytes.size);
    reading->left -= bytes.size;
    reading->in_value = reading->left > 0;
    if (!reading->in_value &&
        XXH3_64bits_digest(reading->hash) != reading->reference.hash)
        return refuse_record(reading, key, "a large value's checksum is wrong");
    if (visitor->value == NULL)
        return KIST_OK;
    return visitor->value(visitor->ctx, bytes, !reading->in_value);
}

/* Frames. */

static enum kist_status take_frame(struct reading *reading,
                                   enum backup_kind kind)
{
    if ((kind == BACKUP_HEAD) != (reading->frame == 0))
        return refuse(reading, "a frame is of the wrong kind");
    switch (kind) {
    case BACKUP_HEAD:
        return take_head(reading);
    case BACKUP_RECORDS:
        return take_records(reading);
    case BACKUP_VALUE:
        return take_value(reading);
    case BACKUP_TAIL:
        if (reading->in_value)
            return refuse(reading, "a large value is missing");
        return take_tail(reading);
    }
    return refuse(reading, "a frame is of the wrong kind");
}

static enum kist_status read_frame(struct reading *reading)
{
    struct blob *packed = &reading->packed;
    struct backup_frame frame;
    struct view head = {packed->data, BACKUP_FRAME_HEAD_SIZE};
    const char *why = backup_frame_head(head, &reading->chain, &frame);
    enum kist_status status;

    if (why != NULL)
        return refuse(reading, why);
    status = read_some(reading, frame.packed_size, packed);
    if (status != KIST_OK)
        return status;
    if (packed->size < BACKUP_FRAME_HEAD_SIZE + (size_t)frame.packed_size)
        return refuse(reading, "the file ends in the middle of it");
    head.data = packed->data; /* It may have moved. */
    why = backup_frame_unpack(
        reading->packer, &reading->chain, head, &frame,
        view_from(blob_view(packed), BACKUP_FRAME_HEAD_SIZE), &reading->bytes);
    if (reading->bytes.failed)
        return KIST_NO_MEMORY;
    return why != NULL ? refuse(reading, why) : take_frame(reading, frame.kind);
}

static enum kist_status read_all(struct reading *reading)
{
    enum kist_status status = KIST_OK;

    while (status == KIST_OK) {
        reading->frame = reading->chain.number;
        reading->frame_at = reading->summary.bytes;
        blob_clear(&reading->packed);
        status = read_some(reading, BACKUP_FRAME_HEAD_SIZE, &reading->packed);
        if (status != KIST_OK)
            return status;
        if (reading->packed.size == 0 && reading->is_over)
            return KIST_OK;
        if (reading->is_over)
            return refuse(reading, "there are bytes after the last frame");
        if (reading->packed.size < BACKUP_FRAME_HEAD_SIZE)
            return refuse(reading, "the file ends before it");
        status = read_frame(reading);
    }
    return status;
}

enum kist_status backup_read(int descriptor,
                             const struct backup_visitor *visitor,
                             struct engine_fault *out_fault,
                             struct backup_summary *out_summary)
{
    struct reading reading = {
        .descriptor = descriptor,
        .visitor = visitor,
        .fault = out_fault,
        .hash = XXH3_createState(),
    };
    enum kist_status status = KIST_NO_MEMORY;

    out_fault->text[0] = '\0';
    if (reading.hash != NULL)
        status = backup_packer_open(&reading.packer);
    if (status == KIST_OK)
        status = read_all(&reading);
    if (status == KIST_OK)
        *out_summary = reading.summary;
    backup_packer_close(reading.packer);
    XXH3_freeState(reading.hash);
    blob_free(&reading.packed);
    blob_free(&reading.bytes);
    blob_free(&reading.last_key);
    return status;
}
