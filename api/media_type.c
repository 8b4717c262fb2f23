#include "api/media_type.h"

#include "api/piece.h"
#include "storage/record.h"

#include <string.h>

static struct view essence_of(struct view header)
{
    const char *semicolon =
        header.size > 0 ? memchr(header.data, ';', header.size) : NULL;

    if (semicolon != NULL)
        header.size = (size_t)(semicolon - header.data);
    return view_trim(header);
}

bool media_type_is(struct view header, const char *essence)
{
    return view_is_ignoring_case(essence_of(header), essence);
}

static bool is_token(struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c <= ' ' || c >= 0x7F || strchr("()<>@,;:\\\"/[]?={}", c) != NULL)
            return false;
    }
    return text.size > 0;
}

static bool is_well_formed(struct view header)
{
    struct view essence = essence_of(header);
    const char *slash =
        essence.size > 0 ? memchr(essence.data, '/', essence.size) : NULL;

    if (slash == NULL || header.size > RECORD_MEDIA_TYPE_MAX)
        return false;
    for (size_t i = 0; i < header.size; i++)
        if ((unsigned char)header.data[i] < ' ' ||
            (unsigned char)header.data[i] >= 0x7F)
            return false;

    size_t type_size = (size_t)(slash - essence.data);
    return is_token((struct view){essence.data, type_size}) &&
           is_token(view_from(essence, type_size + 1));
}

/*
 * RFC 8259 has no charset parameter; utf-8 is what it would say, and what
 * each of them must say.
 */
static bool is_utf8(struct view header)
{
    piece_take(&header, ';'); /* The essence. */
    while (header.size > 0) {
        struct view value = piece_take(&header, ';');
        struct view name = piece_take(&value, '=');

        if (view_is_ignoring_case(name, "charset") &&
            !view_is_ignoring_case(piece_unquoted(value), "utf-8"))
            return false;
    }
    return true;
}

enum media_type_kind media_type_kind(struct view header)
{
    if (header.data == NULL ||
        media_type_is(header, "application/x-www-form-urlencoded"))
        return MEDIA_TYPE_UNSTATED;
    if (!is_well_formed(header))
        return MEDIA_TYPE_INVALID;
    if (!media_type_is(header, "application/json"))
        return MEDIA_TYPE_OTHER;
    return is_utf8(header) ? MEDIA_TYPE_JSON : MEDIA_TYPE_NOT_UTF8;
}
