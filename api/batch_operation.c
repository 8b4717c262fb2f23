#include "api/batch_operation.h"

#include "api/base64.h"
#include "api/entity.h"
#include "api/integer.h"
#include "api/json_named.h"
#include "api/json_string.h"
#include "api/json_text.h"
#include "api/media_type.h"
#include "api/reply.h"
#include "api/target.h"
#include "service/settings.h"

#include <inttypes.h>
#include <string.h>

enum member {
    MEMBER_OP,
    MEMBER_KEY,
    MEMBER_VALUE,
    MEMBER_BASE64,
    MEMBER_MEDIA_TYPE,
    MEMBER_TTL,
    MEMBER_IF_VERSION,
    MEMBER_IF_ABSENT,
    MEMBER_MERGE,
    MEMBER_PATCH,
    MEMBER_BY,
    MEMBERS
};

static const char *const member_names[MEMBERS] = {
    "op",         "key",       "value", "base64", "media_type", "ttl",
    "if_version", "if_absent", "merge", "patch",  "by"};

#define BIT(member) (1u << (member))
#define ALWAYS      (BIT(MEMBER_OP) | BIT(MEMBER_KEY))
#define CONDITIONS  (BIT(MEMBER_IF_VERSION) | BIT(MEMBER_IF_ABSENT))

struct members {
    struct view values[MEMBERS]; /* Literals; data NULL: not given. */
    unsigned given;
};

/* A wrong shape outranks all else: nobody knows what it meant. */
static void refuse(struct batch_operation *operation, enum problem problem,
                   const char *detail)
{
    if (operation->refused && operation->problem == PROBLEM_INVALID_JSON)
        return;
    operation->refused = true;
    operation->problem = problem;
    operation->detail = detail;
}

static void refuse_shape(struct batch_operation *operation, const char *detail)
{
    refuse(operation, PROBLEM_INVALID_JSON, detail);
}

static bool read_members(struct view json, struct members *out)
{
    *out = (struct members){0};
    if (!json_named_read(json, member_names, MEMBERS, out->values))
        return false;
    for (int member = 0; member < MEMBERS; member++)
        if (out->values[member].data != NULL)
            out->given |= BIT(member);
    return true;
}

static bool is_string(struct view literal)
{
    return literal.data != NULL && json_text_type(literal) == JSON_IS_STRING;
}

/* Room for all that read_string() may decode, so that none of it moves. */
static void reserve_strings(struct batch_operation *operation,
                            const struct members *members)
{
    static const enum member strings[] = {MEMBER_KEY, MEMBER_BASE64,
                                          MEMBER_MEDIA_TYPE};
    size_t size = 0;

    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        struct view literal = members->values[strings[i]];

        if (is_string(literal) && json_string_has_escapes(literal))
            size += json_string_bound(literal);
    }
    if (size > 0 && blob_reserve(&operation->memory, size) != KIST_OK)
        return; /* It sticks to the blob. */
}

/* What a string means: in place, or decoded into operation->memory. */
static bool read_string(struct batch_operation *operation, struct view literal,
                        struct view *out)
{
    size_t start = operation->memory.size;

    if (!is_string(literal))
        return false;
    if (!json_string_has_escapes(literal)) {
        *out = json_string_inside(literal);
        return true;
    }
    json_string_decode(literal, &operation->memory);
    *out = view_from(blob_view(&operation->memory), start);
    return true;
}

static void read_key(struct batch_operation *operation,
                     const struct members *members)
{
    enum target_fault fault;

    if (!read_string(operation, members->values[MEMBER_KEY], &operation->key)) {
        refuse_shape(operation, "\"key\" takes a string");
        return;
    }
    fault = target_check_key(operation->key);
    if (fault != TARGET_FINE)
        refuse(operation, target_fault_problem(fault),
               target_fault_detail(fault));
}

