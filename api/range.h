/* range - the Range header of a GET (RFC 9110, 14). */
#ifndef KIST_API_RANGE_H
#define KIST_API_RANGE_H

#include "base/bytes.h"

enum range_kind {
    RANGE_WHOLE,         /* None, several, malformed: the whole value. */
    RANGE_PART,          /* One part of it. */
    RANGE_UNSATISFIABLE, /* It begins behind the end. */
};

/* header: data NULL where absent. size: of the value. */
enum range_kind range_read(struct view header, uint64_t size,
                           uint64_t *out_first, uint64_t *out_count);

#endif
