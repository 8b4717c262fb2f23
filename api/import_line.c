#include "api/import_line.h"

#include "api/base64.h"
#include "api/entity.h"
#include "api/export_line.h"
#include "api/json_check.h"
#include "api/json_named.h"
#include "api/json_string.h"
#include "api/json_text.h"
#include "api/media_type.h"
#include "api/moment.h"
#include "api/target.h"
#include "service/settings.h"
#include "storage/hlc.h"

enum member {
    MEMBER_KEY,
    MEMBER_VERSION,
    MEMBER_CREATED,
    MEMBER_EXPIRES,
    MEMBER_TYPE,
    MEMBER_MEDIA_TYPE,
    MEMBER_VALUE,
    MEMBER_BASE64,
    MEMBER_SIZE,
    MEMBER_DELETED,
    MEMBER_OFFSET,
    MEMBER_END,
    MEMBER_RECORDS,
    MEMBERS
};

static const char *const names[MEMBERS] = {
    "key",    "version", "created", "expires", "type", "media_type", "value",
    "base64", "size",    "deleted", "offset",  "end",  "records"};

#define BIT(member) (1u << (member))
#define OF_RECORD                                                              \
    (BIT(MEMBER_KEY) | BIT(MEMBER_VERSION) | BIT(MEMBER_CREATED) |             \
     BIT(MEMBER_EXPIRES))
#define OF_VALUE                                                               \
    (BIT(MEMBER_TYPE) | BIT(MEMBER_MEDIA_TYPE) | BIT(MEMBER_VALUE) |           \
     BIT(MEMBER_BASE64) | BIT(MEMBER_SIZE))
#define OF_PIECE (BIT(MEMBER_KEY) | BIT(MEMBER_OFFSET) | BIT(MEMBER_BASE64))
#define OF_END   (BIT(MEMBER_END) | BIT(MEMBER_RECORDS))

struct reading {
    struct import_line *line;
    struct batch_operation *operation; /* Of line. */
    const struct settings *settings;
    enum import_mode mode;
    uint64_t now_ms;
    struct view values[MEMBERS]; /* Literals; data NULL: not given. */
    unsigned given;
};

static bool has(const struct reading *reading, enum member member)
{
    return reading->values[member].data != NULL;
}

/* The first fault of a line is told. */
static void refuse(struct reading *reading, enum problem problem,
                   const char *detail)
{
    struct batch_operation *operation = reading->operation;

    if (operation->refused)
        return;
    operation->refused = true;
    operation->problem = problem;
    operation->detail = detail;
}

static void refuse_shape(struct reading *reading, const char *detail)
{
    refuse(reading, PROBLEM_INVALID_JSON, detail);
}

/* What a string means; memory was reserved, so that nothing of it moves. */
static bool read_string(struct reading *reading, enum member member,
                        struct view *out)
{
    struct blob *memory = &reading->operation->memory;
    struct view literal = reading->values[member];
    size_t start = memory->size;

    if (literal.data == NULL || json_text_type(literal) != JSON_IS_STRING)
        return false;
    if (!json_string_has_escapes(literal)) {
        *out = json_string_inside(literal);
        return true;
    }
    json_string_decode(literal, memory);
    *out = view_from(blob_view(memory), start);
    return !memory->failed;
}

static void reserve_strings(struct reading *reading)
{
    size_t size = 0;

    for (enum member member = 0; member < MEMBERS; member++)
        if (member != MEMBER_VALUE && has(reading, member) &&
            json_text_type(reading->values[member]) == JSON_IS_STRING)
            size += json_string_bound(reading->values[member]);
    if (blob_reserve(&reading->operation->memory, size) != KIST_OK)
        reading->operation->memory.failed = true;
}

static void read_key(struct reading *reading)
{
    struct view *key = &reading->operation->key;
    enum target_fault fault;

    if (!read_string(reading, MEMBER_KEY, key)) {
        refuse_shape(reading, "\"key\" takes a string");
        return;
    }
    fault = target_check_key(*key);
    if (fault != TARGET_FINE) {
        *key = (struct view){0};
        refuse(reading, target_fault_problem(fault),
               target_fault_detail(fault));
    }
}

