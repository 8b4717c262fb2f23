/*
 * json_string - string literals as they are spelled, and what they mean.
 *
 * A literal is the text between two quotes, quotes included, of a document
 * that json_check() has passed. On other bytes the answers are meaningless,
 * yet nothing is read outside the view.
 *
 * Threads: no state.
 */
#ifndef KIST_API_JSON_STRING_H
#define KIST_API_JSON_STRING_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of a hexadecimal digit, -1 if it is none. */
int json_string_hex(char digit);

/* UTF-8 of a code point that is no surrogate: 1 to 4 bytes into utf8. */
size_t json_string_encode(uint32_t code, char utf8[4]);

/* Without the quotes; decoded already if there is no backslash in it. */
struct view json_string_inside(struct view literal);
bool json_string_has_escapes(struct view literal);

/* Append what it means. Failure sticks to the blob. */
void json_string_decode(struct view literal, struct blob *out);

/* As many bytes as decoding can give at most. */
size_t json_string_bound(struct view literal);

/* Decode into room for json_string_bound() bytes; gives the size. */
size_t json_string_decode_to(struct view literal, char *room);

/* Whether it means these bytes; nothing is allocated. */
bool json_string_means(struct view literal, struct view bytes);

/* Whether both mean the same. */
bool json_string_equal(struct view a, struct view b);

#endif
