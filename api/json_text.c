#include "api/json_text.h"

#include <stddef.h>

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

struct view json_text_trim(struct view text)
{
    while (text.size > 0 && is_space(text.data[0]))
        text = view_from(text, 1);
    while (text.size > 0 && is_space(text.data[text.size - 1]))
        text.size--;
    return text;
}

enum json_type json_text_type(struct view text)
{
    while (text.size > 0 && is_space(*text.data))
        text = view_from(text, 1);
    if (text.size == 0)
        return JSON_NONE;
    switch (*text.data) {
    case '{':
        return JSON_IS_OBJECT;
    case '[':
        return JSON_IS_ARRAY;
    case '"':
        return JSON_IS_STRING;
    case 't':
    case 'f':
        return JSON_IS_BOOLEAN;
    case 'n':
        return JSON_IS_NULL;
    default:
        return JSON_IS_NUMBER;
    }
}

/* at is behind the opening quote; the result behind the closing one. */
static const char *skip_string(const char *at, const char *end)
{
    while (at < end && *at != '"')
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    return at < end ? at + 1 : end;
}

static const char *skip_scalar(const char *at, const char *end)
{
    if (at < end && *at == '"')
        return skip_string(at + 1, end);
    while (at < end && *at != ',' && *at != ']' && *at != '}' && !is_space(*at))
        at++;
    return at;
}

/* at is the first byte of a value. Brackets pair up: that was checked. */
static const char *skip_value(const char *at, const char *end,
                              unsigned *out_height)
{
    unsigned depth = 0;

    *out_height = 0;
    if (at == end || (*at != '[' && *at != '{'))
        return skip_scalar(at, end);
    while (at < end) {
        switch (*at++) {
        case '"':
            at = skip_string(at, end);
            break;
        case '[':
        case '{':
            depth++;
            if (depth > *out_height)
                *out_height = depth;
            break;
        case ']':
        case '}':
            depth--;
            if (depth == 0)
                return at;
            break;
        default:
            break;
        }
    }
    return at;
}

unsigned json_text_height(struct view text)
{
    unsigned height;

    text = json_text_trim(text);
    skip_value(text.data, text.data + text.size, &height);
    return height;
}

struct view json_text_value(struct view text)
{
    unsigned height;

    if (text.size == 0)
        return text;
    const char *end = text.data + text.size;
    const char *start = skip_space(text.data, end);
    return (struct view){start,
                         (size_t)(skip_value(start, end, &height) - start)};
}

struct json_parts json_parts_of(struct view container)
{
    const char *end = container.data + container.size;
    const char *at = skip_space(container.data, end);
    bool in_object = at < end && *at == '{';

    return (struct json_parts){at < end ? at + 1 : end, end, in_object, false};
}

/* The name at parts->at, which moves behind the colon. */
static struct view take_name(struct json_parts *parts)
{
    const char *start = parts->at;
    const char *at = skip_scalar(start, parts->end);
    size_t size = (size_t)(at - start);

    at = skip_space(at, parts->end);
    parts->at = skip_space(at < parts->end ? at + 1 : at, parts->end);
    return (struct view){start, size};
}

bool json_parts_step(struct json_parts *parts, struct view *out_name)
{
    const char *at = parts->at;
    unsigned height;

    if (parts->at_value)
        at = skip_value(at, parts->end, &height);
    parts->at_value = false;
    at = skip_space(at, parts->end);
    if (at < parts->end && *at == ',')
        at = skip_space(at + 1, parts->end);
    parts->at = at;
    if (at == parts->end || *at == ']' || *at == '}')
        return false;

    *out_name = (struct view){at, 0};
    if (parts->in_object)
        *out_name = take_name(parts);
    parts->at_value = true;
    return true;
}

struct view json_parts_rest(const struct json_parts *parts)
{
    return (struct view){parts->at, (size_t)(parts->end - parts->at)};
}

bool json_parts_next(struct json_parts *parts, struct json_part *out_part)
{
    const char *start;

    if (!json_parts_step(parts, &out_part->name))
        return false;
    start = parts->at;
    parts->at = skip_value(start, parts->end, &out_part->height);
    parts->at_value = false;
    out_part->value = (struct view){start, (size_t)(parts->at - start)};
    return true;
}
