/*
 * far_value - a large value whose file is not on this node: read from other
 * owners of its key, a piece at a time.
 *
 * A client gets it as if it lay here. Each piece is asked for when the one
 * before it goes out, so a slow client costs no more than two of them, and if
 * an owner goes away the next piece comes from another one: a file never
 * changes. A value that is replaced meanwhile may be gone before its last
 * piece, which cuts the answer.
 *
 * Threads: the loop; what is marked so blocks, and belongs on the pool.
 */
#ifndef KIST_API_FAR_VALUE_H
#define KIST_API_FAR_VALUE_H

#include "api/request.h"
#include "storage/store.h"

#define FAR_VALUE_PIECE ((size_t)256 * 1024)

struct far_value;

/*
 * Gives *out_far, ended by far_value_free(). KIST_NOT_FOUND: there is nobody
 * else to ask. KIST_CORRUPT: the record is not large. KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status far_value_new(struct request *request,
                                            struct view key,
                                            const struct record *record,
                                            struct far_value **out_far);
void far_value_free(struct far_value *far); /* Takes NULL. Any thread. */

/*
 * Any piece of it. KIST_NOT_FOUND: no owner has the file. KIST_IO, KIST_BUSY,
 * KIST_NO_MEMORY. Blocks.
 */
KIST_CHECKED enum kist_status
far_value_read(struct far_value *far, uint64_t offset, size_t size, char *room);

/*
 * Bring the item's value into memory, as store_load() does, verified. Failures
 * as above; KIST_TOO_LARGE, KIST_CORRUPT. Blocks.
 */
KIST_CHECKED enum kist_status far_value_load(struct far_value *far,
                                             struct item *item, uint64_t limit);

/*
 * The first piece of count bytes from first on, which is what far_value_reply()
 * begins with: only then is it known that the value can be had. Blocks.
 */
KIST_CHECKED enum kist_status far_value_begin(struct far_value *far,
                                              uint64_t first, uint64_t count);

/* As reply_file(), after far_value_begin(). Takes far. */
void far_value_reply(struct request *request, unsigned code,
                     const char *media_type, struct far_value *far);

#endif
