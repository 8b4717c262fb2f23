/*
 * One walk over the ranges; each is taken apart where it stands, so nothing
 * is allocated and a header of any size costs one pass.
 */
#include "api/accept.h"

#include "api/piece.h"

#include <string.h>

#define QUALITY_MOST 1000

/* How closely a range names a media type; larger is closer. */
enum closeness { RANGE_MISSES, RANGE_ANY, RANGE_KIND, RANGE_EXACT };

static enum closeness range_matches(struct view range, const char *media_type)
{
    if (view_is(range, "*/*"))
        return RANGE_ANY;
    if (view_is_ignoring_case(range, media_type))
        return RANGE_EXACT;

    size_t kind = strcspn(media_type, "/") + 1; /* "text/" */
    if (range.size != kind + 1 || range.data[kind] != '*')
        return RANGE_MISSES;

    char prefix[64];
    if (kind >= sizeof(prefix))
        return RANGE_MISSES;
    memcpy(prefix, media_type, kind);
    prefix[kind] = '\0';
    range.size = kind;
    return view_is_ignoring_case(range, prefix) ? RANGE_KIND : RANGE_MISSES;
}

/* "0", "1", "0.", "0.75", "1.000"; false for anything else. */
static bool read_quality(struct view text, unsigned *out_quality)
{
    if (text.size == 0 || text.size > strlen("0.000") ||
        (text.size > 1 && text.data[1] != '.'))
        return false;

    unsigned quality = 0;
    unsigned weight = QUALITY_MOST;
    for (size_t i = 0; i < text.size; i++) {
        if (i == 1)
            continue;
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        quality += (unsigned)(text.data[i] - '0') * weight;
        weight /= 10;
    }
    if (quality > QUALITY_MOST)
        return false;
    *out_quality = quality;
    return true;
}

/* The q among a range's parameters; 1000 if there is none. */
static bool range_quality(struct view parameters, unsigned *out_quality)
{
    *out_quality = QUALITY_MOST;
    while (parameters.size > 0) {
        struct view parameter = piece_take(&parameters, ';');
        struct view value = parameter;
        struct view name = piece_take(&value, '=');
        if (view_is_ignoring_case(name, "q"))
            return read_quality(view_trim(value), out_quality);
    }
    return true;
}

unsigned accept_quality(struct view accept, const char *media_type)
{
    if (accept.data == NULL || view_trim(accept).size == 0)
        return QUALITY_MOST;

    enum closeness closest = RANGE_MISSES;
    unsigned best = 0;
    while (accept.size > 0) {
        struct view parameters = piece_take(&accept, ',');
        struct view range = piece_take(&parameters, ';');
        enum closeness close = range_matches(range, media_type);
        unsigned quality;

        if (close == RANGE_MISSES || close < closest ||
            !range_quality(parameters, &quality))
            continue;
        if (close > closest || quality > best)
            best = quality;
        closest = close;
    }
    return best;
}
