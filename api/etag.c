#include "api/etag.h"

#include <string.h>

static void skip_blanks(struct view *text)
{
    while (text->size > 0 && (text->data[0] == ' ' || text->data[0] == '\t'))
        *text = view_from(*text, 1);
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

    for (;;) {
        struct version version;
        struct view opaque;
        bool weak;

        skip_blanks(&header);
        if (!take_tag(&header, &weak, &opaque))
            return KIST_INVALID;
        if ((!weak || comparison == ETAG_WEAK) &&
            version_from_hex(opaque, &version)) {
            if (out_list->count == CONDITION_VERSIONS)
                return KIST_TOO_LARGE;
            out_list->versions[out_list->count++] = version;
        }
        skip_blanks(&header);
        if (header.size == 0)
            return KIST_OK;
        if (header.data[0] != ',')
            return KIST_INVALID;
        header = view_from(header, 1);
    }
}

bool etag_read_one(struct view header, struct version *out)
{
    struct view opaque;
    bool weak;

    return take_tag(&header, &weak, &opaque) && !weak && header.size == 0 &&
           version_from_hex(opaque, out);
}
