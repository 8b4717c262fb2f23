/*
 * json_merge_patch - RFC 7396 on texts.
 *
 * What the patch does not name keeps its bytes: numbers, escapes and white
 * space. Only objects that really change are put together anew.
 *
 * Threads: no state.
 */
#ifndef KIST_API_JSON_MERGE_PATCH_H
#define KIST_API_JSON_MERGE_PATCH_H

#include "base/bytes.h"
#include "base/status.h"

#include <stddef.h>

/*
 * Append to out what target becomes by patch; both have passed json_check().
 * target may be empty: there is no value yet. KIST_TOO_LARGE: the result has
 * more than limit bytes. KIST_NO_MEMORY. On failure out is as it was.
 */
KIST_CHECKED enum kist_status json_merge_patch(struct view target,
                                               struct view patch, size_t limit,
                                               struct blob *out);

#endif
