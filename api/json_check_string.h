/*
 * json_check_string - the part of json_check that is inside a string.
 *
 * Only names are decoded, for the search of duplicates: values are stored as
 * they are spelled.
 */
#ifndef KIST_API_JSON_CHECK_STRING_H
#define KIST_API_JSON_CHECK_STRING_H

#include "api/json_check.h"

/*
 * Read on from at, before end, in one of the steps from JSON_STEP_STRING to
 * JSON_STEP_LOW_U. Gives where it stopped, at least a byte further unless the
 * text is refused.
 */
const char *json_check_string_take(struct json_check *check, const char *at,
                                   const char *end);

#endif
