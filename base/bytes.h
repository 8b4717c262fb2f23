/*
 * bytes - who owns a run of bytes, said by its type.
 *
 * A view is somebody else's bytes and is never freed. A blob is ours, grows as
 * it is appended to, and ends in blob_free(). Appending cannot be checked at
 * every line and stay readable, so failure sticks: after a failed append the
 * blob is `failed`, later appends do nothing, and the writer checks once,
 * before the bytes are used. A hold is what keeps finished bytes in memory,
 * whoever else may hold them, too.
 */
#ifndef KIST_BASE_BYTES_H
#define KIST_BASE_BYTES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view {
    const char *data; /* Not terminated; may hold any byte. */
    size_t size;
};

#define VIEW_LITERAL(text) ((struct view){(text), sizeof(text) - 1})

struct view view_of(const char *text); /* Up to the terminator. */
bool view_equal(struct view a, struct view b);
int view_compare(struct view a, struct view b); /* By bytes, like memcmp. */
bool view_starts_with(struct view whole, struct view prefix);
bool view_is(struct view a, const char *text);
bool view_is_ignoring_case(struct view a, const char *text); /* ASCII only. */
struct view view_trim(struct view text); /* Without outer SP and HTAB. */
struct view view_from(struct view whole, size_t offset);

/*
 * Cuts the first part off a list with commas. False: there are no more; list
 * is {NULL, 0} after the last. An empty text is a list of one empty part.
 */
KIST_CHECKED bool view_cut_part(struct view *list, struct view *out_part);

/* Plain decimal digits only, no sign; false if not, or above UINT64_MAX. */
KIST_CHECKED bool view_to_u64(struct view text, uint64_t *out_number);

/* Strict UTF-8 (RFC 3629): no overlongs, no surrogates, at most U+10FFFF. */
bool view_is_utf8(struct view text);

struct blob {
    char *data;
    size_t size;
    size_t capacity;
    bool failed; /* Memory ran out in some append: the bytes are not whole. */
};

#define BLOB_EMPTY ((struct blob){0})

void blob_free(struct blob *blob);  /* Leaves it empty. Takes NULL. */
void blob_clear(struct blob *blob); /* Keeps the memory, forgets a failure. */
struct view blob_view(const struct blob *blob);

/* Room for size more bytes without another allocation. */
KIST_CHECKED enum kist_status blob_reserve(struct blob *blob, size_t size);

/* The same, but capacity bytes in all and no more, for who counts them. */
KIST_CHECKED enum kist_status blob_reserve_exactly(struct blob *blob,
                                                   size_t capacity);

void blob_append(struct blob *blob, struct view bytes);
void blob_append_text(struct blob *blob, const char *text);
void blob_append_byte(struct blob *blob, char byte);
void blob_printf(struct blob *blob, const char *format, ...) KIST_PRINTF(2, 3);

/*
 * A share in memory that is only read from now on: a blob's, all ours, or one
 * that others have as well. Ends in hold_release(); may be copied, but only
 * one copy is released.
 */
struct hold {
    void *memory; /* NULL: nothing is held. */
    size_t size;  /* Of the memory, which counts where memory is bounded. */
    void (*release)(void *memory); /* Any thread. */
};

#define HOLD_NOTHING ((struct hold){0})

struct hold hold_blob(struct blob *blob); /* Takes the memory. */
void hold_release(struct hold *hold);     /* Leaves it empty. */

/* Big-endian, so that bytewise order is numeric order. */
void blob_append_u16(struct blob *blob, uint16_t number);
void blob_append_u32(struct blob *blob, uint32_t number);
void blob_append_u64(struct blob *blob, uint64_t number);
uint16_t read_u16(const char *at);
uint32_t read_u32(const char *at);
uint64_t read_u64(const char *at);

/*
 * A JSON string literal with its quotes. Bytes that are not UTF-8 become
 * U+FFFD and control bytes are escaped, so the result is one valid line
 * whatever the client sent.
 */
void blob_append_json(struct blob *blob, struct view text);

#endif
