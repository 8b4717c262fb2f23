/*
 * ring_bytes - a ring as it is stored and sent.
 *
 * Format 1, all numbers big-endian:
 *
 *   0  "KR"          2  format (1)      3  1: a change is pending
 *   4  bits (1)      5  copies (1)      6  members (2)
 *   8  cluster (8)  16  epoch (8)      24  the members, by name:
 *      standing (1), name size (1), address size (1), incarnation (8),
 *      name, address
 *  ..  table: for each partition, copies numbers of members (2 each)
 *  ..  the table after the pending change, if there is one
 *  ..  digest (8): XXH3-64 of all before
 *
 * There is one encoding of a ring, so two rings are the same if and only if
 * their digests are (but for the chance of 64 bits).
 */
#ifndef KIST_REPLICATION_RING_BYTES_H
#define KIST_REPLICATION_RING_BYTES_H

#include "replication/ring.h"

/* Append the ring's bytes to *out (whose failure sticks). */
void ring_bytes_encode(const struct ring *ring, struct blob *out);

/* The digest at the end of a ring's bytes. */
uint64_t ring_bytes_digest(struct view bytes);

/*
 * The ring in bytes; the caller ends it with ring_free(). KIST_CORRUPT: the
 * digest, the format, a size or what the tables say is wrong. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status ring_bytes_decode(struct view bytes,
                                                struct ring **out_ring);

#endif