static void read_condition(struct batch_operation *operation,
                           const struct members *members)
{
    struct condition *condition = &operation->condition;
    struct view if_version = members->values[MEMBER_IF_VERSION];
    struct view if_absent = members->values[MEMBER_IF_ABSENT];

    if (if_absent.data != NULL && view_is(if_absent, "true"))
        condition->kind = CONDITION_ABSENT;
    else if (if_absent.data != NULL && !view_is(if_absent, "false"))
        refuse_shape(operation, "\"if_absent\" takes true or false");
    if (if_version.data == NULL)
        return;
    if (condition->kind != CONDITION_NONE) {
        refuse_shape(operation, "send \"if_absent\" or \"if_version\"");
        return;
    }
    condition->kind = CONDITION_ANY_OF;
    condition->count = 1;
    if (!is_string(if_version) ||
        !version_from_hex(json_string_inside(if_version),
                          &condition->versions[0]))
        refuse_shape(operation, "\"if_version\" takes a version as answers "
                                "carry it");
}

static void refuse_ttl(struct batch_operation *operation)
{
    refuse(operation, PROBLEM_INVALID_PARAMETER,
           "\"ttl\" takes a whole number of seconds from 1 to --ttl-max");
}

static void read_ttl(struct batch_operation *operation,
                     const struct members *members,
                     const struct settings *settings, uint64_t now_ms)
{
    struct view ttl = members->values[MEMBER_TTL];
    uint64_t seconds;

    if (ttl.data == NULL)
        return;
    if (!view_to_u64(ttl, &seconds) || seconds == 0 ||
        seconds > settings->ttl_max_ms / 1000)
        refuse_ttl(operation);
    else
        operation->edit.expiry_ms = now_ms + seconds * 1000;
}

static void read_bytes(struct batch_operation *operation,
                       const struct members *members,
                       const struct settings *settings)
{
    struct view text;
    struct view media_type = VIEW_LITERAL("application/octet-stream");
    struct blob bytes = BLOB_EMPTY;

    if (!read_string(operation, members->values[MEMBER_BASE64], &text)) {
        refuse_shape(operation, "\"base64\" takes a string");
        return;
    }
    if (members->values[MEMBER_MEDIA_TYPE].data != NULL &&
        (!read_string(operation, members->values[MEMBER_MEDIA_TYPE],
                      &media_type) ||
         media_type_kind(media_type) != MEDIA_TYPE_OTHER)) {
        refuse_shape(operation, "\"media_type\" takes a media type other "
                                "than JSON's: JSON goes into \"value\"");
        return;
    }
    if (!base64_decode(text, BASE64, &bytes) && !bytes.failed)
        refuse_shape(operation, "\"base64\" takes RFC 4648 base64 with its "
                                "padding");
    else if (bytes.size > settings->max_value_bytes)
        refuse(operation, PROBLEM_BODY_TOO_LARGE,
               "the value exceeds --max-value-bytes");
    operation->edit.result = bytes;
    operation->put.media_type = media_type;
    operation->put.value = blob_view(&bytes);
}

static void read_put(struct batch_operation *operation,
                     const struct members *members,
                     const struct settings *settings)
{
    struct view value = members->values[MEMBER_VALUE];

    if ((value.data == NULL) == (members->values[MEMBER_BASE64].data == NULL)) {
        refuse_shape(operation, "put takes \"value\" or \"base64\"");
        return;
    }
    if (value.data == NULL) {
        read_bytes(operation, members, settings);
        return;
    }
    if (members->values[MEMBER_MEDIA_TYPE].data != NULL)
        refuse_shape(operation, "\"media_type\" goes with \"base64\"");
    else if (value.size > settings->max_json_bytes)
        refuse(operation, PROBLEM_BODY_TOO_LARGE,
               "the value exceeds --max-json-bytes");
    operation->put.type = json_text_type(value);
    operation->put.media_type = VIEW_LITERAL(JSON_MEDIA_TYPE);
    operation->put.value = value;
}

static enum kist_status read_patch(struct batch_operation *operation,
                                   const struct members *members)
{
    struct view merge = members->values[MEMBER_MERGE];
    struct view patch = members->values[MEMBER_PATCH];
    struct json_patch_fault fault;
    enum kist_status status;

    if ((merge.data == NULL) == (patch.data == NULL)) {
        refuse_shape(operation, "patch takes \"merge\" or \"patch\"");
        return KIST_OK;
    }
    if (merge.data != NULL) {
        operation->edit.body = merge;
        return KIST_OK;
    }
    operation->edit.kind = EDIT_JSON_PATCH;
    status = json_patch_parse(patch, &operation->edit.patch, &fault);
    if (status != KIST_INVALID && status != KIST_TOO_LARGE)
        return status;
    refuse_shape(operation, fault.reason);
    return KIST_OK;
}

