#include "api/range.h"

#include <string.h>

/* "-n": the last n bytes. */
static enum range_kind suffix(struct view digits, uint64_t size,
                              uint64_t *out_first, uint64_t *out_count)
{
    uint64_t count;

    if (!view_to_u64(digits, &count))
        return RANGE_WHOLE;
    if (count == 0 || size == 0)
        return RANGE_UNSATISFIABLE;
    *out_count = count < size ? count : size;
    *out_first = size - *out_count;
    return RANGE_PART;
}

enum range_kind range_read(struct view header, uint64_t size,
                           uint64_t *out_first, uint64_t *out_count)
{
    struct view unit = {header.data, strlen("bytes=")};
    struct view from, to;
    const char *dash;
    uint64_t first, last = UINT64_MAX;

    if (header.size < unit.size || !view_is_ignoring_case(unit, "bytes="))
        return RANGE_WHOLE;
    header = view_trim(view_from(header, unit.size));
    dash = memchr(header.data, '-', header.size);
    if (dash == NULL)
        return RANGE_WHOLE;
    from = (struct view){header.data, (size_t)(dash - header.data)};
    to = view_from(header, from.size + 1);
    if (from.size == 0)
        return suffix(to, size, out_first, out_count);

    if (!view_to_u64(from, &first) ||
        (to.size > 0 && (!view_to_u64(to, &last) || last < first)))
        return RANGE_WHOLE;
    if (first >= size)
        return RANGE_UNSATISFIABLE;
    if (last >= size)
        last = size - 1;
    *out_first = first;
    *out_count = last - first + 1;
    return RANGE_PART;
}
