/* integer - whole numbers with a sign, as counters hold them. */
#ifndef KIST_API_INTEGER_H
#define KIST_API_INTEGER_H

#include "base/bytes.h"

/* "-" and decimal digits, as JSON spells a whole number, within 64 bits. */
KIST_CHECKED bool integer_read(struct view text, int64_t *out_number);

#endif
