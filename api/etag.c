#include "api/etag.h"

#include <string.h>

/* Blanks, and empty elements of a list, which mean nothing (5.6.1.2). */
static void skip_empty(struct view *list)
{
    while (list->size > 0 && strchr(" \t,", list->data[0]) != NULL &&
           list->data[0] != '\0')
        *list = view_from(*list, 1);
}

/* False: the list ends, or something that is no comma follows. */
static bool next_element(struct view *list)
{
    *list = view_trim(*list);
    if (list->size == 0 || list->data[0] != ',')
        return false;
    skip_empty(list);
    return list->size > 0;
}

/* entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE */
static bool take_tag(struct view *text, bool *out_weak, struct view *out_opaque)
{
    const char *end;

    *out_weak = view_starts_with(*text, VIEW_LITERAL("W/"));
    if (*out_weak)
        *text = view_from(*text, 2);
    if (text->size < 2 || text->data[0] != '"')
        return false;
    end = memchr(text->data + 1, '"', text->size - 1);
    if (end == NULL)
        return false;

    *out_opaque = (struct view){text->data + 1, (size_t)(end - text->data) - 1};
    for (size_t i = 0; i < out_opaque->size; i++)
        if ((unsigned char)out_opaque->data[i] <= ' ' ||
            out_opaque->data[i] == 0x7F)
            return false;
    *text = view_from(*text, out_opaque->size + 2);
    return true;
}

enum kist_status etag_read_list(struct view header,
                                enum etag_comparison comparison, bool *out_any,
                                struct condition *out_list)
{
    *out_any = view_is(header, "*");
    out_list->count = 0;
    if (*out_any)
        return KIST_OK;

    skip_empty(&header);
    do {
        struct version version;
        struct view opaque;
        bool weak;

        if (!take_tag(&header, &weak, &opaque))
            return KIST_INVALID;
        if ((!weak || comparison == ETAG_WEAK) &&
            version_from_hex(opaque, &version)) {
            if (out_list->count == CONDITION_VERSIONS)
                return KIST_TOO_LARGE;
            out_list->versions[out_list->count++] = version;
        }
    } while (next_element(&header));
    return header.size == 0 ? KIST_OK : KIST_INVALID;
}

bool etag_read_one(struct view header, struct version *out)
{
    struct view opaque;
    bool weak;

    return take_tag(&header, &weak, &opaque) && !weak && header.size == 0 &&
           version_from_hex(opaque, out);
}
