#include "api/export_line.h"

#include "api/base64.h"
#include "api/media_type.h"
#include "api/moment.h"
#include "api/entity.h"

#include <inttypes.h>
#include <string.h>

bool export_line_is_whole(const struct record *record)
{
    return record->tombstone || record_value_size(record) <= EXPORT_PIECE;
}

static void append_moment(const char *name, uint64_t ms, struct blob *out)
{
    char text[MOMENT_SIZE];

    moment_to_rfc3339(ms, text);
    blob_printf(out, ",\"%s\":\"%s\"", name, text);
}

static bool is_one_line(struct view json)
{
    return memchr(json.data, '\n', json.size) == NULL &&
           memchr(json.data, '\r', json.size) == NULL;
}

static void append_base64(struct view bytes, struct blob *out)
{
    blob_append_text(out, ",\"base64\":\"");
    base64_append(out, bytes, BASE64);
    blob_append_byte(out, '"');
}

/* A large value that is small enough for a line must be brought first. */
static void append_value(const struct record *record, struct blob *out)
{
    if (record->type != JSON_NONE)
        blob_printf(out, ",\"type\":\"%s\"", json_type_name(record->type));
    if (record->type == JSON_NONE ||
        !view_is(record->media_type, JSON_MEDIA_TYPE)) {
        blob_append_text(out, ",\"media_type\":");
        blob_append_json(out, record->media_type);
    }
    if (record->large || !export_line_is_whole(record)) {
        blob_printf(out, ",\"size\":%" PRIu64, record_value_size(record));
    } else if (record->type != JSON_NONE && is_one_line(record->value)) {
        blob_append_text(out, ",\"value\":");
        blob_append(out, record->value);
    } else {
        append_base64(record->value, out);
    }
}

void export_line_record(struct view key, const struct record *record,
                        struct blob *out)
{
    char hex[VERSION_HEX_SIZE + 1];

    version_to_hex(record->version, hex);
    blob_append_text(out, "{\"key\":");
    blob_append_json(out, key);
    blob_printf(out, ",\"version\":\"%s\"", hex);
    append_moment("created", record->created_ms, out);
    if (record->expiry_ms != 0)
        append_moment("expires", record->expiry_ms, out);
    if (record->tombstone)
        blob_append_text(out, ",\"deleted\":true");
    else
        append_value(record, out);
    blob_append_text(out, "}\n");
}

void export_line_piece(struct view key, uint64_t offset, struct view bytes,
                       struct blob *out)
{
    blob_append_text(out, "{\"key\":");
    blob_append_json(out, key);
    blob_printf(out, ",\"offset\":%" PRIu64, offset);
    append_base64(bytes, out);
    blob_append_text(out, "}\n");
}

void export_line_end(uint64_t records, struct blob *out)
{
    blob_printf(out, "{\"end\":true,\"records\":%" PRIu64 "}\n", records);
}
