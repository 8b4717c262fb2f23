/*
 * json_number - numbers as they are spelled, compared exactly.
 *
 * Threads: no state.
 */
#ifndef KIST_API_JSON_NUMBER_H
#define KIST_API_JSON_NUMBER_H

#include "base/bytes.h"

#include <stdbool.h>

/*
 * Whether two checked JSON numbers have the same value: 1, 1.0 and 10e-1 do,
 * and so do 1e400 and 10e399. Any number of digits and any exponent; the time
 * is linear in the spelling, nothing is rounded and nothing allocated.
 */
bool json_number_equal(struct view a, struct view b);

#endif
