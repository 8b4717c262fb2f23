/*
 * large_reader - a large value read piece by piece, and checked at its end.
 *
 * Goes on when the value is replaced or deleted meanwhile.
 *
 * Threads: any, one at a time.
 */
#ifndef KIST_STORAGE_LARGE_READER_H
#define KIST_STORAGE_LARGE_READER_H

#include "storage/large.h"

struct large_reader;

/* As large_open_file(). Ended by large_reader_close(). KIST_NO_MEMORY. */
KIST_CHECKED enum kist_status
large_reader_open(struct large *large, const struct large_reference *reference,
                  struct large_reader **out_reader);
void large_reader_close(struct large_reader *reader); /* Takes NULL. */

/* Bytes that were not read yet. */
uint64_t large_reader_left(const struct large_reader *reader);

/*
 * Append the next size bytes, or what is left, to *out. KIST_CORRUPT: the file
 * has become shorter, or these were the last bytes and all of them are not what
 * was written. KIST_IO, KIST_NO_MEMORY. Blocks.
 */
KIST_CHECKED enum kist_status large_reader_next(struct large_reader *reader,
                                                size_t size, struct blob *out);

#endif
