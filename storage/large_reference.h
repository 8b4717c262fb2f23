/*
 * large_reference - what a record holds instead of a large value: which file
 * has it, how long it is, and what it must hash to.
 *
 *   0  boot (8)   8  serial (8)   16  size (8)   24  XXH3-64 of the value (8)
 *
 * Boot and serial name the file, as 32 hex digits: a random number of the
 * process that wrote it, and a count. A name says nothing about key or value.
 */
#ifndef KIST_STORAGE_LARGE_REFERENCE_H
#define KIST_STORAGE_LARGE_REFERENCE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LARGE_REFERENCE_SIZE = 32,
    LARGE_ID_SIZE = 16, /* Boot and serial: how a reference begins. */
    LARGE_NAME_SIZE = 32,
};

struct large_reference {
    uint64_t boot, serial;
    uint64_t size, hash;
};

/* Append the reference's bytes to *out (whose failure sticks). */
void large_reference_encode(const struct large_reference *reference,
                            struct blob *out);

/* KIST_CORRUPT: not LARGE_REFERENCE_SIZE bytes, or no file is that large. */
KIST_CHECKED enum kist_status
large_reference_decode(struct view bytes, struct large_reference *out);

/* The same file: versions of a record may share it. */
bool large_reference_same(const struct large_reference *a,
                          const struct large_reference *b);

/* Whether these are the bytes of the value. */
bool large_reference_fits(const struct large_reference *reference,
                          struct view bytes);

/* Digits and a terminator; and back, exactly what was written. */
void large_reference_name(const struct large_reference *reference,
                          char out_name[LARGE_NAME_SIZE + 1]);
KIST_CHECKED bool large_reference_from_name(struct view name,
                                            struct large_reference *out);

#endif
