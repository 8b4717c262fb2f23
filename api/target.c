#include "api/target.h"

#include "api/router.h"

#include <assert.h>
#include <string.h>

static const struct {
    enum problem problem;
    const char *detail;
} faults[TARGET_FAULTS] = {
    [TARGET_FINE] = {PROBLEM_INTERNAL, ""},
    [TARGET_MALFORMED] = {PROBLEM_MALFORMED_REQUEST,
                          "The request target must be a path that begins "
                          "with '/', or an http:// address with one."},
    [TARGET_BYTES] = {PROBLEM_MALFORMED_REQUEST,
                      "The request target has a space or control byte; "
                      "percent-encode it."},
    [TARGET_FRAGMENT] = {PROBLEM_MALFORMED_REQUEST,
                         "The request target has a '#'; percent-encode it "
                         "as %23, or leave the fragment away."},
    [TARGET_KEY_ESCAPE] = {PROBLEM_INVALID_KEY,
                           "In the key, '%' must be followed by two "
                           "hexadecimal digits; write %25 for a percent "
                           "sign."},
    [TARGET_KEY_EMPTY] = {PROBLEM_INVALID_KEY,
                          "The key is empty; name it after /kv/."},
    [TARGET_KEY_LONG] = {PROBLEM_KEY_TOO_LONG,
                         "The key is longer than 1024 bytes."},
    [TARGET_KEY_CONTROL] = {PROBLEM_INVALID_KEY,
                            "The key has a control character (U+0000 to "
                            "U+001F or U+007F)."},
    [TARGET_KEY_ENCODING] = {PROBLEM_INVALID_KEY, "The key is not UTF-8."},
    [TARGET_KEY_DOTS] = {PROBLEM_INVALID_KEY,
                         "The key has a segment '.' or '..', which clients "
                         "and proxies rewrite."},
    [TARGET_PARAMETER_ESCAPE] = {PROBLEM_INVALID_PARAMETER,
                                 "In the query, '%' must be followed by two "
                                 "hexadecimal digits."},
    [TARGET_PARAMETER_UNKNOWN] = {PROBLEM_INVALID_PARAMETER,
                                  "This request does not take the parameter"},
    [TARGET_PARAMETER_TWICE] = {PROBLEM_INVALID_PARAMETER,
                                "The query gives twice the parameter"},
};

enum problem target_fault_problem(enum target_fault fault)
{
    assert(fault != TARGET_FINE && fault < TARGET_FAULTS);
    return faults[fault].problem;
}

const char *target_fault_detail(enum target_fault fault)
{
    assert(fault != TARGET_FINE && fault < TARGET_FAULTS);
    return faults[fault].detail;
}

static bool is_control(char byte)
{
    unsigned char value = (unsigned char)byte;

    return value < 0x20 || value == 0x7f;
}

static enum target_fault check_bytes(struct view raw)
{
    for (size_t i = 0; i < raw.size; i++) {
        if (is_control(raw.data[i]) || raw.data[i] == ' ')
            return TARGET_BYTES;
        if (raw.data[i] == '#')
            return TARGET_FRAGMENT;
    }
    return TARGET_FINE;
}

/* "http://host:7700/a?b" becomes "/a?b" (RFC 9112, section 3.2.2). */
static struct view without_authority(struct view raw)
{
    struct view scheme = {raw.data, raw.size < 7 ? raw.size : 7};

    if (!view_is_ignoring_case(scheme, "http://"))
        return raw;
    for (size_t i = scheme.size; i < raw.size; i++) {
        if (raw.data[i] == '/' || raw.data[i] == '?')
            return view_from(raw, i);
    }
    return VIEW_LITERAL("/");
}

enum target_fault target_split(struct view raw, struct view *out_path,
                               struct view *out_query)
{
    enum target_fault fault = check_bytes(raw);

    if (fault != TARGET_FINE)
        return fault;
    *out_query = (struct view){NULL, 0};
    if (view_is(raw, "*")) {
        *out_path = raw;
        return TARGET_FINE;
    }
    raw = without_authority(raw);
    if (raw.size == 0 || raw.data[0] != '/')
        return TARGET_MALFORMED;

    const char *mark = memchr(raw.data, '?', raw.size);