static void read_by(struct batch_operation *operation,
                    const struct members *members)
{
    struct view by = members->values[MEMBER_BY];

    operation->edit.by = 1;
    if (by.data != NULL && !integer_read(by, &operation->edit.by))
        refuse_shape(operation, "\"by\" takes a whole number of 64 bits");
}

static const struct kind {
    const char *name;
    enum edit_kind edit;
    unsigned members;
} kinds[] = {
    {"put", EDIT_NONE,
     ALWAYS | CONDITIONS | BIT(MEMBER_VALUE) | BIT(MEMBER_BASE64) |
         BIT(MEMBER_MEDIA_TYPE) | BIT(MEMBER_TTL)},
    {"get", EDIT_READ, ALWAYS},
    {"delete", EDIT_NONE, ALWAYS | BIT(MEMBER_IF_VERSION)},
    {"patch", EDIT_MERGE_PATCH,
     ALWAYS | BIT(MEMBER_IF_VERSION) | BIT(MEMBER_MERGE) | BIT(MEMBER_PATCH)},
    {"incr", EDIT_INCREMENT,
     ALWAYS | CONDITIONS | BIT(MEMBER_BY) | BIT(MEMBER_TTL)},
};

static const struct kind *find_kind(const struct members *members)
{
    struct view op = members->values[MEMBER_OP];

    for (size_t i = 0; is_string(op) && i < sizeof(kinds) / sizeof(kinds[0]);
         i++)
        if (json_string_means(op, view_of(kinds[i].name)))
            return &kinds[i];
    return NULL;
}

enum kist_status batch_operation_read(struct batch_operation *operation,
                                      struct view json,
                                      const struct settings *settings,
                                      uint64_t now_ms)
{
    struct members members;
    const struct kind *kind;
    enum kist_status status = KIST_OK;

    *operation = (struct batch_operation){0};
    edit_limit(&operation->edit, settings);
    if (!read_members(json, &members)) {
        refuse_shape(operation, "an operation is an object of op, key, value, "
                                "base64, media_type, ttl, if_version, "
                                "if_absent, merge, patch, by");
        return KIST_OK;
    }
    reserve_strings(operation, &members);
    read_key(operation, &members);
    kind = find_kind(&members);
    if (kind == NULL) {
        refuse_shape(operation, "\"op\" takes put, get, delete, patch or incr");
        return KIST_OK;
    }
    if ((members.given & ~kind->members) != 0) {
        refuse_shape(operation, "a member is given that this op has no use "
                                "for");
        return KIST_OK;
    }
    operation->edit.kind = kind->edit;
    read_condition(operation, &members);
    read_ttl(operation, &members, settings, now_ms);
    read_by(operation, &members);
    operation->put.tombstone = (kind->members & BIT(MEMBER_VALUE)) == 0;
    if (kind->members & BIT(MEMBER_VALUE))
        read_put(operation, &members, settings);
    else if (kind->edit == EDIT_MERGE_PATCH)
        status = read_patch(operation, &members);
    if (operation->memory.failed || operation->edit.result.failed)
        status = KIST_NO_MEMORY;
    return status;
}

size_t batch_operation_memory(const struct batch_operation *operation)
{
    return operation->memory.capacity + operation->edit.result.capacity +
           json_patch_memory(operation->edit.patch);
}

void batch_operation_clear(struct batch_operation *operation)
{
    edit_clear(&operation->edit);
    blob_free(&operation->memory);
}

bool batch_operation_is_read(const struct batch_operation *operation)
{
    return operation->refused || operation->edit.kind == EDIT_READ;
}

static enum kist_status stay_refused(struct write *write,
                                     const struct record *current,
                                     struct record *next)
{
    (void)write;
    (void)current;
    (void)next;
    return KIST_INVALID;
}

