#include "storage/version.h"

bool version_is_none(struct version version)
{
    return version.hlc == 0 && version.incarnation == 0;
}

bool version_equal(struct version a, struct version b)
{
    return a.hlc == b.hlc && a.incarnation == b.incarnation;
}

int version_compare(struct version a, struct version b)
{
    if (a.hlc != b.hlc)
        return a.hlc < b.hlc ? -1 : 1;
    return (a.incarnation > b.incarnation) - (a.incarnation < b.incarnation);
}

uint64_t version_ms(struct version version)
{
    return version.hlc >> 16;
}

static void put_hex(uint64_t number, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 15; i >= 0; i--, number >>= 4)
        out[i] = digits[number & 15];
}

void version_to_hex(struct version version, char out_hex[VERSION_HEX_SIZE + 1])
{
    put_hex(version.hlc, out_hex);
    put_hex(version.incarnation, out_hex + 16);
    out_hex[VERSION_HEX_SIZE] = '\0';
}

static bool get_hex(const char *text, uint64_t *out_number)
{
    uint64_t number = 0;

    for (int i = 0; i < 16; i++) {
        unsigned char c = (unsigned char)text[i];
        unsigned digit;

        if (c >= '0' && c <= '9')
            digit = c - (unsigned)'0';
        else if (c >= 'a' && c <= 'f')
            digit = c - (unsigned)'a' + 10;
        else
            return false;
        number = number << 4 | digit;
    }
    *out_number = number;
    return true;
}

bool version_from_hex(struct view hex, struct version *out)
{
    struct version version;

    if (hex.size != VERSION_HEX_SIZE || !get_hex(hex.data, &version.hlc) ||
        !get_hex(hex.data + 16, &version.incarnation) ||
        version_is_none(version))
        return false;
    *out = version;
    return true;
}
