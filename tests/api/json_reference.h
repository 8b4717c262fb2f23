/*
 * json_reference - the two patch formats, written down simply over jansson.
 *
 * Slow, recursive and without limits: what api/ does cleverly is compared with
 * what this does plainly.
 */
#ifndef KIST_TESTS_API_JSON_REFERENCE_H
#define KIST_TESTS_API_JSON_REFERENCE_H

#include "base/bytes.h"

#include <jansson.h>

/* A text as jansson reads it, NULL if it cannot. Gives: json_decref(). */
json_t *json_reference_load(struct view text);

/* RFC 7396. Takes target, which may be NULL; borrows patch; gives. */
json_t *json_reference_merge(json_t *target, json_t *patch);

/* RFC 6902. Takes document; gives the new one, or NULL if it fails. */
json_t *json_reference_patch(json_t *document, json_t *patch);

/* As json_equal(), but 1 is 1.0. */
bool json_reference_equal(json_t *a, json_t *b);

#endif