static void read_version(struct reading *reading)
{
    struct version *version = &reading->operation->put.version;
    struct view hex;

    if (!has(reading, MEMBER_VERSION)) {
        if (reading->mode == IMPORT_MERGE)
            refuse_shape(reading, "\"version\" is missing; mode=overwrite does "
                                  "without it");
        return;
    }
    if (!read_string(reading, MEMBER_VERSION, &hex) ||
        !version_from_hex(hex, version))
        refuse_shape(reading, "\"version\" takes a version as exports have it");
    else if (version_ms(*version) > reading->now_ms + HLC_FUTURE_MS)
        refuse(reading, PROBLEM_CLOCK,
               "the version is from the future: nothing could ever replace it");
}

static void read_moment(struct reading *reading, enum member member,
                        uint64_t *out_ms)
{
    struct view text;

    if (has(reading, member) && (!read_string(reading, member, &text) ||
                                 !moment_from_rfc3339(text, out_ms)))
        refuse_shape(reading, "\"created\" and \"expires\" take moments like "
                              "2026-01-31T09:15:02.123Z");
}

static void read_times(struct reading *reading)
{
    struct record *put = &reading->operation->put;

    put->created_ms = version_ms(put->version);
    read_moment(reading, MEMBER_CREATED, &put->created_ms);
    read_moment(reading, MEMBER_EXPIRES, &put->expiry_ms);
    reading->operation->edit.expiry_ms = put->expiry_ms;
}

static bool find_type(struct view name, enum json_type *out)
{
    for (int type = JSON_IS_OBJECT; type <= JSON_IS_NULL; type++)
        if (view_is(name, json_type_name((enum json_type)type))) {
            *out = (enum json_type)type;
            return true;
        }
    return false;
}

/* Which says whether the value is JSON at all. */
static void read_type(struct reading *reading)
{
    struct record *put = &reading->operation->put;
    struct view name;

    if (has(reading, MEMBER_VALUE))
        put->type = json_text_type(reading->values[MEMBER_VALUE]);
    if (!has(reading, MEMBER_TYPE))
        return;
    if (!read_string(reading, MEMBER_TYPE, &name) ||
        !find_type(name, &put->type))
        refuse_shape(reading, "\"type\" takes object, array, string, number, "
                              "boolean or null, and goes with JSON only");
}

static void read_media_type(struct reading *reading)
{
    struct record *put = &reading->operation->put;
    bool is_json = put->type != JSON_NONE;

    put->media_type = is_json ? VIEW_LITERAL(JSON_MEDIA_TYPE)
                              : VIEW_LITERAL("application/octet-stream");
    if (has(reading, MEMBER_MEDIA_TYPE) &&
        (!read_string(reading, MEMBER_MEDIA_TYPE, &put->media_type) ||
         media_type_kind(put->media_type) !=
             (is_json ? MEDIA_TYPE_JSON : MEDIA_TYPE_OTHER)))
        refuse_shape(reading, "\"media_type\" takes a media type: JSON's with "
                              "\"type\" or \"value\", else another one");
}

static void check_size(struct reading *reading, uint64_t size)
{
    if (reading->operation->put.type != JSON_NONE &&
        size > reading->settings->max_json_bytes)
        refuse(reading, PROBLEM_BODY_TOO_LARGE,
               "the value exceeds --max-json-bytes");
    else if (size > reading->settings->max_value_bytes)
        refuse(reading, PROBLEM_BODY_TOO_LARGE,
               "the value exceeds --max-value-bytes");
}

/* *out_bytes lie in the operation. */
static void read_base64(struct reading *reading, struct view *out_bytes)
{
    struct blob bytes = BLOB_EMPTY;
    struct view text;

    if (!read_string(reading, MEMBER_BASE64, &text) ||
        (!base64_decode(text, BASE64, &bytes) && !bytes.failed))
        refuse_shape(reading, "\"base64\" takes RFC 4648 base64 with its "
                              "padding");
    reading->operation->edit.result = bytes;
    *out_bytes = blob_view(&bytes);
}

/* Bytes that are said to be JSON of that type. */
static enum kist_status check_json(struct reading *reading, struct view bytes)
{
    struct json_fault fault;
    enum json_type type;
    enum kist_status status = json_check(bytes, &fault, &type);

    if (status == KIST_INVALID)
        refuse(reading, PROBLEM_INVALID_JSON, fault.reason);
    else if (status == KIST_OK && type != reading->operation->put.type)
        refuse_shape(reading, "\"type\" is not the type of the value");
    return status == KIST_INVALID ? KIST_OK : status;
}

static enum kist_status read_value(struct reading *reading)
{
    struct record *put = &reading->operation->put;
    enum json_type stated;

