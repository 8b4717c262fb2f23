#include "api/piece.h"

struct view piece_take(struct view *rest, char separator)
{
    struct view piece = {rest->data, 0};
    bool quoted = false;

    while (piece.size < rest->size) {
        char byte = rest->data[piece.size];

        if (byte == separator && !quoted)
            break;
        if (byte == '"')
            quoted = !quoted;
        else if (byte == '\\' && quoted && piece.size + 1 < rest->size)
            piece.size++;
        piece.size++;
    }
    bool more = piece.size < rest->size;

    *rest = view_from(*rest, piece.size + (more ? 1 : 0));
    return view_trim(piece);
}

struct view piece_unquoted(struct view piece)
{
    if (piece.size < 2 || piece.data[0] != '"' ||
        piece.data[piece.size - 1] != '"')
        return piece;
    return (struct view){piece.data + 1, piece.size - 2};
}
