/*
 * json_named - the members of a small object that may have these names only.
 *
 * Threads: no state.
 */
#ifndef KIST_API_JSON_NAMED_H
#define KIST_API_JSON_NAMED_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * out_values[i] becomes the text of the member names[i], or data NULL. json
 * has passed json_check(). False: it is no object, or has another member,
 * which may be a typo of one of these.
 */
KIST_CHECKED bool json_named_read(struct view json, const char *const *names,
                                  size_t count, struct view *out_values);

#endif
