/* percent - bytes as a part of a URI (RFC 3986, 2.1). */
#ifndef KIST_API_PERCENT_H
#define KIST_API_PERCENT_H

#include "base/bytes.h"

/* Append bytes with all but unreserved characters as %XX. */
void percent_encode(struct view bytes, struct blob *out);

#endif
