/*
 * json_check_internal - how the files of the check refuse a text.
 */
#ifndef KIST_API_JSON_CHECK_INTERNAL_H
#define KIST_API_JSON_CHECK_INTERNAL_H

#include "api/json_check.h"

/* The verdict is final; gives at, where reading stops. */
const char *json_check_stop(struct json_check *check, enum kist_status refusal,
                            size_t offset, const char *reason, const char *at);

/* The byte at at cannot stand: KIST_INVALID. */
const char *json_check_refuse(struct json_check *check, const char *at,
                              const char *reason);

#endif
