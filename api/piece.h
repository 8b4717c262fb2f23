/*
 * piece - a header's value taken apart where quoted strings may stand in it
 * (RFC 9110, 5.6).
 */
#ifndef KIST_API_PIECE_H
#define KIST_API_PIECE_H

#include "base/bytes.h"

/*
 * What stands before the next separator outside quotes, without blanks around
 * it; *rest moves behind that separator, or to its end. A quoted string that
 * does not end takes all the rest.
 */
struct view piece_take(struct view *rest, char separator);

/* The inside of a quoted string, as spelled; anything else as it is. */
struct view piece_unquoted(struct view piece);

#endif
