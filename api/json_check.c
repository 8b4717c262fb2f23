/*
 * A state machine over bytes. Every take_*() function reads at least one byte
 * or moves to a step that will, and returns where it stopped, so that a chunk
 * may end anywhere. The containers around the current place are one bit each
 * (array or object): no recursion, no stack that grows.
 *
 * Strings, white space and digits are eaten in runs; the rest goes byte by
 * byte through the switch in take().
 */
#include "api/json_check.h"
#include "api/json_check_internal.h"
#include "api/json_check_string.h"

#include <assert.h>

const char *json_check_stop(struct json_check *check, enum kist_status refusal,
                            size_t offset, const char *reason, const char *at)
{
    check->step = JSON_STEP_REFUSED;
    check->refusal = refusal;
    check->fault = (struct json_fault){offset, reason};
    return at;
}

static size_t offset_of(const struct json_check *check, const char *at)
{
    return check->fed + (size_t)(at - check->chunk);
}

const char *json_check_refuse(struct json_check *check, const char *at,
                              const char *reason)
{
    return json_check_stop(check, KIST_INVALID, offset_of(check, at), reason,
                           at);
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool in_object(const struct json_check *check)
{
    return check->depth > 0 && (check->objects >> (check->depth - 1) & 1) != 0;
}

/* Containers. */

static const char *open_container(struct json_check *check, const char *at)
{
    if (check->depth == JSON_MAX_DEPTH)
        return json_check_refuse(
            check, at, "arrays and objects are nested deeper than 64 levels");

    uint64_t bit = (uint64_t)1 << check->depth;
    if (*at == '{')
        check->objects |= bit;
    else
        check->objects &= ~bit;
    check->first_name[check->depth] = check->names.count;
    check->depth++;
    check->step = *at == '{' ? JSON_STEP_NAME_OR_END : JSON_STEP_ELEMENT_OR_END;
    return at + 1;
}

static const char *close_container(struct json_check *check, const char *at)
{
    if (in_object(check))
        json_names_drop(&check->names, check->first_name[check->depth - 1]);
    assert(check->depth > 0);
    check->depth--;
    check->step = JSON_STEP_AFTER_VALUE;
    return at + 1;
}

/* Values. */

/* People make the same few mistakes: name the one that was made. */
static const char *missing_value(const struct json_check *check, char byte)
{
    bool after_comma = check->step == JSON_STEP_ELEMENT;

    switch (byte) {
    case ']':
        return after_comma ? "a comma is followed by ]"
                           : "a value is missing before ]";
    case '}':
        return "a value is missing before }";
    case ',':
        return "a value is missing before a comma";
    case '\'':
        return "strings stand in double quotes, not in single ones";
    case '/':
    case '#':
        return "comments are not JSON";
    case '+':
        return "a number does not begin with +";
    case '.':
        return "a number does not begin with a point: write 0 before it";
    case 'N':
    case 'I':
        return "NaN and Infinity are not JSON; null, true and false are "
               "written in small letters";
    case 'T':
    case 'F':
        return "true and false are written in small letters";
    case '\xEF':
    case '\xFE':
    case '\xFF':
        return check->step == JSON_STEP_START
                   ? "the text begins with a byte order mark or is not UTF-8"
                   : "a value is expected here";
    default:
        return "a value is expected here";
    }
}

static const char *begin_word(struct json_check *check, const char *at,
                              const char *rest, enum json_type type)
{
    if (check->depth == 0)
        check->type = type;
    check->word = rest;
    check->step = JSON_STEP_WORD;
    return at + 1;
}

static const char *begin(struct json_check *check, const char *at,
                         enum json_step step, enum json_type type)
{
    if (check->depth == 0)
        check->type = type;
    check->in_name = false;
    check->step = step;
    return at + 1;
}

static const char *begin_value(struct json_check *check, const char *at)
{
    if (*at >= '1' && *at <= '9')
        return begin(check, at, JSON_STEP_DIGITS, JSON_IS_NUMBER);
    switch (*at) {
    case '"':
        return begin(check, at, JSON_STEP_STRING, JSON_IS_STRING);
    case '{':
    case '[':
        if (check->depth == 0)
            check->type = *at == '{' ? JSON_IS_OBJECT : JSON_IS_ARRAY;
        return open_container(check, at);
    case '-':
        return begin(check, at, JSON_STEP_MINUS, JSON_IS_NUMBER);
    case '0':
        return begin(check, at, JSON_STEP_ZERO, JSON_IS_NUMBER);
    case 't':
        return begin_word(check, at, "rue", JSON_IS_BOOLEAN);
    case 'f':
        return begin_word(check, at, "alse", JSON_IS_BOOLEAN);
    case 'n':
        return begin_word(check, at, "ull", JSON_IS_NULL);
    default:
        return json_check_refuse(check, at, missing_value(check, *at));
    }
}

static const char *take_word(struct json_check *check, const char *at)
{
    if (*at != *check->word)
        return json_check_refuse(check, at,
                                 "the only words are true, false and null");
    check->word++;
    if (*check->word == '\0')
        check->step = JSON_STEP_AFTER_VALUE;
    return at + 1;
}

static const char *take_element_or_end(struct json_check *check, const char *at)
{
    return *at == ']' ? close_container(check, at) : begin_value(check, at);
}

static const char *take_name(struct json_check *check, const char *at)
{
    if (*at == '"') {
        check->in_name = true;
        check->name_offset = offset_of(check, at);
        check->step = JSON_STEP_STRING;
        return at + 1;
    }
    if (*at == '}' && check->step == JSON_STEP_NAME_OR_END)
        return close_container(check, at);
    return json_check_refuse(check, at,
                             *at == '}'
                                 ? "a comma is followed by }"
                                 : "a member name in double quotes is expected "
                                   "here");
}

static const char *take_colon(struct json_check *check, const char *at)
{
    if (*at != ':')
        return json_check_refuse(check, at,
                                 "a member name is not followed by a colon");
    check->step = JSON_STEP_MEMBER_VALUE;
    return at + 1;
}

static const char *take_after_value(struct json_check *check, const char *at)
{
    bool object = in_object(check);

    if (check->depth == 0)
        return json_check_refuse(check, at,
                                 "something follows after the end of the "
                                 "value");
    if (*at == ',') {
        check->step = object ? JSON_STEP_NAME : JSON_STEP_ELEMENT;
        return at + 1;
    }
    if (*at == (object ? '}' : ']'))
        return close_container(check, at);
    return json_check_refuse(check, at,
                             object ? "a comma or } is expected here"
                                    : "a comma or ] is expected here");
}

/* Numbers. */

static const char *no_digit(const struct json_check *check)
{
    if (check->step == JSON_STEP_MINUS)
        return "a minus sign is not followed by a digit";
    if (check->step == JSON_STEP_POINT)
        return "a decimal point is not followed by a digit";
    return "an exponent has no digits";
}

/* Whether a number may end where this step is. */
static bool is_whole_number(enum json_step step)
{
    return step == JSON_STEP_ZERO || step == JSON_STEP_DIGITS ||
           step == JSON_STEP_FRACTION || step == JSON_STEP_E_DIGITS;
}

static const char *take_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* A point or an e is the only thing inside a number that is not a digit. */
static const char *take_number_end(struct json_check *check, const char *at)
{
    bool may_have_point =
        check->step == JSON_STEP_ZERO || check->step == JSON_STEP_DIGITS;

    if (*at == '.' && may_have_point) {
        check->step = JSON_STEP_POINT;
        return at + 1;
    }
    if ((*at == 'e' || *at == 'E') && check->step != JSON_STEP_E_DIGITS) {
        check->step = JSON_STEP_E;
        return at + 1;
    }
    if (check->step == JSON_STEP_ZERO && is_digit(*at))
        return json_check_refuse(check, at, "a number has a leading zero");
    check->step = JSON_STEP_AFTER_VALUE;
    return at;
}

static const char *take_first_digit(struct json_check *check, const char *at,
                                    enum json_step next)
{
    if (!is_digit(*at))
        return json_check_refuse(check, at, no_digit(check));
    check->step = next;
    return at + 1;
}

static const char *take_e(struct json_check *check, const char *at)
{
    if (*at != '+' && *at != '-')
        return take_first_digit(check, at, JSON_STEP_E_DIGITS);
    check->step = JSON_STEP_E_SIGN;
    return at + 1;
}

/* The machine. */

static const char *take(struct json_check *check, const char *at,
                        const char *end)
{
    switch (check->step) {
    case JSON_STEP_START:
    case JSON_STEP_ELEMENT:
    case JSON_STEP_MEMBER_VALUE:
        return begin_value(check, at);
    case JSON_STEP_ELEMENT_OR_END:
        return take_element_or_end(check, at);
    case JSON_STEP_NAME_OR_END:
    case JSON_STEP_NAME:
        return take_name(check, at);
    case JSON_STEP_COLON:
        return take_colon(check, at);
    case JSON_STEP_AFTER_VALUE:
        return take_after_value(check, at);
    case JSON_STEP_STRING:
    case JSON_STEP_UTF8:
    case JSON_STEP_ESCAPE:
    case JSON_STEP_HEX:
    case JSON_STEP_LOW_BACKSLASH:
    case JSON_STEP_LOW_U:
        return json_check_string_take(check, at, end);
    case JSON_STEP_MINUS:
        return take_first_digit(check, at,
                                *at == '0' ? JSON_STEP_ZERO : JSON_STEP_DIGITS);
    case JSON_STEP_POINT:
        return take_first_digit(check, at, JSON_STEP_FRACTION);
    case JSON_STEP_E:
        return take_e(check, at);
    case JSON_STEP_E_SIGN:
        return take_first_digit(check, at, JSON_STEP_E_DIGITS);
    case JSON_STEP_ZERO:
        return take_number_end(check, at);
    case JSON_STEP_DIGITS:
    case JSON_STEP_FRACTION:
    case JSON_STEP_E_DIGITS:
        at = take_digits(at, end);
        return at == end ? at : take_number_end(check, at);
    case JSON_STEP_WORD:
        return take_word(check, at);
    case JSON_STEP_REFUSED:
        return end;
    }
    return end;
}

/* Between tokens white space may stand; the steps up to here are between. */
static bool is_between_tokens(enum json_step step)
{
    return step <= JSON_STEP_AFTER_VALUE;
}

void json_check_init(struct json_check *check)
{
    *check = (struct json_check){.step = JSON_STEP_START};
    json_names_init(&check->names);
}

enum kist_status json_check_feed(struct json_check *check, struct view chunk)
{
    if (chunk.size == 0)
        return check->refusal; /* It may have no address at all. */

    const char *at = chunk.data, *end = chunk.data + chunk.size;
    check->chunk = chunk.data;
    while (at < end && check->step != JSON_STEP_REFUSED) {
        if (is_between_tokens(check->step) && is_space(*at))
            at++;
        else
            at = take(check, at, end);
    }
    check->fed += chunk.size;
    check->chunk = NULL;
    return check->refusal;
}

static const char *what_is_missing(const struct json_check *check)
{
    if (check->step == JSON_STEP_START)
        return check->fed == 0 ? "the text is empty"
                               : "there is nothing but white space";
    if (check->step >= JSON_STEP_STRING && check->step <= JSON_STEP_LOW_U)
        return "the text ends inside a string";
    if (check->step == JSON_STEP_WORD)
        return "the text ends inside a word";
    if (check->step >= JSON_STEP_MINUS && !is_whole_number(check->step))
        return no_digit(check);
    return in_object(check) ? "the text ends before the } of an object"
                            : "the text ends before the ] of an array";
}

enum kist_status json_check_finish(struct json_check *check,
                                   enum json_type *out_type)
{
    bool whole = check->depth == 0 && (check->step == JSON_STEP_AFTER_VALUE ||
                                       is_whole_number(check->step));

    if (check->step == JSON_STEP_REFUSED)
        return check->refusal;
    if (!whole) {
        json_check_stop(check, KIST_INVALID, check->fed, what_is_missing(check),
                        NULL);
        return KIST_INVALID;
    }
    *out_type = check->type;
    return KIST_OK;
}

void json_check_clear(struct json_check *check)
{
    json_names_clear(&check->names);
}

enum kist_status json_check(struct view text, struct json_fault *out_fault,
                            enum json_type *out_type)
{
    struct json_check check;
    enum kist_status status;

    json_check_init(&check);
    status = json_check_feed(&check, text);
    if (status == KIST_OK)
        status = json_check_finish(&check, out_type);
    if (status == KIST_INVALID)
        *out_fault = check.fault;
    json_check_clear(&check);
    return status;
}
