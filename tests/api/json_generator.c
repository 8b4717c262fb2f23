#include "tests/api/json_generator.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct json_generator json_generator_new(uint64_t seed)
{
    return (struct json_generator){seed * 2 + 1};
}

/* splitmix64: every state gives a good number. */
static uint64_t next(struct json_generator *from)
{
    uint64_t word = from->state += 0x9E3779B97F4A7C15;

    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9;
    word = (word ^ word >> 27) * 0x94D049BB133111EB;
    return word ^ word >> 31;
}

uint32_t json_generator_below(struct json_generator *from, uint32_t bound)
{
    return (uint32_t)(next(from) >> 32) % bound;
}

static void append_one_of(struct json_generator *from, struct blob *out,
                          const char *const *texts, size_t count)
{
    blob_append_text(out, texts[json_generator_below(from, (uint32_t)count)]);
}

static void append_space(struct json_generator *from, struct blob *out)
{
    static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t\r "};

    append_one_of(from, out, spaces, COUNT(spaces));
}

static void append_scalar(struct json_generator *from, struct blob *out)
{
    static const char *const scalars[] = {"0",
                                          "-0",
                                          "1",
                                          "1.0",
                                          "10e-1",
                                          "12.50",
                                          "-3E+2",
                                          "1e400",
                                          "12345678901",
                                          "0.1e-7",
                                          "true",
                                          "false",
                                          "null",
                                          "\"\"",
                                          "\"a\"",
                                          "\"\\n\"",
                                          "\"\\u0061\"",
                                          "\"\\ud83d\\ude00\"",
                                          "\"\xc3\xa9\"",
                                          "\"\\u0000\"",
                                          "\"/\\/\\\\\"",
                                          "\"\xf0\x9f\x98\x80 x\"",
                                          "123456789012345678901234567890"};

    append_one_of(from, out, scalars, COUNT(scalars));
}

static void append_name(struct json_generator *from, struct blob *out)
{
    static const char *const names[] = {
        "\"a\"",       "\"b\"", "\"c\"",       "\"d\"",        "\"e\"",
        "\"\\u0061\"", "\"\"",  "\"~\"",       "\"/\"",        "\"a/b\"",
        "\"0\"",       "\"1\"", "\"-\"",       "\"f\"",        "\"g\"",
        "\"h\"",       "\"i\"", "\"\\u00e9\"", "\"\xc3\xa9\"", "\"long name\""};

    append_one_of(from, out, names, COUNT(names));
}

static void append_container(struct json_generator *from, unsigned depth,
                             struct blob *out)
{
    bool object = json_generator_below(from, 2) == 0;
    uint32_t count = json_generator_below(from, 5);

    blob_append_byte(out, object ? '{' : '[');
    append_space(from, out);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            blob_append_byte(out, ',');
        append_space(from, out);
        if (object) {
            append_name(from, out);
            append_space(from, out);
            blob_append_byte(out, ':');
        }
        json_generator_value(from, depth - 1, out);
    }
    blob_append_byte(out, object ? '}' : ']');
}

void json_generator_value(struct json_generator *from, unsigned depth,
                          struct blob *out)
{
    append_space(from, out);
    if (depth == 0 || json_generator_below(from, 3) == 0)
        append_scalar(from, out);
    else
        append_container(from, depth, out);
    append_space(from, out);
}

static char odd_byte(struct json_generator *from)
{
    static const char meaningful[] = "{}[]\",:\\u0123eE+-.tfn \x01\x7f\xc3\xa9"
                                     "\xed\xa0\xf0\x80\xff/'~aDd8";

    if (json_generator_below(from, 8) == 0)
        return (char)json_generator_below(from, 256);
    return meaningful[json_generator_below(from, sizeof(meaningful) - 1)];
}

static void remove_bytes(struct blob *text, size_t at, size_t size)
{
    if (size > text->size - at)
        size = text->size - at;
    memmove(text->data + at, text->data + at + size, text->size - at - size);
    text->size -= size;
}

static void insert_bytes(struct blob *text, size_t at, const char *bytes,
                         size_t size)
{
    if (blob_reserve(text, size) != KIST_OK)
        return;
    memmove(text->data + at + size, text->data + at, text->size - at);
    memcpy(text->data + at, bytes, size);
    text->size += size;
}

/* Repeat a piece of the text somewhere else in it. */
static void repeat_piece(struct json_generator *from, struct blob *text,
                         size_t at)
{
    char piece[16];
    size_t start = json_generator_below(from, (uint32_t)text->size);
    size_t size = 1 + json_generator_below(from, sizeof(piece));

    if (size > text->size - start)
        size = text->size - start;
    memcpy(piece, text->data + start, size);
    insert_bytes(text, at, piece, size);
}

void json_generator_mutate(struct json_generator *from, struct blob *text)
{
    uint32_t places = 1 + json_generator_below(from, 3);

    for (uint32_t i = 0; i < places && text->size > 0; i++) {
        size_t at = json_generator_below(from, (uint32_t)text->size);
        char byte = odd_byte(from);

        switch (json_generator_below(from, 4)) {
        case 0:
            text->data[at] = byte;
            break;
        case 1:
            insert_bytes(text, at, &byte, 1);
            break;
        case 2:
            remove_bytes(text, at, 1 + json_generator_below(from, 4));
            break;
        default:
            repeat_piece(from, text, at);
        }
    }
}
