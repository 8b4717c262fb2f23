/*
 * version - which of two records is newer: hybrid logical time, then the node.
 *
 * hlc is 48 bits of milliseconds and a 16-bit counter; incarnation is drawn
 * when a data directory is created and breaks ties between nodes.
 * Source: Kulkarni et al., "Logical Physical Clocks", 2014.
 */
#ifndef KIST_STORAGE_VERSION_H
#define KIST_STORAGE_VERSION_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct version {
    uint64_t hlc;
    uint64_t incarnation;
};

#define VERSION_NONE     ((struct version){0, 0}) /* Of no record. */
#define VERSION_HEX_SIZE 32

bool version_is_none(struct version version);
bool version_equal(struct version a, struct version b);
int version_compare(struct version a, struct version b);
uint64_t version_ms(struct version version); /* Milliseconds since 1970. */

/* VERSION_HEX_SIZE lower-case digits and a terminator. */
void version_to_hex(struct version version, char out_hex[VERSION_HEX_SIZE + 1]);

/* Exactly what version_to_hex writes; false for anything else, and for none. */
KIST_CHECKED bool version_from_hex(struct view hex, struct version *out);

#endif