void batch_operation_prepare(struct batch_operation *operation,
                             struct write *write)
{
    *write = (struct write){
        .key = operation->key,
        .condition = operation->condition,
        .next = operation->put,
        .ctx = &operation->edit,
    };
    write->next.expiry_ms = operation->edit.expiry_ms;
    if (operation->refused)
        write->edit = stay_refused;
    else if (operation->edit.kind != EDIT_NONE)
        write->edit = edit_apply;
    write->load_limit = edit_load_limit(&operation->edit);
}

enum problem batch_operation_problem(const struct batch_operation *operation,
                                     const struct write *write,
                                     const char **out_detail)
{
    *out_detail = operation->detail;
    if (operation->refused)
        return operation->problem;
    *out_detail = operation->edit.detail;
    if (operation->edit.refused)
        return operation->edit.problem;
    *out_detail = "the current version is another one";
    if (write->status == KIST_CONFLICT)
        return PROBLEM_CONDITION_FAILED;
    *out_detail = reply_advice_on(write->status);
    return reply_problem_of(write->status);
}

static void append_problem(const struct batch_operation *operation,
                           const struct write *write, struct blob *out)
{
    const char *detail;
    const struct problem_row *row =
        problem_row(batch_operation_problem(operation, write, &detail));

    blob_printf(out, "\"status\":%u", row->code);
    if (operation->key.size > 0) {
        blob_append_text(out, ",\"key\":");
        blob_append_json(out, operation->key);
    }
    /* The one there is, or the one that may be. */
    if ((write->status == KIST_CONFLICT || write->status == KIST_UNKNOWN) &&
        !version_is_none(write->version)) {
        char hex[VERSION_HEX_SIZE + 1];

        version_to_hex(write->version, hex);
        blob_printf(out, ",\"version\":\"%s\"", hex);
    }
    blob_printf(out,
                ",\"problem\":{\"type\":\"" PROBLEM_TYPE_PREFIX
                "%s\",\"title\":\"%s\",\"status\":%u,\"detail\":",
                row->slug, row->title, row->code);
    blob_append_json(out, view_of(detail));
    if (operation->edit.kind != EDIT_READ)
        blob_printf(out, ",\"outcome\":\"%s\"",
                    write->status == KIST_UNKNOWN ? "unknown" : "not_applied");
    blob_append_text(out, "}}");
}

/* A get: the item itself, with the status before its members. */
static void append_read(const struct batch_operation *operation,
                        const struct write *write, struct blob *out)
{
    size_t brace = out->size;

    if (version_is_none(operation->edit.seen.version)) {
        struct write absent = *write;

        absent.status = KIST_NOT_FOUND;
        append_problem(operation, &absent, out);
        return;
    }
    blob_append_text(out, "\"status\":200,");
    brace = out->size;
    entity_append_item(out, operation->key, &operation->edit.seen,
                       ENTITY_WITH_VALUE);
    if (!out->failed) { /* Its own opening brace is one too many. */
        memmove(out->data + brace, out->data + brace + 1,
                out->size - brace - 1);
        out->size--;
    }
}

static unsigned success_code(const struct batch_operation *operation,
                             const struct write *write)
{
    if (operation->edit.kind == EDIT_INCREMENT)
        return 200;
    return write->created ? 201 : 204;
}

void batch_operation_append_result(const struct batch_operation *operation,
                                   const struct write *write, struct blob *out)
{
    char hex[VERSION_HEX_SIZE + 1];

    blob_append_byte(out, '{');
    if (operation->refused || write->status != KIST_OK) {
        append_problem(operation, write, out);
        return;
    }
    if (operation->edit.kind == EDIT_READ) {
        append_read(operation, write, out);
        return;
    }
    version_to_hex(write->version, hex);
    blob_printf(out, "\"status\":%u,\"key\":", success_code(operation, write));
    blob_append_json(out, operation->key);
    blob_printf(out, ",\"version\":\"%s\"", hex);
    if (operation->edit.kind == EDIT_INCREMENT) {
        blob_append_text(out, ",\"value\":");
        blob_append(out, blob_view(&operation->edit.result));
    }
    blob_append_byte(out, '}');
}
