#include "storage/wal_fragment.h"

size_t wal_fragment_length(struct view bytes, size_t at)
{
    const unsigned char *head = (const unsigned char *)bytes.data + at;

    return (size_t)head[4] | (size_t)head[5] << 8;
}

bool wal_fragment_has_sum(const struct crc32c *crc, struct view bytes,
                          size_t at, size_t length)
{
    const unsigned char *head = (const unsigned char *)bytes.data + at;
    uint32_t sum = (uint32_t)head[0] | (uint32_t)head[1] << 8 |
                   (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    struct view summed = {(const char *)head + 6, length + 1};

    return crc32c_masked(crc32c_of(crc, summed)) == sum;
}

bool wal_fragment_at(const struct crc32c *crc, struct view bytes, size_t at,
                     struct wal_fragment *out_fragment)
{
    size_t length;
    unsigned char type;

    if (bytes.size < WAL_FRAGMENT_HEAD || at > bytes.size - WAL_FRAGMENT_HEAD)
        return false;
    length = wal_fragment_length(bytes, at);
    type = (unsigned char)bytes.data[at + 6];
    if (type < WAL_FRAGMENT_FULL || type > WAL_FRAGMENT_LAST ||
        length > bytes.size - at - WAL_FRAGMENT_HEAD ||
        !wal_fragment_has_sum(crc, bytes, at, length))
        return false;
    *out_fragment = (struct wal_fragment){
        .type = (enum wal_fragment_type)type,
        .bytes = {bytes.data + at + WAL_FRAGMENT_HEAD, length},
    };
    return true;
}
