/*
 * A ring's bytes, as they are and with a right digest: what is decoded is a
 * ring without a fault, and encodes to the same bytes.
 */
#include "replication/ring_bytes.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DIGEST_SIZE = 8 };

static void try(struct view bytes)
{
    struct blob again = BLOB_EMPTY;
    struct ring *ring;

    if (ring_bytes_decode(bytes, &ring) != KIST_OK)
        return;
    assert(ring_fault(ring) == NULL);
    for (unsigned i = 0; i < ring->member_count; i++)
        assert(ring_find(ring, ring->members[i].name) == (int)i);
    ring_bytes_encode(ring, &again);
    assert(view_equal(blob_view(&again), bytes));
    blob_free(&again);
    ring_free(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view bytes = {(const char *)data, size};
    struct blob sealed = BLOB_EMPTY;

    try(bytes);
    if (size < DIGEST_SIZE)
        return 0;
    bytes.size -= DIGEST_SIZE;
    blob_append(&sealed, bytes);
    blob_append_u64(&sealed, XXH3_64bits(bytes.data, bytes.size));
    try(blob_view(&sealed));
    blob_free(&sealed);
    return 0;
}
