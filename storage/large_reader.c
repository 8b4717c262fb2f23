#include "storage/large_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct large_reader {
    struct large_reference reference;
    int descriptor;
    uint64_t left;
    XXH3_state_t *hash; /* Of what was read. */
};

enum kist_status large_reader_open(struct large *large,
                                   const struct large_reference *reference,
                                   struct large_reader **out_reader)
{
    struct large_reader *reader = calloc(1, sizeof(*reader));
    enum kist_status status = KIST_NO_MEMORY;

    if (reader == NULL)
        return KIST_NO_MEMORY;
    reader->reference = *reference;
    reader->left = reference->size;
    reader->descriptor = -1;
    reader->hash = XXH3_createState();
    if (reader->hash != NULL)
        status = large_open_file(large, reference, &reader->descriptor);
    if (status != KIST_OK) {
        large_reader_close(reader);
        return status;
    }
    XXH3_64bits_reset(reader->hash);
    *out_reader = reader;
    return KIST_OK;
}

void large_reader_close(struct large_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->descriptor >= 0)
        close(reader->descriptor);
    XXH3_freeState(reader->hash);
    free(reader);
}

uint64_t large_reader_left(const struct large_reader *reader)
{
    return reader->left;
}

static enum kist_status read_all(struct large_reader *reader, char *into,
                                 size_t size)
{
    while (size > 0) {
        ssize_t got = read(reader->descriptor, into, size);

        if (got == 0)
            return KIST_CORRUPT;
        if (got < 0 && errno != EINTR)
            return KIST_IO;
        if (got > 0) {
            into += got;
            size -= (size_t)got;
        }
    }
    return KIST_OK;
}

enum kist_status large_reader_next(struct large_reader *reader, size_t size,
                                   struct blob *out)
{
    enum kist_status status;
    char *into;

    if (size > reader->left)
        size = (size_t)reader->left;
    if (blob_reserve(out, size) != KIST_OK)
        return KIST_NO_MEMORY;
    into = out->data + out->size;
    status = read_all(reader, into, size);
    if (status != KIST_OK)
        return status;
    XXH3_64bits_update(reader->hash, into, size);
    reader->left -= size;
    if (reader->left == 0 &&
        XXH3_64bits_digest(reader->hash) != reader->reference.hash)
        return KIST_CORRUPT;
    out->size += size;
    return KIST_OK;
}
