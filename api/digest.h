/*
 * digest - checksums of a body or a value in headers (RFC 9530).
 *
 *     Content-Digest: sha-256=:<base64>:        what a message carries
 *     Repr-Digest: sha-256=:...:, sha-512=:...: what is stored
 *     Want-Repr-Digest: sha-256=10, sha-512=3   please tell; 0: not this one
 *
 * sha-256 and sha-512 are known, others are passed over. A PUT carries the
 * whole value without a coding, so both headers speak of the same bytes there.
 *
 * Threads: one digest belongs to one thread at a time.
 */
#ifndef KIST_API_DIGEST_H
#define KIST_API_DIGEST_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>

enum digest_algorithm {
    DIGEST_SHA_256,
    DIGEST_SHA_512,
    DIGEST_ALGORITHMS,
    DIGEST_NONE = DIGEST_ALGORITHMS,
};

/* Of bytes that come one after the other. */
struct digest;

/* Gives *out_digest, ended by digest_free(). KIST_NO_MEMORY. */
KIST_CHECKED enum kist_status digest_new(enum digest_algorithm algorithm,
                                         struct digest **out_digest);
void digest_add(struct digest *digest, struct view bytes);

/* "sha-256=:...:" of all that was added. Once, after the last byte. */
void digest_append_field(struct digest *digest, struct blob *out);
void digest_free(struct digest *digest); /* Takes NULL. */

/* The one that a Want- header prefers, or DIGEST_NONE. */
enum digest_algorithm digest_wanted(struct view header);

/* What the headers of a request say about its body, to be checked. */
struct digest_check;

/*
 * data NULL where a header is absent. *out_check stays NULL if nothing known
 * is said; else it is given, ended by digest_check_free(). KIST_INVALID: not
 * as RFC 9530 has it, or not of the algorithm's length. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status digest_check_new(struct view content_digest,
                                               struct view repr_digest,
                                               struct digest_check **out_check);
void digest_check_add(struct digest_check *check, struct view bytes);

/* After the last byte: is it what every one of them says? */
KIST_CHECKED bool digest_check_holds(struct digest_check *check);
void digest_check_free(struct digest_check *check); /* Takes NULL. */

#endif
