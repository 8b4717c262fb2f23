/*
 * moment - a point in time as HTTP and JSON spell it. Milliseconds since 1970,
 * UTC.
 */
#ifndef KIST_API_MOMENT_H
#define KIST_API_MOMENT_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define MOMENT_SIZE 32 /* Of the longest spelling, with its terminator. */

/* "2026-01-31T09:15:02.123Z" (RFC 3339). */
void moment_to_rfc3339(uint64_t ms, char out_text[MOMENT_SIZE]);

/* "Sat, 31 Jan 2026 09:15:02 GMT" (RFC 9110, 5.6.7). */
void moment_to_http(uint64_t ms, char out_text[MOMENT_SIZE]);

/*
 * Any RFC 3339 date-time from 1970 on, with an offset and up to nine digits
 * of fraction, of which three count. A leap second, the last second of a day
 * in UTC, is the second after it.
 */
KIST_CHECKED bool moment_from_rfc3339(struct view text, uint64_t *out_ms);

#endif
