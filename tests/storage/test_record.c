#include "storage/record.h"

#include "storage/large_reference.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { TYPE_BIT = 4, CHECKSUM_SIZE = 8 };

static const struct view key = VIEW_LITERAL("colour");

static struct record sample(void)
{
    return (struct record){
        .version = {0x0123456789abcdef, 0xfedcba9876543210},
        .expiry_ms = 7,
        .created_ms = 9,
        .type = JSON_IS_STRING,
        .media_type = VIEW_LITERAL("application/json"),
        .value = VIEW_LITERAL("\"red\""),
    };
}

/* Correct the checksum of bytes that were changed. */
static void seal(struct blob *bytes)
{
    uint64_t seed = XXH3_64bits(key.data, key.size);

    bytes->size -= CHECKSUM_SIZE;
    blob_append_u64(bytes,
                    XXH3_64bits_withSeed(bytes->data, bytes->size, seed));
}

/* Format 1 on disk: a change here is a new format number. */
Test(record, its_bytes_are_pinned)
{
    static const char head[] = "\x01\x30\x00\x10"
                               "\x01\x23\x45\x67\x89\xab\xcd\xef"
                               "\xfe\xdc\xba\x98\x76\x54\x32\x10"
                               "\0\0\0\0\0\0\0\x07"
                               "\0\0\0\0\0\0\0\x09"
                               "\0\0\0\x05"
                               "application/json\"red\"";
    struct record record = sample();
    struct blob bytes = BLOB_EMPTY;

    record_encode(key, &record, &bytes);
    cr_assert(eq(sz, bytes.size, sizeof(head) - 1 + 8));
    cr_assert(eq(int, memcmp(bytes.data, head, sizeof(head) - 1), 0));
    cr_assert(eq(u64, read_u64(bytes.data + sizeof(head) - 1),
                 UINT64_C(0x93834c19de30c8e8)));
    blob_free(&bytes);
}

/* "large" is format 1, too: the same head, and a reference for the value. */
Test(record, the_bytes_of_a_large_one_are_pinned)
{
    static const char reference[] = "\x01\x23\x45\x67\x89\xab\xcd\xef"
                                    "\0\0\0\0\0\0\0\x2a"
                                    "\0\0\0\x01\0\0\0\0"
                                    "\xfe\xdc\xba\x98\x76\x54\x32\x10";
    struct large_reference parts = {0x0123456789abcdef, 42, UINT64_C(1) << 32,
                                    0xfedcba9876543210};
    struct record record = sample(), decoded;
    struct blob value = BLOB_EMPTY, bytes = BLOB_EMPTY;

    large_reference_encode(&parts, &value);
    cr_assert(eq(sz, value.size, LARGE_REFERENCE_SIZE));
    cr_assert(eq(int, memcmp(value.data, reference, value.size), 0));

    record.large = true;
    record.value = blob_view(&value);
    record_encode(key, &record, &bytes);
    cr_expect(eq(int, bytes.data[1], 0x32));
    cr_expect(eq(u64, read_u64(bytes.data + bytes.size - CHECKSUM_SIZE),
                 UINT64_C(0x2b4a757c1dfdfe6f)));
    cr_assert(record_decode(key, blob_view(&bytes), &decoded) == KIST_OK);
    cr_expect(decoded.large);
    cr_expect(eq(u64, record_value_size(&decoded), UINT64_C(1) << 32));
    cr_expect(view_equal(decoded.value, blob_view(&value)));
    blob_free(&value);
    blob_free(&bytes);
}

Test(record, a_large_one_without_a_reference_is_corrupt)
{
    struct record record = sample(), decoded;
    struct blob value = BLOB_EMPTY, bytes = BLOB_EMPTY;

    record.large = true;
    record_encode(key, &record, &bytes);
    cr_expect(record_decode(key, blob_view(&bytes), &decoded) == KIST_CORRUPT,
              "five bytes");

    large_reference_encode(&(struct large_reference){.size = UINT64_MAX},
                           &value);
    record.value = blob_view(&value);
    blob_clear(&bytes);
    record_encode(key, &record, &bytes);
    cr_expect(record_decode(key, blob_view(&bytes), &decoded) == KIST_CORRUPT,
              "a size that no file has");
    blob_free(&value);
    blob_free(&bytes);
}

Test(record, the_name_of_a_large_value_reads_back_and_nothing_else_does)
{
    struct large_reference reference = {.boot = 0x0123456789abcdef,
                                        .serial = 255},
                           back;
    char name[LARGE_NAME_SIZE + 1];

    large_reference_name(&reference, name);
    cr_assert(eq(str, name, "0123456789abcdef00000000000000ff"));
    cr_assert(large_reference_from_name(view_of(name), &back));
    cr_expect(large_reference_same(&reference, &back));
    name[31] = 'F';
    cr_expect(not(large_reference_from_name(view_of(name), &back)));
    cr_expect(not(large_reference_from_name(VIEW_LITERAL("ballast"), &back)));
}

