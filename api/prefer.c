#include "api/prefer.h"

#include <string.h>

static struct view take_until(struct view *text, char byte)
{
    const char *found =
        text->size > 0 ? memchr(text->data, byte, text->size) : NULL;
    struct view head = *text;

    if (found != NULL)
        head.size = (size_t)(found - text->data);
    *text = view_from(*text, found != NULL ? head.size + 1 : head.size);
    return head;
}

static void read_one(struct prefer *prefer, struct view preference)
{
    struct view value = take_until(&preference, ';'); /* Drops parameters. */
    struct view name = view_trim(take_until(&value, '='));
    uint64_t seconds;

    value = view_trim(value);
    if (view_is_ignoring_case(name, "return")) {
        prefer->representation = view_is(value, "representation");
    } else if (view_is_ignoring_case(name, "wait") &&
               view_to_u64(value, &seconds)) {
        prefer->waits = true;
        prefer->wait_s =
            seconds < PREFER_WAIT_MAX_S ? (unsigned)seconds : PREFER_WAIT_MAX_S;
    }
}

struct prefer prefer_read(struct view header)
{
    struct prefer prefer = {0};

    while (header.size > 0)
        read_one(&prefer, take_until(&header, ','));
    return prefer;
}
