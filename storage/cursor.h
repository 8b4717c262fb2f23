/*
 * cursor - a walk over the store's keys, forwards or backwards.
 *
 * A cursor sees the store as of its opening and holds off a reopen until it is
 * closed, by the thread that opened it: keep it for milliseconds and seek
 * again (storage/scan.h does that for listings).
 */
#ifndef KIST_STORAGE_CURSOR_H
#define KIST_STORAGE_CURSOR_H

#include "storage/store.h"

enum cursor_space {
    CURSOR_RECORDS,  /* Keys as clients know them. */
    CURSOR_EXPIRIES, /* 8 bytes of expiry, then the key. */
    CURSOR_LARGE,    /* Files of large values: LARGE_ID_SIZE bytes. */
    CURSOR_REPLICA,  /* Of storage/replica_index.h: hash, then key. */
};

struct cursor;

/* KIST_READ_ONLY: the engine is away. KIST_NO_MEMORY. */
KIST_CHECKED enum kist_status cursor_open(struct store *store,
                                          enum cursor_space space,
                                          struct cursor **out_cursor);
void cursor_close(struct cursor *cursor); /* NULL is ok. */

/* To the first key >= bound; to the last key < bound (empty: the last). */
void cursor_seek(struct cursor *cursor, struct view bound);
void cursor_seek_before(struct cursor *cursor, struct view bound);
void cursor_next(struct cursor *cursor);
void cursor_previous(struct cursor *cursor);

/* False at the end. *out_key is borrowed until the cursor moves. */
KIST_CHECKED bool cursor_key(const struct cursor *cursor, struct view *out_key);

/* The bytes here, borrowed alike: of CURSOR_LARGE the key that it is of. */
struct view cursor_value(const struct cursor *cursor);

/* The record here (CURSOR_RECORDS), borrowed alike; dead ones, too. */
KIST_CHECKED enum kist_status cursor_record(const struct cursor *cursor,
                                            struct record *out_record);

/* Why the walk ended: KIST_OK at the end. */
KIST_CHECKED enum kist_status cursor_error(const struct cursor *cursor);

#endif
