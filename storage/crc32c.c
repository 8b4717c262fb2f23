#include "storage/crc32c.h"

static const uint32_t reversed_polynomial = 0x82F63B78;

static uint32_t of_one_byte(uint32_t byte)
{
    for (int bit = 0; bit < 8; bit++)
        byte = byte >> 1 ^ (byte & 1 ? reversed_polynomial : 0);
    return byte;
}

void crc32c_init(struct crc32c *crc)
{
    for (uint32_t byte = 0; byte < 256; byte++)
        crc->table[0][byte] = of_one_byte(byte);
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int ahead = 1; ahead < 8; ahead++) {
            uint32_t before = crc->table[ahead - 1][byte];

            crc->table[ahead][byte] =
                before >> 8 ^ crc->table[0][before & 0xFF];
        }
}

static uint32_t read_little_u32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
           (uint32_t)at[3] << 24;
}

uint32_t crc32c_of(const struct crc32c *crc, struct view bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    const uint32_t(*table)[256] = crc->table;
    size_t left = bytes.size;
    uint32_t sum = ~0u;

    for (; left >= 8; left -= 8, at += 8) {
        uint32_t low = sum ^ read_little_u32(at);
        uint32_t high = read_little_u32(at + 4);

        sum = table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^
              table[5][low >> 16 & 0xFF] ^ table[4][low >> 24] ^
              table[3][high & 0xFF] ^ table[2][high >> 8 & 0xFF] ^
              table[1][high >> 16 & 0xFF] ^ table[0][high >> 24];
    }
    for (; left > 0; left--, at++)
        sum = sum >> 8 ^ table[0][(sum ^ *at) & 0xFF];
    return ~sum;
}

uint32_t crc32c_masked(uint32_t sum)
{
    return (sum >> 15 | sum << 17) + 0xA282EAD8u;
}
