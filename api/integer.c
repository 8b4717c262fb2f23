#include "api/integer.h"

bool integer_read(struct view text, int64_t *out_number)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t size;

    if (negative)
        text = view_from(text, 1);
    if (!view_to_u64(text, &size) || (text.size > 1 && text.data[0] == '0'))
        return false;
    if (size > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out_number = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}
