#include "storage/record.h"

#include "storage/large_reference.h"

#include <assert.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    FORMAT = 1,
    FLAG_TOMBSTONE = 1,
    FLAG_LARGE = 2,
    TYPE_SHIFT = 4,
    CHECKSUM_SIZE = 8,
};

bool record_is_dead(const struct record *record, uint64_t now_ms)
{
    return record->tombstone ||
           (record->expiry_ms != 0 && record->expiry_ms <= now_ms);
}

uint64_t record_value_size(const struct record *record)
{
    struct large_reference reference;
    enum kist_status status;

    if (!record->large)
        return record->value.size;
    status = large_reference_decode(record->value, &reference);
    assert(status == KIST_OK); /* Checked when it was decoded. */
    return reference.size;
}

static uint64_t checksum(struct view key, struct view bytes)
{
    uint64_t seed = XXH3_64bits(key.data, key.size);

    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

void record_encode(struct view key, const struct record *record,
                   struct blob *out)
{
    size_t start = out->size;
    unsigned flags = (unsigned)record->type << TYPE_SHIFT;

    assert(record->media_type.size <= RECORD_MEDIA_TYPE_MAX);
    assert(record->value.size <= UINT32_MAX);
    if (blob_reserve(out, RECORD_HEAD_SIZE + record->media_type.size +
                              record->value.size + CHECKSUM_SIZE) != KIST_OK)
        return;

    if (record->tombstone)
        flags |= FLAG_TOMBSTONE;
    if (record->large)
        flags |= FLAG_LARGE;
    blob_append_byte(out, FORMAT);
    blob_append_byte(out, (char)flags);
    blob_append_u16(out, (uint16_t)record->media_type.size);
    blob_append_u64(out, record->version.hlc);
    blob_append_u64(out, record->version.incarnation);
    blob_append_u64(out, record->expiry_ms);
    blob_append_u64(out, record->created_ms);
    blob_append_u32(out, (uint32_t)record->value.size);
    blob_append(out, record->media_type);
    blob_append(out, record->value);
    blob_append_u64(out, checksum(key, view_from(blob_view(out), start)));
}

/* A flag of a later format must not be read as if it were not there. */
static bool is_format_1(unsigned flags)
{
    unsigned low = flags & ((1u << TYPE_SHIFT) - 1);

    return (low & ~(unsigned)(FLAG_TOMBSTONE | FLAG_LARGE)) == 0 &&
           flags >> TYPE_SHIFT <= JSON_IS_NULL;
}

static bool is_reference(struct view value)
{
    struct large_reference reference;

    return large_reference_decode(value, &reference) == KIST_OK;
}

void record_trust(struct view bytes, struct record *out_record)
{
    const char *head = bytes.data;
    unsigned flags = (unsigned char)head[1];
    size_t media_size = read_u16(head + 2), value_size = read_u32(head + 36);

    *out_record = (struct record){
        .version = {read_u64(head + 4), read_u64(head + 12)},
        .expiry_ms = read_u64(head + 20),
        .created_ms = read_u64(head + 28),
        .type = (enum json_type)(flags >> TYPE_SHIFT),
        .tombstone = (flags & FLAG_TOMBSTONE) != 0,
        .large = (flags & FLAG_LARGE) != 0,
        .media_type = {head + RECORD_HEAD_SIZE, media_size},
        .value = {head + RECORD_HEAD_SIZE + media_size, value_size},
    };
}

enum kist_status record_decode(struct view key, struct view bytes,
                               struct record *out_record)
{
    const char *head = bytes.data;
    struct view value;
    size_t media_size, value_size, body_size;
    unsigned flags;

    if (bytes.size < RECORD_HEAD_SIZE + CHECKSUM_SIZE || head[0] != FORMAT)
        return KIST_CORRUPT;
    flags = (unsigned char)head[1];
    media_size = read_u16(head + 2);
    value_size = read_u32(head + 36);
    body_size = RECORD_HEAD_SIZE + media_size + value_size;
    if (bytes.size != body_size + CHECKSUM_SIZE || !is_format_1(flags) ||
        media_size > RECORD_MEDIA_TYPE_MAX)
        return KIST_CORRUPT;
    if (checksum(key, (struct view){head, body_size}) !=
        read_u64(head + body_size))
        return KIST_CORRUPT;
    value = (struct view){head + RECORD_HEAD_SIZE + media_size, value_size};
    if ((flags & FLAG_LARGE) != 0 && !is_reference(value))
        return KIST_CORRUPT;

    record_trust(bytes, out_record);
    return KIST_OK;
}
