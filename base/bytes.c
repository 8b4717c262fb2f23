#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct view view_of(const char *text)
{
    return (struct view){text, strlen(text)};
}

bool view_equal(struct view a, struct view b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int view_compare(struct view a, struct view b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);

    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

bool view_starts_with(struct view whole, struct view prefix)
{
    return whole.size >= prefix.size &&
           view_equal((struct view){whole.data, prefix.size}, prefix);
}

bool view_is(struct view a, const char *text)
{
    return view_equal(a, view_of(text));
}

bool view_is_ignoring_case(struct view a, const char *text)
{
    return a.size == strlen(text) && strncasecmp(a.data, text, a.size) == 0;
}

struct view view_trim(struct view text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = view_from(text, 1);
    while (text.size > 0 && (text.data[text.size - 1] == ' ' ||
                             text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

struct view view_from(struct view whole, size_t offset)
{
    assert(offset <= whole.size);
    if (offset == 0)
        return whole; /* An empty view may have no address to add to. */
    return (struct view){whole.data + offset, whole.size - offset};
}

bool view_cut_part(struct view *list, struct view *out_part)
{
    const char *comma;

    if (list->data == NULL)
        return false;
    comma = memchr(list->data, ',', list->size);
    *out_part = *list;
    *list = (struct view){NULL, 0};
    if (comma != NULL) {
        size_t rest = (size_t)(comma - out_part->data) + 1;

        *list = view_from(*out_part, rest);
        out_part->size = rest - 1;
    }
    return true;
}

bool view_to_u64(struct view text, uint64_t *out_number)
{
    uint64_t number = 0;

    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';

        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out_number = number;
    return true;
}

/*
 * The bytes of the UTF-8 sequence at text's start, or 0 if there is none:
 * table 3-7 of the Unicode standard (well-formed byte sequences).
 */
static size_t utf8_sequence(struct view text)
{
    const unsigned char *at = (const unsigned char *)text.data;
    unsigned char low = 0x80, high = 0xBF;
    size_t size;

    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xC2 && at[0] <= 0xDF)
        size = 2;
    else if (at[0] >= 0xE0 && at[0] <= 0xEF)
        size = 3;
    else if (at[0] >= 0xF0 && at[0] <= 0xF4)
        size = 4;
    else
        return 0;

    if (at[0] == 0xE0)
        low = 0xA0;
    else if (at[0] == 0xED)
        high = 0x9F;
    else if (at[0] == 0xF0)
        low = 0x90;
    else if (at[0] == 0xF4)
        high = 0x8F;

    if (text.size < size || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if (at[i] < 0x80 || at[i] > 0xBF)
            return 0;
    return size;
}

bool view_is_utf8(struct view text)
{
    while (text.size > 0) {
        size_t size = utf8_sequence(text);

        if (size == 0)
            return false;
        text = view_from(text, size);
    }
    return true;
}

void blob_free(struct blob *blob)
{
    if (blob == NULL)
        return;
    free(blob->data);
    *blob = BLOB_EMPTY;
}

void blob_clear(struct blob *blob)
{
    blob->size = 0;
    blob->failed = false;
}

struct view blob_view(const struct blob *blob)
{
    return (struct view){blob->data, blob->size};
}

enum kist_status blob_reserve(struct blob *blob, size_t size)
{
    size_t capacity = blob->capacity;
    char *data;

    if (blob->failed || size > SIZE_MAX / 4 - blob->size)
        goto fail;
    if (blob->size + size <= capacity)
        return KIST_OK;
    if (capacity < 64)
        capacity = 64;
    while (capacity < blob->size + size)
        capacity += capacity / 2;
    if (blob->capacity == 0 && size > 64)
        capacity = size; /* A first, exact reservation stays exact. */

    data = realloc(blob->data, capacity);
    if (data == NULL)
        goto fail;
    blob->data = data;
    blob->capacity = capacity;
    return KIST_OK;

fail:
    blob->failed = true;
    return KIST_NO_MEMORY;
}

enum kist_status blob_reserve_exactly(struct blob *blob, size_t capacity)
{
    char *data;

    if (blob->failed)
        return KIST_NO_MEMORY;
    if (capacity <= blob->capacity)
        return KIST_OK;
    data = realloc(blob->data, capacity);
    if (data == NULL) {
        blob->failed = true;
        return KIST_NO_MEMORY;
    }
    blob->data = data;
    blob->capacity = capacity;
    return KIST_OK;
}

void blob_append(struct blob *blob, struct view bytes)
{
    if (bytes.size == 0 || blob_reserve(blob, bytes.size) != KIST_OK)
        return;
    memcpy(blob->data + blob->size, bytes.data, bytes.size);
    blob->size += bytes.size;
}

void blob_append_text(struct blob *blob, const char *text)
{
    blob_append(blob, view_of(text));
}

void blob_append_byte(struct blob *blob, char byte)
{
    if (blob->failed || blob->size == blob->capacity) {
        blob_append(blob, (struct view){&byte, 1});
        return;
    }
    blob->data[blob->size++] = byte;
}

void blob_printf(struct blob *blob, const char *format, ...)
{
    va_list values;
    int size;

    va_start(values, format);
    size = vsnprintf(NULL, 0, format, values);
    va_end(values);
    assert(size >= 0);

    /* One more byte for the terminator, which is not part of the blob. */
    if (blob_reserve(blob, (size_t)size + 1) != KIST_OK)
        return;
    va_start(values, format);
    vsnprintf(blob->data + blob->size, (size_t)size + 1, format, values);
    va_end(values);
    blob->size += (size_t)size;
}

struct hold hold_blob(struct blob *blob)
{
    struct hold hold = {blob->data, blob->capacity, free};

    *blob = BLOB_EMPTY;
    return hold;
}

void hold_release(struct hold *hold)
{
    if (hold->memory != NULL)
        hold->release(hold->memory);
    *hold = HOLD_NOTHING;
}

static void append_number(struct blob *blob, uint64_t number, size_t size)
{
    char bytes[sizeof(number)];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(number >> (8 * (size - 1 - i)));
    blob_append(blob, (struct view){bytes, size});
}

void blob_append_u16(struct blob *blob, uint16_t number)
{
    append_number(blob, number, sizeof(number));
}

void blob_append_u32(struct blob *blob, uint32_t number)
{
    append_number(blob, number, sizeof(number));
}

void blob_append_u64(struct blob *blob, uint64_t number)
{
    append_number(blob, number, sizeof(number));
}

uint16_t read_u16(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;

    return (uint16_t)(byte[0] << 8 | byte[1]);
}

uint32_t read_u32(const char *at)
{
    return (uint32_t)read_u16(at) << 16 | read_u16(at + 2);
}

uint64_t read_u64(const char *at)
{
    return (uint64_t)read_u32(at) << 32 | read_u32(at + 4);
}

static void append_json_escape(struct blob *blob, unsigned char byte)
{
    switch (byte) {
    case '"':
        blob_append_text(blob, "\\\"");
        return;
    case '\\':
        blob_append_text(blob, "\\\\");
        return;
    case '\n':
        blob_append_text(blob, "\\n");
        return;
    case '\r':
        blob_append_text(blob, "\\r");
        return;
    case '\t':
        blob_append_text(blob, "\\t");
        return;
    default:
        blob_printf(blob, "\\u%04x", byte);
    }
}

static bool is_plain_in_json(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

void blob_append_json(struct blob *blob, struct view text)
{
    blob_append_byte(blob, '"');
    while (text.size > 0) {
        size_t plain = 0;

        while (plain < text.size &&
               is_plain_in_json((unsigned char)text.data[plain]))
            plain++;
        blob_append(blob, (struct view){text.data, plain});
        text = view_from(text, plain);
        if (text.size == 0)
            break;

        size_t size = utf8_sequence(text);
        if (size > 1)
            blob_append(blob, (struct view){text.data, size});
        else if (size == 1)
            append_json_escape(blob, (unsigned char)text.data[0]);
        else
            blob_append_text(blob, "\\ufffd");
        text = view_from(text, size == 0 ? 1 : size);
    }
    blob_append_byte(blob, '"');
}
