/*
 * wal_fragment - what LevelDB's logs are made of:
 *
 *     crc32c 4, masked | length 2 | type 1 | bytes        little-endian
 *
 * The type is summed together with the bytes, the length is not.
 */
#ifndef KIST_STORAGE_WAL_FRAGMENT_H
#define KIST_STORAGE_WAL_FRAGMENT_H

#include "base/bytes.h"
#include "storage/crc32c.h"

enum { WAL_FRAGMENT_HEAD = 7 }; /* Bytes in front of its own. */

enum wal_fragment_type {
    WAL_FRAGMENT_FULL = 1, /* A whole record. */
    WAL_FRAGMENT_FIRST = 2,
    WAL_FRAGMENT_MIDDLE = 3,
    WAL_FRAGMENT_LAST = 4,
};

struct wal_fragment {
    enum wal_fragment_type type;
    struct view bytes; /* Borrowed. */
};

/* As the head at this place says; all of it lies within bytes. */
size_t wal_fragment_length(struct view bytes, size_t at);

/* Whether so many bytes behind that head are what was summed. */
bool wal_fragment_has_sum(const struct crc32c *crc, struct view bytes,
                          size_t at, size_t length);

/* False if no intact one begins there. */
KIST_CHECKED bool wal_fragment_at(const struct crc32c *crc, struct view bytes,
                                  size_t at, struct wal_fragment *out_fragment);

#endif
