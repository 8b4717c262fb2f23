#include "api/json_string.h"

#include <string.h>

int json_string_hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

size_t json_string_encode(uint32_t code, char utf8[4])
{
    if (code < 0x80) {
        utf8[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        utf8[0] = (char)(0xC0 | code >> 6);
        utf8[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        utf8[0] = (char)(0xE0 | code >> 12);
        utf8[1] = (char)(0x80 | (code >> 6 & 0x3F));
        utf8[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    utf8[0] = (char)(0xF0 | code >> 18);
    utf8[1] = (char)(0x80 | (code >> 12 & 0x3F));
    utf8[2] = (char)(0x80 | (code >> 6 & 0x3F));
    utf8[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

struct view json_string_inside(struct view literal)
{
    if (literal.size < 2)
        return (struct view){literal.data, 0};
    return (struct view){literal.data + 1, literal.size - 2};
}

bool json_string_has_escapes(struct view literal)
{
    return memchr(literal.data, '\\', literal.size) != NULL;
}

/* Four hexadecimal digits at *at, which moves behind them. */
static uint32_t read_hex(const char **at, const char *end)
{
    uint32_t code = 0;

    for (int i = 0; i < 4 && *at < end; i++, (*at)++)
        code = code << 4 | (uint32_t)(json_string_hex(**at) & 15);
    return code;
}

/* The code point after \u; *at is behind the u, then behind all of it. */
static uint32_t read_code(const char **at, const char *end)
{
    uint32_t code = read_hex(at, end);

    if (code < 0xD800 || code > 0xDBFF || end - *at < 6)
        return code;
    *at += 2; /* A checked text has \u of the other half here. */
    return 0x10000 + ((code - 0xD800) << 10) +
           ((read_hex(at, end) - 0xDC00) & 0x3FF);
}

/*
 * The next piece of meaning at *at, which moves on: a run of plain bytes is
 * given where it lies, an escape through scratch.
 */
static struct view next_piece(const char **at, const char *end, char scratch[4])
{
    const char *start = *at;
    const char *backslash = memchr(start, '\\', (size_t)(end - start));

    if (backslash != start) {
        *at = backslash == NULL ? end : backslash;
        return (struct view){start, (size_t)(*at - start)};
    }

    char letter = end - start < 2 ? '\\' : start[1];
    *at = end - start < 2 ? end : start + 2;
    switch (letter) {
    case 'u':
        return (struct view){scratch,
                             json_string_encode(read_code(at, end), scratch)};
    case 'b':
        scratch[0] = '\b';
        break;
    case 'f':
        scratch[0] = '\f';
        break;
    case 'n':
        scratch[0] = '\n';
        break;
    case 'r':
        scratch[0] = '\r';
        break;
    case 't':
        scratch[0] = '\t';
        break;
    default:
        scratch[0] = letter;
    }
    return (struct view){scratch, 1};
}

size_t json_string_bound(struct view literal)
{
    /* Every escape is longer than what it means. */
    return json_string_inside(literal).size;
}

size_t json_string_decode_to(struct view literal, char *room)
{
    struct view inside = json_string_inside(literal);
    const char *at = inside.data, *end = inside.data + inside.size;
    size_t size = 0;
    char scratch[4];

    while (at < end) {
        struct view piece = next_piece(&at, end, scratch);

        memcpy(room + size, piece.data, piece.size);
        size += piece.size;
    }
    return size;
}

void json_string_decode(struct view literal, struct blob *out)
{
    if (blob_reserve(out, json_string_bound(literal) + 1) != KIST_OK)
        return;
    out->size += json_string_decode_to(literal, out->data + out->size);
}

bool json_string_means(struct view literal, struct view bytes)
{
    struct view inside = json_string_inside(literal);
    const char *at = inside.data, *end = inside.data + inside.size;
    char scratch[4];

    while (at < end) {
        struct view piece = next_piece(&at, end, scratch);

        if (!view_starts_with(bytes, piece))
            return false;
        bytes = view_from(bytes, piece.size);
    }
    return bytes.size == 0;
}

/* Both are read piece by piece; the longer piece waits for the other side. */
bool json_string_equal(struct view a, struct view b)
{
    struct view in_a = json_string_inside(a), in_b = json_string_inside(b);
    const char *at_a = in_a.data, *end_a = in_a.data + in_a.size;
    const char *at_b = in_b.data, *end_b = in_b.data + in_b.size;
    struct view piece_a = {at_a, 0}, piece_b = {at_b, 0};
    char scratch_a[4], scratch_b[4];

    for (;;) {
        if (piece_a.size == 0 && at_a < end_a)
            piece_a = next_piece(&at_a, end_a, scratch_a);
        if (piece_b.size == 0 && at_b < end_b)
            piece_b = next_piece(&at_b, end_b, scratch_b);

        size_t shared =
            piece_a.size < piece_b.size ? piece_a.size : piece_b.size;
        if (shared == 0)
            return piece_a.size == piece_b.size;
        if (memcmp(piece_a.data, piece_b.data, shared) != 0)
            return false;
        piece_a = view_from(piece_a, shared);
        piece_b = view_from(piece_b, shared);
    }
}