    if (mark != NULL) {
        *out_query = view_from(raw, (size_t)(mark + 1 - raw.data));
        raw.size = (size_t)(mark - raw.data);
    }
    *out_path = raw;
    return TARGET_FINE;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

enum plus { PLUS_IS_PLUS, PLUS_IS_SPACE };

/* False: a '%' without two hexadecimal digits. */
static bool decode(struct view raw, enum plus plus, char *room,
                   struct view *out_text)
{
    size_t size = 0;

    for (size_t i = 0; i < raw.size; i++) {
        char byte = raw.data[i];

        if (byte == '+' && plus == PLUS_IS_SPACE) {
            byte = ' ';
        } else if (byte == '%') {
            int high = i + 2 < raw.size ? hex_digit(raw.data[i + 1]) : -1;
            int low = i + 2 < raw.size ? hex_digit(raw.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            byte = (char)(unsigned char)(high * 16 + low);
            i += 2;
        }
        room[size++] = byte;
    }
    *out_text = (struct view){room, size};
    return true;
}

/* Segments are divided by '/', however that was written. */
static bool has_dot_segment(struct view key)
{
    size_t start = 0;

    for (size_t i = 0; i <= key.size; i++) {
        if (i < key.size && key.data[i] != '/')
            continue;
        struct view segment = {key.data + start, i - start};

        if (view_is(segment, ".") || view_is(segment, ".."))
            return true;
        start = i + 1;
    }
    return false;
}

enum target_fault target_check_key(struct view key)
{
    if (key.size == 0)
        return TARGET_KEY_EMPTY;
    if (key.size > TARGET_KEY_MAX)
        return TARGET_KEY_LONG;
    for (size_t i = 0; i < key.size; i++) {
        if (is_control(key.data[i]))
            return TARGET_KEY_CONTROL;
    }
    if (!view_is_utf8(key))
        return TARGET_KEY_ENCODING;
    return has_dot_segment(key) ? TARGET_KEY_DOTS : TARGET_FINE;
}

enum target_fault target_key(struct view raw, char *room, struct view *out_key)
{
    struct view key = raw;

    if (raw.size > 0 && memchr(raw.data, '%', raw.size) != NULL &&
        !decode(raw, PLUS_IS_PLUS, room, &key))
        return TARGET_KEY_ESCAPE;

    enum target_fault fault = target_check_key(key);

    if (fault == TARGET_FINE)
        *out_key = key;
    return fault;
}

static enum parameter find_parameter(struct view name)
{
    enum parameter parameter = 0;

    while (parameter < PARAMETERS && !view_is(name, parameter_name(parameter)))
        parameter++;
    return parameter;
}

/* One name=value; room advances past what was decoded. */
static enum target_fault read_parameter(struct view pair, uint64_t allowed,
                                        char **room,
                                        struct view parameters[PARAMETERS],
                                        struct view *out_name)
{
    const char *sign = memchr(pair.data, '=', pair.size);
    size_t name_size = sign == NULL ? pair.size : (size_t)(sign - pair.data);
    struct view raw_name = {pair.data, name_size};
    struct view raw_value =
        view_from(pair, sign == NULL ? name_size : name_size + 1);
    struct view value;

    *out_name = raw_name;
    if (!decode(raw_name, PLUS_IS_SPACE, *room, out_name))
        return TARGET_PARAMETER_ESCAPE;
    *room += out_name->size;
    if (!decode(raw_value, PLUS_IS_SPACE, *room, &value))
        return TARGET_PARAMETER_ESCAPE;
    *room += value.size;

    enum parameter parameter = find_parameter(*out_name);

    if (parameter == PARAMETERS || (allowed & TAKES(parameter)) == 0)
        return TARGET_PARAMETER_UNKNOWN;
    if (parameters[parameter].data != NULL)
        return TARGET_PARAMETER_TWICE;
    parameters[parameter] = value;
    return TARGET_FINE;
}

enum target_fault target_query(struct view raw, uint64_t allowed, char *room,
                               struct view parameters[PARAMETERS],
                               struct view *out_name)
{
    size_t start = 0;

    for (size_t i = 0; i <= raw.size; i++) {
        if (i < raw.size && raw.data[i] != '&')
            continue;
        struct view pair = {raw.data + start, i - start};

        start = i + 1;
        if (pair.size == 0)
            continue; /* "a=1&" and "?" alone mean nothing. */

        enum target_fault fault =
            read_parameter(pair, allowed, &room, parameters, out_name);

        if (fault != TARGET_FINE)
            return fault;
    }
    return TARGET_FINE;
}
