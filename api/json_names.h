/*
 * json_names - the member names of all objects that are open in a parse.
 *
 * Objects nest, so names come and go like a stack: the bytes of all names lie
 * back to back in one blob, closing an object drops its names from the end.
 * One hash table finds a name of the innermost object. Its slots are emptied
 * in the reverse order of filling, therefore linear probing needs no markers
 * for deleted entries. Equal hashes are settled by comparing bytes, and the
 * hash is keyed, so nobody can prepare names that collide.
 *
 * Memory: the names of the open objects and 32 bytes for each.
 *
 * Threads: one set belongs to one thread at a time.
 */
#ifndef KIST_API_JSON_NAMES_H
#define KIST_API_JSON_NAMES_H

#include "base/bytes.h"
#include "base/siphash.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct json_names_entry {
    uint64_t hash;
    size_t end; /* In bytes; it starts where its predecessor ends. */
};

struct json_names {
    struct blob bytes; /* Finished names, then the one being read. */
    struct json_names_entry *entries;
    size_t count;
    size_t capacity;
    uint32_t *slots; /* An entry's index + 1; 0: empty. */
    size_t nslots;   /* A power of two, at least twice the count; or 0. */
    struct siphash_key key;
};

void json_names_init(struct json_names *names);
void json_names_clear(struct json_names *names);

/* Add decoded bytes to the name being read. Failure shows at its end. */
void json_names_append(struct json_names *names, struct view part);

/*
 * The name being read is complete and belongs to the object whose first name
 * is, or will be, entry number first. KIST_CONFLICT: this object has it
 * already. KIST_NO_MEMORY. After a failure only json_names_clear() may follow.
 */
KIST_CHECKED enum kist_status json_names_finish(struct json_names *names,
                                                size_t first);

/* The innermost object, whose first name is entry number first, is closed. */
void json_names_drop(struct json_names *names, size_t first);

#endif
