/* base64 - RFC 4648: section 4 for bytes in JSON, section 5 for cursors. */
#ifndef KIST_API_BASE64_H
#define KIST_API_BASE64_H

#include "base/bytes.h"

enum base64_alphabet {
    BASE64,     /* + and /, padded. */
    BASE64_URL, /* - and _, not padded. */
};

void base64_append(struct blob *out, struct view bytes,
                   enum base64_alphabet alphabet);

/*
 * Append what text means. False, and out as it was: not the one canonical
 * spelling of any bytes. Memory running out shows in out->failed.
 */
KIST_CHECKED bool base64_decode(struct view text, enum base64_alphabet alphabet,
                                struct blob *out);

#endif
