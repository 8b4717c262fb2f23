#include "api/entity.h"

#include "api/base64.h"
#include "api/moment.h"
#include "api/reply.h"

#include <inttypes.h>

void entity_version_headers(struct request *request, struct version version)
{
    char tag[VERSION_HEX_SIZE + 2];
    struct view hex = {tag + 1, VERSION_HEX_SIZE};

    version_to_hex(version, tag + 1); /* Its NUL is where the quote goes. */
    reply_header_text(request, "Kist-Version", hex);
    tag[0] = tag[sizeof(tag) - 1] = '"';
    reply_header_text(request, "ETag", (struct view){tag, sizeof(tag)});
}

void entity_headers(struct request *request, const struct record *record)
{
    char text[MOMENT_SIZE];

    /* A cache may keep it, asks each time, and keeps the entry form apart. */
    reply_header_literal(request, "Cache-Control", "no-cache");
    reply_header_literal(request, "Vary", "Accept");
    entity_version_headers(request, record->version);
    moment_to_http(version_ms(record->version), text);
    reply_header_text(request, "Last-Modified", view_of(text));
    if (record->type != JSON_NONE)
        reply_header_literal(request, "Kist-Type",
                             json_type_name(record->type));
    if (record->expiry_ms != 0) {
        moment_to_rfc3339(record->expiry_ms, text);
        reply_header_text(request, "Kist-Expires", view_of(text));
    }
}

/*
 * Line ends in JSON can only be white space between its parts: as spaces they
 * mean the same, and the item stays on its line of NDJSON.
 */
static void append_on_one_line(struct blob *out, struct view json)
{
    size_t start = out->size;

    blob_append(out, json);
    for (size_t i = start; i < out->size; i++)
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
}

static void append_moment(struct blob *out, const char *name, uint64_t ms)
{
    char text[MOMENT_SIZE];

    moment_to_rfc3339(ms, text);
    blob_printf(out, ",\"%s\":\"%s\"", name, text);
}

void entity_append_item(struct blob *out, struct view key,
                        const struct record *record, enum entity_value value)
{
    char hex[VERSION_HEX_SIZE + 1];

    version_to_hex(record->version, hex);
    blob_append_text(out, "{\"key\":");
    blob_append_json(out, key);
    blob_printf(out, ",\"version\":\"%s\"", hex);
    if (record->type != JSON_NONE)
        blob_printf(out, ",\"type\":\"%s\"", json_type_name(record->type));
    blob_append_text(out, ",\"media_type\":");
    blob_append_json(out, record->media_type);
    blob_printf(out, ",\"size\":%" PRIu64, record_value_size(record));
    append_moment(out, "created", record->created_ms);
    append_moment(out, "modified", version_ms(record->version));
    if (record->expiry_ms != 0)
        append_moment(out, "expires", record->expiry_ms);

    if (value == ENTITY_WITH_VALUE && record->large) {
        blob_append_text(out, ",\"large\":true");
    } else if (value == ENTITY_WITH_VALUE && record->type != JSON_NONE) {
        blob_append_text(out, ",\"value\":");
        append_on_one_line(out, record->value);
    } else if (value == ENTITY_WITH_VALUE) {
        blob_append_text(out, ",\"base64\":\"");
        base64_append(out, record->value, BASE64);
        blob_append_byte(out, '"');
    }
    blob_append_byte(out, '}');
}
