/*
 * record - the unit that is stored, and later replicated and backed up, always
 * verbatim: a value with its version, media type and expiry.
 *
 * Format 1, all numbers big-endian:
 *
 *   0  format (1)        1  flags           2  media type size (2)
 *   4  hlc (8)          12  incarnation (8) 20  expiry ms (8, 0: none)
 *  28  created ms (8)   36  value size (4)  40  media type, then value
 *  ..  checksum (8): XXH3-64 of all before, seeded with the key's XXH3-64
 *
 * Flags: 1 tombstone, 2 large, the upper four bits the JSON type. In a large
 * record a reference stands for the value (storage/large_reference.h).
 *
 * The key in the checksum means that a record found under a damaged key does
 * not pass for that key's value. tests/storage/test_record.c pins the bytes.
 */
#ifndef KIST_STORAGE_RECORD_H
#define KIST_STORAGE_RECORD_H

#include "base/bytes.h"
#include "base/json_type.h"
#include "storage/version.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_HEAD_SIZE      40
#define RECORD_MEDIA_TYPE_MAX 255

struct record {
    struct version version;
    uint64_t expiry_ms;  /* Absolute; 0: never. */
    uint64_t created_ms; /* When the key came to have a value. */
    enum json_type type; /* JSON_NONE: opaque bytes. */
    bool tombstone;      /* A deletion: no media type, no value. */
    bool large;          /* value is a reference to the file that has it. */
    struct view media_type;
    struct view value;
};

/* Expired, or a tombstone: to a reader there is no value. */
bool record_is_dead(const struct record *record, uint64_t now_ms);

/* Of the value itself, wherever it lies. */
uint64_t record_value_size(const struct record *record);

/* Append the record's bytes to *out (whose failure sticks). */
void record_encode(struct view key, const struct record *record,
                   struct blob *out);

/*
 * The record in bytes, which its views borrow; the value of a large one is a
 * reference that decodes. KIST_CORRUPT: the checksum, the key, the format or a
 * size is wrong.
 */
KIST_CHECKED enum kist_status record_decode(struct view key, struct view bytes,
                                            struct record *out_record);

/* The same of bytes that were checked before and lay in memory since. */
void record_trust(struct view bytes, struct record *out_record);

#endif
