#include "storage/large_reference.h"

#include <inttypes.h>
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

void large_reference_encode(const struct large_reference *reference,
                            struct blob *out)
{
    blob_append_u64(out, reference->boot);
    blob_append_u64(out, reference->serial);
    blob_append_u64(out, reference->size);
    blob_append_u64(out, reference->hash);
}

enum kist_status large_reference_decode(struct view bytes,
                                        struct large_reference *out)
{
    if (bytes.size != LARGE_REFERENCE_SIZE ||
        read_u64(bytes.data + 16) > INT64_MAX)
        return KIST_CORRUPT;
    *out = (struct large_reference){
        .boot = read_u64(bytes.data),
        .serial = read_u64(bytes.data + 8),
        .size = read_u64(bytes.data + 16),
        .hash = read_u64(bytes.data + 24),
    };
    return KIST_OK;
}

bool large_reference_same(const struct large_reference *a,
                          const struct large_reference *b)
{
    return a->boot == b->boot && a->serial == b->serial;
}

bool large_reference_fits(const struct large_reference *reference,
                          struct view bytes)
{
    return bytes.size == reference->size &&
           XXH3_64bits(bytes.data, bytes.size) == reference->hash;
}

void large_reference_name(const struct large_reference *reference,
                          char out_name[LARGE_NAME_SIZE + 1])
{
    snprintf(out_name, LARGE_NAME_SIZE + 1, "%016" PRIx64 "%016" PRIx64,
             reference->boot, reference->serial);
}

static bool read_hex(struct view digits, uint64_t *out_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < digits.size; i++) {
        char digit = digits.data[i];

        if (digit >= '0' && digit <= '9')
            number = number << 4 | (uint64_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            number = number << 4 | (uint64_t)(digit - 'a' + 10);
        else
            return false;
    }
    *out_number = number;
    return true;
}

bool large_reference_from_name(struct view name, struct large_reference *out)
{
    struct large_reference reference = {0};
    size_t half = LARGE_NAME_SIZE / 2;

    if (name.size != LARGE_NAME_SIZE ||
        !read_hex((struct view){name.data, half}, &reference.boot) ||
        !read_hex(view_from(name, half), &reference.serial))
        return false;
    *out = reference;
    return true;
}
