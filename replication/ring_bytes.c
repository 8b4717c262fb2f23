#include "replication/ring_bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    FORMAT = 1,
    HEAD_SIZE = 24,
    MEMBER_HEAD_SIZE = 11,
    DIGEST_SIZE = 8,
};

static void encode_member(const struct ring_member *member, struct blob *out)
{
    blob_append_byte(out, (char)member->standing);
    blob_append_byte(out, (char)member->name.size);
    blob_append_byte(out, (char)member->address.size);
    blob_append_u64(out, member->incarnation);
    blob_append(out, member->name);
    blob_append(out, member->address);
}

static size_t table_count(const struct ring *ring)
{
    return (size_t)ring_partitions(ring) * ring->copies;
}

static void encode_table(const struct ring *ring, const uint16_t *table,
                         struct blob *out)
{
    for (size_t i = 0; i < table_count(ring); i++)
        blob_append_u16(out, table[i]);
}

void ring_bytes_encode(const struct ring *ring, struct blob *out)
{
    size_t start = out->size;
    struct view whole;

    assert(ring_fault(ring) == NULL);
    blob_append(out, VIEW_LITERAL("KR"));
    blob_append_byte(out, FORMAT);
    blob_append_byte(out, ring->next != NULL);
    blob_append_byte(out, (char)ring->bits);
    blob_append_byte(out, (char)ring->copies);
    blob_append_u16(out, (uint16_t)ring->member_count);
    blob_append_u64(out, ring->cluster);
    blob_append_u64(out, ring->epoch);
    for (unsigned i = 0; i < ring->member_count; i++)
        encode_member(&ring->members[i], out);
    encode_table(ring, ring->owners, out);
    if (ring->next != NULL)
        encode_table(ring, ring->next, out);
    if (out->failed)
        return;
    whole = view_from(blob_view(out), start);
    blob_append_u64(out, XXH3_64bits(whole.data, whole.size));
}

uint64_t ring_bytes_digest(struct view bytes)
{
    assert(bytes.size > HEAD_SIZE + DIGEST_SIZE);
    return read_u64(bytes.data + bytes.size - DIGEST_SIZE);
}

/* Whole and ours, as far as the head and the digest can tell. */
static bool is_sealed(struct view bytes)
{
    size_t size = bytes.size - DIGEST_SIZE;

    return bytes.size > HEAD_SIZE + DIGEST_SIZE &&
           memcmp(bytes.data, "KR", 2) == 0 && bytes.data[2] == FORMAT &&
           (unsigned char)bytes.data[3] <= 1 &&
           XXH3_64bits(bytes.data, size) == read_u64(bytes.data + size);
}

/* Take size bytes off the front of *rest. */
static bool take(struct view *rest, size_t size, struct view *out_part)
{
    if (rest->size < size)
        return false;
    *out_part = (struct view){rest->data, size};
    *rest = view_from(*rest, size);
    return true;
}

static bool decode_member(struct view *rest, struct ring_member *out_member)
{
    struct view head, name, address;

    if (!take(rest, MEMBER_HEAD_SIZE, &head) ||
        (unsigned char)head.data[0] > RING_LEAVING ||
        !take(rest, (unsigned char)head.data[1], &name) ||
        !take(rest, (unsigned char)head.data[2], &address))
        return false;
    *out_member = (struct ring_member){
        .name = name,
        .address = address,
        .incarnation = read_u64(head.data + 3),
        .standing = (enum ring_standing)head.data[0],
    };
    return true;
}

static bool decode_table(const struct ring *ring, struct view *rest,
                         uint16_t *table)
{
    struct view part;

    if (!take(rest, table_count(ring) * 2, &part))
        return false;
    for (size_t i = 0; i < table_count(ring); i++)
        table[i] = read_u16(part.data + 2 * i);
    return true;
}

/* shape->members has room for all that the head announces. */
static enum kist_status decode_body(struct ring *shape, bool pending,
                                    struct view rest, struct ring **out_ring)
{
    enum kist_status status;
    struct ring *ring;

    for (unsigned i = 0; i < shape->member_count; i++)
        if (!decode_member(&rest, &shape->members[i]))
            return KIST_CORRUPT;
    status = ring_new(shape, pending, &ring);
    if (status != KIST_OK)
        return status == KIST_INVALID ? KIST_CORRUPT : status;

    if (!decode_table(ring, &rest, ring->owners) ||
        (pending && !decode_table(ring, &rest, ring->next)) || rest.size != 0 ||
        ring_fault(ring) != NULL) {
        ring_free(ring);
        return KIST_CORRUPT;
    }
    *out_ring = ring;
    return KIST_OK;
}

enum kist_status ring_bytes_decode(struct view bytes, struct ring **out_ring)
{
    struct ring shape = {0};
    struct view rest;
    enum kist_status status;

    if (!is_sealed(bytes))
        return KIST_CORRUPT;
    shape.bits = (unsigned char)bytes.data[4];
    shape.copies = (unsigned char)bytes.data[5];
    shape.member_count = read_u16(bytes.data + 6);
    shape.cluster = read_u64(bytes.data + 8);
    shape.epoch = read_u64(bytes.data + 16);
    if (shape.member_count == 0 || shape.member_count > RING_MEMBERS_MAX)
        return KIST_CORRUPT;

    shape.members = calloc(shape.member_count, sizeof(*shape.members));
    if (shape.members == NULL)
        return KIST_NO_MEMORY;
    rest = view_from((struct view){bytes.data, bytes.size - DIGEST_SIZE},
                     HEAD_SIZE);
    status = decode_body(&shape, bytes.data[3] == 1, rest, out_ring);
    free(shape.members);
    return status;
}
