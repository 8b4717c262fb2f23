/* prefer - the preferences of RFC 7240 that kist honours. */
#ifndef KIST_API_PREFER_H
#define KIST_API_PREFER_H

#include "base/bytes.h"

#include <stdbool.h>

struct prefer {
    bool representation; /* return=representation */
    bool waits;          /* wait=seconds */
    unsigned wait_s;     /* At most PREFER_WAIT_MAX_S. */
};

#define PREFER_WAIT_MAX_S 300

/*
 * As the RFC asks, what is unknown or malformed counts as not written, and of
 * two equal names the first counts.
 */
struct prefer prefer_read(struct view header);

#endif
