#include "api/base64.h"

static const char *digits_of(enum base64_alphabet alphabet)
{
    return alphabet == BASE64 ? "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789+/"
                              : "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-_";
}

void base64_append(struct blob *out, struct view bytes,
                   enum base64_alphabet alphabet)
{
    const char *digits = digits_of(alphabet);
    const unsigned char *at = (const unsigned char *)bytes.data;

    if (blob_reserve(out, (bytes.size + 2) / 3 * 4) != KIST_OK)
        return;
    for (size_t left = bytes.size; left > 0;) {
        size_t take = left < 3 ? left : 3;
        unsigned group = (unsigned)at[0] << 16;

        if (take > 1)
            group |= (unsigned)at[1] << 8;
        if (take > 2)
            group |= at[2];
        char quad[4];
        for (size_t i = 0; i < 4; i++)
            quad[i] = i <= take ? digits[group >> (18 - 6 * i) & 63] : '=';
        blob_append(out,
                    (struct view){quad, alphabet == BASE64 ? 4 : take + 1});
        at += take;
        left -= take;
    }
}

static int digit_value(char c, enum base64_alphabet alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (alphabet == BASE64 ? '+' : '-'))
        return 62;
    if (c == (alphabet == BASE64 ? '/' : '_'))
        return 63;
    return -1;
}

/* Two to four digits make one to three bytes; bits left over must be 0. */
static bool decode_group(struct view digits, enum base64_alphabet alphabet,
                         struct blob *out)
{
    unsigned group = 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i < digits.size ? digit_value(digits.data[i], alphabet) : 0;

        if (value < 0)
            return false;
        group = group << 6 | (unsigned)value;
    }
    for (size_t i = 0; i + 1 < digits.size; i++)
        blob_append_byte(out, (char)(group >> (16 - 8 * i) & 0xFF));
    unsigned unused = digits.size == 2 ? 0xFFFF : digits.size == 3 ? 0xFF : 0;
    return (group & unused) == 0;
}

bool base64_decode(struct view text, enum base64_alphabet alphabet,
                   struct blob *out)
{
    size_t before = out->size;

    if (alphabet == BASE64) {
        if (text.size % 4 != 0)
            return false;
        for (int i = 0; i < 2; i++)
            if (text.size > 0 && text.data[text.size - 1] == '=')
                text.size--;
    }
    if (text.size % 4 == 1 ||
        blob_reserve(out, text.size / 4 * 3 + 3) != KIST_OK)
        return false;
    while (text.size > 0) {
        size_t take = text.size < 4 ? text.size : 4;

        if (!decode_group((struct view){text.data, take}, alphabet, out)) {
            out->size = before;
            return false;
        }
        text = view_from(text, take);
    }
    return true;
}
