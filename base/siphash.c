#include "base/siphash.h"

#include <string.h>
#include <sys/auxv.h>

struct state {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void mix(struct state *s)
{
    s->a += s->b;
    s->b = rotate(s->b, 13) ^ s->a;
    s->a = rotate(s->a, 32);
    s->c += s->d;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = rotate(s->b, 17) ^ s->c;
    s->c = rotate(s->c, 32);
}

/* Little-endian words on every machine: the published vectors then hold. */
static uint64_t read_word(const char *at, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++)
        word |= (uint64_t)(unsigned char)at[i] << (8 * i);
    return word;
}

uint64_t siphash(struct siphash_key key, struct view bytes)
{
    struct state s = {
        key.low ^ 0x736F6D6570736575,
        key.high ^ 0x646F72616E646F6D,
        key.low ^ 0x6C7967656E657261,
        key.high ^ 0x7465646279746573,
    };
    uint64_t last = (uint64_t)bytes.size << 56;

    for (; bytes.size >= 8; bytes = view_from(bytes, 8)) {
        uint64_t word = read_word(bytes.data, 8);

        s.d ^= word;
        mix(&s);
        s.a ^= word;
    }
    last |= read_word(bytes.data, bytes.size);
    s.d ^= last;
    mix(&s);
    s.a ^= last;

    s.c ^= 0xFF;
    for (unsigned round = 0; round < 3; round++)
        mix(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

/*
 * The kernel hands 16 random bytes to every process; libc takes its stack
 * guard from them, so they are only used hashed. No state, no system call.
 */
struct siphash_key siphash_process_key(void)
{
    const char *random = (const char *)(uintptr_t)getauxval(AT_RANDOM);
    struct siphash_key plain = {0}, key;

    if (random != NULL)
        memcpy(&plain, random, sizeof(plain));
    key.low = siphash(plain, VIEW_LITERAL("kist names low"));
    key.high = siphash(plain, VIEW_LITERAL("kist names high"));
    return key;
}