    if (has(reading, MEMBER_VALUE) + has(reading, MEMBER_BASE64) +
            has(reading, MEMBER_SIZE) !=
        1) {
        refuse_shape(reading, "a record takes one of \"value\", \"base64\", "
                              "\"size\" and \"deleted\":true");
        return KIST_OK;
    }
    read_type(reading);
    stated = put->type;
    read_media_type(reading);
    if (has(reading, MEMBER_SIZE)) {
        reading->line->kind = IMPORT_BEGIN;
        if (!view_to_u64(reading->values[MEMBER_SIZE], &reading->line->size) ||
            reading->line->size == 0)
            refuse_shape(reading, "\"size\" takes the size of a value that "
                                  "follows in pieces");
        check_size(reading, reading->line->size);
        return KIST_OK;
    }
    if (has(reading, MEMBER_VALUE)) {
        put->value = reading->values[MEMBER_VALUE];
        if (stated != json_text_type(put->value))
            refuse_shape(reading, "\"type\" is not the type of the value");
    } else {
        read_base64(reading, &put->value);
    }
    check_size(reading, put->value.size);
    return has(reading, MEMBER_BASE64) && put->type != JSON_NONE &&
                   !reading->operation->refused
               ? check_json(reading, put->value)
               : KIST_OK;
}

static enum kist_status read_record(struct reading *reading)
{
    read_key(reading);
    read_version(reading);
    read_times(reading);
    if (!has(reading, MEMBER_DELETED))
        return read_value(reading);
    if (!view_is(reading->values[MEMBER_DELETED], "true") ||
        (reading->given & OF_VALUE) != 0)
        refuse_shape(reading, "\"deleted\" takes true, and no value with it");
    reading->operation->put.tombstone = true;
    return KIST_OK;
}

static void read_piece(struct reading *reading)
{
    reading->line->kind = IMPORT_PIECE;
    read_key(reading);
    read_base64(reading, &reading->operation->put.value);
    if (!view_to_u64(reading->values[MEMBER_OFFSET], &reading->line->offset))
        refuse_shape(reading, "\"offset\" takes where the piece begins");
}

static void read_end(struct reading *reading)
{
    reading->line->kind = IMPORT_END;
    if (!view_is(reading->values[MEMBER_END], "true") ||
        !view_to_u64(reading->values[MEMBER_RECORDS], &reading->line->size))
        refuse_shape(reading, "\"end\" takes true, and \"records\" how many "
                              "there were");
}

static bool is_object(struct reading *reading, struct view text)
{
    return json_named_read(text, names, MEMBERS, reading->values);
}

static enum kist_status read_object(struct reading *reading)
{
    for (enum member member = 0; member < MEMBERS; member++)
        if (has(reading, member))
            reading->given |= BIT(member);
    reserve_strings(reading);
    if (reading->given == OF_END) {
        read_end(reading);
        return KIST_OK;
    }
    if (reading->given == OF_PIECE) {
        read_piece(reading);
        return KIST_OK;
    }
    if ((reading->given & ~(OF_RECORD | OF_VALUE | BIT(MEMBER_DELETED))) == 0)
        return read_record(reading);
    refuse_shape(reading, "these members are of no one line: a record, a piece "
                          "(key, offset, base64) or the end (end, records)");
    return KIST_OK;
}

enum kist_status import_line_read(struct import_line *line, struct view text,
                                  enum import_mode mode,
                                  const struct settings *settings,
                                  uint64_t now_ms)
{
    struct reading reading = {
        .line = line,
        .operation = &line->operation,
        .settings = settings,
        .mode = mode,
        .now_ms = now_ms,
    };
    struct json_fault fault;
    enum json_type type;
    enum kist_status status;

    *line = (struct import_line){.kind = IMPORT_RECORD};
    edit_limit(&line->operation.edit, settings);
    status = json_check(text, &fault, &type);
    text = json_text_trim(text);
    if (status == KIST_INVALID) {
        refuse_shape(&reading, fault.reason);
        status = KIST_OK;
    } else if (status == KIST_OK && !is_object(&reading, text)) {
        refuse_shape(&reading, "a line is an object of key, version, created, "
                               "expires, type, media_type and value, base64, "
                               "size or deleted");
    } else if (status == KIST_OK) {
        status = read_object(&reading);
    }
    if (line->operation.memory.failed || line->operation.edit.result.failed)
        status = KIST_NO_MEMORY;
    return status;
}