Test(record, what_was_encoded_is_decoded)
{
    struct record record = sample(), decoded;
    struct blob bytes = BLOB_EMPTY;

    record_encode(key, &record, &bytes);
    cr_assert(record_decode(key, blob_view(&bytes), &decoded) == KIST_OK);
    cr_expect(version_equal(decoded.version, record.version));
    cr_expect(eq(u64, decoded.expiry_ms, 7));
    cr_expect(eq(u64, decoded.created_ms, 9));
    cr_expect(eq(int, decoded.type, JSON_IS_STRING));
    cr_expect(view_equal(decoded.media_type, record.media_type));
    cr_expect(view_equal(decoded.value, record.value));
    blob_free(&bytes);
}

Test(record, every_flipped_bit_and_every_cut_is_noticed)
{
    struct record record = sample(), decoded;
    struct blob bytes = BLOB_EMPTY;

    record_encode(key, &record, &bytes);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        cr_expect(record_decode(key, blob_view(&bytes), &decoded) ==
                      KIST_CORRUPT,
                  "bit %zu", bit);
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t size = 0; size < bytes.size; size++)
        cr_expect(record_decode(key, (struct view){bytes.data, size},
                                &decoded) == KIST_CORRUPT,
                  "size %zu", size);
    blob_free(&bytes);
}

Test(record, under_another_key_it_is_corrupt)
{
    struct record record = sample(), decoded;
    struct blob bytes = BLOB_EMPTY;

    record_encode(key, &record, &bytes);
    cr_assert(record_decode(VIEW_LITERAL("color"), blob_view(&bytes),
                            &decoded) == KIST_CORRUPT);
    blob_free(&bytes);
}

Test(record, it_is_dead_from_its_expiry_on)
{
    struct record record = sample();

    cr_expect(not(record_is_dead(&record, 6)));
    cr_expect(record_is_dead(&record, 7));
    record.expiry_ms = 0;
    cr_expect(not(record_is_dead(&record, UINT64_MAX)));
    record.tombstone = true;
    cr_expect(record_is_dead(&record, 0));
}

Test(version, its_hex_form_reads_back_and_nothing_else_does)
{
    struct version version = {0x0123456789abcdef, 1}, back;
    char hex[VERSION_HEX_SIZE + 1];

    version_to_hex(version, hex);
    cr_assert(eq(str, hex, "0123456789abcdef0000000000000001"));
    cr_assert(version_from_hex(view_of(hex), &back));
    cr_assert(version_equal(version, back));

    cr_expect(not(version_from_hex(VIEW_LITERAL("0123"), &back)));
    hex[3] = 'G';
    cr_expect(not(version_from_hex(view_of(hex), &back)));
    hex[3] = 'A'; /* One spelling only, so that ETags compare as text. */
    cr_expect(not(version_from_hex(view_of(hex), &back)));
    cr_expect(not(version_from_hex(
        VIEW_LITERAL("00000000000000000000000000000000"), &back)));
}

/* A right checksum alone does not make bytes a record of format 1. */
Test(record, what_is_never_encoded_is_corrupt)
{
    struct record record = sample(), decoded;
    struct blob bytes = BLOB_EMPTY;

    record.type = (enum json_type)(JSON_IS_NULL + 1);
    record_encode(key, &record, &bytes);
    cr_expect(record_decode(key, blob_view(&bytes), &decoded) == KIST_CORRUPT,
              "an unknown type");
    blob_clear(&bytes);

    record = sample();
    record_encode(key, &record, &bytes);
    for (int bit = 1; bit < TYPE_BIT; bit++) {
        bytes.data[1] ^= (char)(1 << bit);
        seal(&bytes);
        cr_expect(record_decode(key, blob_view(&bytes), &decoded) ==
                      KIST_CORRUPT,
                  "flag %d", bit);
        bytes.data[1] ^= (char)(1 << bit);
    }
    seal(&bytes);
    cr_expect(record_decode(key, blob_view(&bytes), &decoded) == KIST_OK);
    blob_free(&bytes);
}

Test(record, a_media_type_longer_than_its_readers_expect_is_corrupt)
{
    struct record record = sample(), decoded;
    struct blob bytes = BLOB_EMPTY;
    char value[RECORD_MEDIA_TYPE_MAX + 1];

    memset(value, 'x', sizeof(value));
    record.media_type.size = 0;
    record.value = (struct view){value, sizeof(value)};
    record_encode(key, &record, &bytes);
    bytes.data[2] = 1; /* All of the value becomes media type. */
    bytes.data[3] = 0;
    memset(bytes.data + 36, 0, 4);
    seal(&bytes);
    cr_expect(record_decode(key, blob_view(&bytes), &decoded) == KIST_CORRUPT);
    blob_free(&bytes);
}
