/*
 * A key, a NUL, the bytes of a record: what is decoded is encoded to the same
 * bytes. They are tried as they are, and with a right checksum, which no
 * mutation would ever find.
 */
#include "storage/record.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CHECKSUM_SIZE = 8 };

static enum kist_status try(struct view key, struct view bytes)
{
    struct blob again = BLOB_EMPTY;
    struct record record;
    enum kist_status status = record_decode(key, bytes, &record);

    if (status != KIST_OK) {
        assert(status == KIST_CORRUPT);
        return status;
    }
    assert(record.media_type.size <= RECORD_MEDIA_TYPE_MAX);
    assert(json_type_name(record.type) != NULL);
    (void)record_is_dead(&record, 1);
    record_encode(key, &record, &again);
    assert(view_equal(blob_view(&again), bytes));
    blob_free(&again);
    return KIST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view bytes = {(const char *)data, size};
    struct view key = fuzz_cut(&bytes);
    struct blob sealed = BLOB_EMPTY;
    uint64_t seed = XXH3_64bits(key.data, key.size);

    enum kist_status status = try(key, bytes);
    if (bytes.size < CHECKSUM_SIZE)
        return 0;
    bytes.size -= CHECKSUM_SIZE;
    blob_append(&sealed, bytes);
    blob_append_u64(&sealed,
                    XXH3_64bits_withSeed(bytes.data, bytes.size, seed));
    enum kist_status sealed_status = try(key, blob_view(&sealed));
    assert(status != KIST_OK || sealed_status == KIST_OK);
    blob_free(&sealed);
    return 0;
}
