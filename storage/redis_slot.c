#include "storage/redis_slot.h"

#include <stdio.h>
#include <string.h>

/* The polynomial 0x1021 by whole bytes: x^12 + x^5 + 1 shifted into place. */
static uint16_t step(uint16_t crc, unsigned char byte)
{
    unsigned bits = (unsigned)(crc >> 8) ^ byte;

    bits ^= bits >> 4;
    return (uint16_t)((unsigned)(crc << 8) ^ (bits << 12) ^ (bits << 5) ^ bits);
}

uint16_t redis_slot_crc16(struct view bytes)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < bytes.size; i++)
        crc = step(crc, (unsigned char)bytes.data[i]);
    return crc;
}

/* An empty tag is none. */
static struct view hashed_part(struct view key)
{
    const char *open = key.size == 0 ? NULL : memchr(key.data, '{', key.size);
    struct view rest;
    const char *close;

    if (open == NULL)
        return key;
    rest = view_from(key, (size_t)(open - key.data) + 1);
    close = rest.size == 0 ? NULL : memchr(rest.data, '}', rest.size);
    if (close == NULL || close == rest.data)
        return key;
    return (struct view){rest.data, (size_t)(close - rest.data)};
}

uint16_t redis_slot(struct view key)
{
    return redis_slot_crc16(hashed_part(key)) % REDIS_SLOTS;
}

unsigned redis_slot_shard(struct view key)
{
    return redis_slot(key) / REDIS_SLOT_SHARD_SLOTS;
}

void redis_slot_find_tags(struct redis_slot_tags *out_tags)
{
    bool found[REDIS_SLOT_SHARDS] = {false};
    unsigned missing = REDIS_SLOT_SHARDS;

    for (uint32_t tag = 0; missing > 0; tag++) {
        char text[12];
        int size = snprintf(text, sizeof(text), "%u", tag);
        unsigned slot = redis_slot((struct view){text, (size_t)size});
        unsigned shard = slot / REDIS_SLOT_SHARD_SLOTS;

        if (slot % REDIS_SLOT_SHARD_SLOTS != 0 || found[shard])
            continue;
        out_tags->tags[shard] = tag;
        found[shard] = true;
        missing--;
    }
}
