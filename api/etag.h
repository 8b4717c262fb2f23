/*
 * etag - entity tags: a version in quotes, and the headers that list them.
 *
 * All our tags are strong. A tag that is not one of ours is legal and matches
 * nothing.
 */
#ifndef KIST_API_ETAG_H
#define KIST_API_ETAG_H

#include "base/bytes.h"
#include "storage/condition.h"

enum etag_comparison {
    ETAG_STRONG, /* If-Match: W/"x" matches nothing. */
    ETAG_WEAK,   /* If-None-Match: W/"x" is "x". */
};

/*
 * "*" or a list (RFC 9110, 13.1). *out_list gets at most CONDITION_VERSIONS
 * tags of ours, kind is not set. KIST_INVALID: malformed. KIST_TOO_LARGE:
 * more than that many.
 */
KIST_CHECKED enum kist_status etag_read_list(struct view header,
                                             enum etag_comparison comparison,
                                             bool *out_any,
                                             struct condition *out_list);

/* The one tag of If-Range; false: it is a date, weak, or not ours. */
KIST_CHECKED bool etag_read_one(struct view header, struct version *out);

#endif
