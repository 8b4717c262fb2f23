#include "api/prefer.h"

#include "api/piece.h"

struct told {
    bool returns; /* What is told again counts no more. */
    bool waits;
};

static void read_one(struct prefer *prefer, struct told *told,
                     struct view preference)
{
    struct view value = piece_take(&preference, ';'); /* Drops parameters. */
    struct view name = piece_take(&value, '=');
    uint64_t seconds;

    value = piece_unquoted(view_trim(value));
    if (view_is_ignoring_case(name, "return") && !told->returns) {
        told->returns = true;
        prefer->representation = view_is(value, "representation");
    } else if (view_is_ignoring_case(name, "wait") && !told->waits) {
        told->waits = true;
        prefer->waits = view_to_u64(value, &seconds);
        if (prefer->waits)
            prefer->wait_s = seconds < PREFER_WAIT_MAX_S ? (unsigned)seconds
                                                         : PREFER_WAIT_MAX_S;
    }
}

struct prefer prefer_read(struct view header)
{
    struct prefer prefer = {0};
    struct told told = {0};

    while (header.size > 0)
        read_one(&prefer, &told, piece_take(&header, ','));
    return prefer;
}
