#include "api/json_check_string.h"
#include "api/json_check_internal.h"
#include "api/json_string.h"

#include <string.h>

static void keep_name_bytes(struct json_check *check, const char *at,
                            size_t size)
{
    if (check->in_name)
        json_names_append(&check->names, (struct view){at, size});
}

static void keep_name_code(struct json_check *check, uint32_t code)
{
    char utf8[4];

    if (check->in_name)
        keep_name_bytes(check, utf8, json_string_encode(code, utf8));
}

static const char *end_string(struct json_check *check, const char *at)
{
    if (!check->in_name) {
        check->step = JSON_STEP_AFTER_VALUE;
        return at + 1;
    }

    enum kist_status status =
        json_names_finish(&check->names, check->first_name[check->depth - 1]);
    if (status == KIST_CONFLICT)
        return json_check_stop(check, KIST_INVALID, check->name_offset,
                               "a member name is given twice in one object",
                               at);
    if (status != KIST_OK)
        return json_check_stop(check, status, 0, "memory ran out", at);
    check->step = JSON_STEP_COLON;
    return at + 1;
}

/* Unicode table 3-7 again, as bounds for the next byte: chunks cut anywhere. */
static const char *begin_utf8(struct json_check *check, const char *at)
{
    unsigned char byte = (unsigned char)*at;

    if (byte < 0xC2 || byte > 0xF4)
        return json_check_refuse(check, at, "a string is not valid UTF-8");
    check->low = 0x80;
    check->high = 0xBF;
    check->utf8_left = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0)
        check->low = 0xA0;
    else if (byte == 0xED)
        check->high = 0x9F;
    else if (byte == 0xF0)
        check->low = 0x90;
    else if (byte == 0xF4)
        check->high = 0x8F;
    keep_name_bytes(check, at, 1);
    check->step = JSON_STEP_UTF8;
    return at + 1;
}

static const char *take_utf8(struct json_check *check, const char *at)
{
    unsigned char byte = (unsigned char)*at;

    if (byte < check->low || byte > check->high)
        return json_check_refuse(check, at, "a string is not valid UTF-8");
    check->low = 0x80;
    check->high = 0xBF;
    keep_name_bytes(check, at, 1);
    if (--check->utf8_left == 0)
        check->step = JSON_STEP_STRING;
    return at + 1;
}

static const char *take_string(struct json_check *check, const char *at,
                               const char *end)
{
    const char *run = at;

    while (at < end && (signed char)*at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    keep_name_bytes(check, run, (size_t)(at - run));
    if (at == end)
        return at;
    if ((signed char)*at < 0)
        return begin_utf8(check, at);
    if (*at == '"')
        return end_string(check, at);
    if (*at != '\\')
        return json_check_refuse(check, at,
                                 "a string holds a bare control character: "
                                 "write it as \\u00XX");
    check->step = JSON_STEP_ESCAPE;
    return at + 1;
}

static const char *take_escape(struct json_check *check, const char *at)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";

    if (*at == 'u') {
        check->code = 0;
        check->hex_left = 4;
        check->step = JSON_STEP_HEX;
        return at + 1;
    }

    const char *letter = *at == '\0' ? NULL : strchr(letters, *at);
    if (letter == NULL)
        return json_check_refuse(check, at,
                                 "a backslash is followed by something else "
                                 "than one of \" \\ / b f n r t u");
    keep_name_bytes(check, &meanings[letter - letters], 1);
    check->step = JSON_STEP_STRING;
    return at + 1;
}

/* All four digits are there: a character, or half of one. */
static const char *end_hex(struct json_check *check, const char *at)
{
    bool is_low = check->code >= 0xDC00 && check->code <= 0xDFFF;
    bool is_high = check->code >= 0xD800 && check->code <= 0xDBFF;

    if ((check->lead != 0) != is_low)
        return json_check_refuse(check, at,
                                 "a string holds half of a surrogate pair");
    if (is_high) {
        check->lead = check->code;
        check->step = JSON_STEP_LOW_BACKSLASH;
        return at + 1;
    }
    if (is_low)
        check->code =
            0x10000 + ((check->lead - 0xD800) << 10) + (check->code - 0xDC00);
    check->lead = 0;
    keep_name_code(check, check->code);
    check->step = JSON_STEP_STRING;
    return at + 1;
}

/* After a high surrogate only \u may follow: its other half. */
static const char *take_pair(struct json_check *check, const char *at)
{
    bool backslash = check->step == JSON_STEP_LOW_BACKSLASH;

    if (*at != (backslash ? '\\' : 'u'))
        return json_check_refuse(check, at,
                                 "a string holds half of a surrogate pair");
    if (backslash) {
        check->step = JSON_STEP_LOW_U;
        return at + 1;
    }
    return take_escape(check, at);
}

static const char *take_hex(struct json_check *check, const char *at)
{
    int digit = json_string_hex(*at);

    if (digit < 0)
        return json_check_refuse(check, at,
                                 "\\u is not followed by four hexadecimal "
                                 "digits");
    check->code = check->code << 4 | (uint32_t)digit;
    if (--check->hex_left == 0)
        return end_hex(check, at);
    return at + 1;
}

const char *json_check_string_take(struct json_check *check, const char *at,
                                   const char *end)
{
    if (check->step == JSON_STEP_STRING)
        return take_string(check, at, end);
    if (check->step == JSON_STEP_UTF8)
        return take_utf8(check, at);
    if (check->step == JSON_STEP_ESCAPE)
        return take_escape(check, at);
    if (check->step == JSON_STEP_HEX)
        return take_hex(check, at);
    return take_pair(check, at);
}
