/*
 * accept - what an Accept header says about one media type (RFC 9110 12.5.1).
 */
#ifndef KIST_API_ACCEPT_H
#define KIST_API_ACCEPT_H

#include "base/bytes.h"

/*
 * How much the client wants media_type ("text/plain"), in thousandths: 0 is
 * "not at all", 1000 the most. The most specific range that matches decides;
 * among equals the highest. No header (data is NULL) or an empty one accepts
 * everything. Parameters other than q are not looked at; a range or q that is
 * malformed counts as not written.
 */
unsigned accept_quality(struct view accept, const char *media_type);

#endif
