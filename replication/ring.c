#include "replication/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* More than the largest ring takes. */
#define MEMORY_MAX (16u << 20)

const char *ring_standing_name(enum ring_standing standing)
{
    switch (standing) {
    case RING_STEADY:
        return "steady";
    case RING_JOINING:
        return "joining";
    case RING_LEAVING:
        return "leaving";
    }
    assert(false);
    return "";
}

uint64_t ring_hash(struct view key)
{
    return key_hash(key);
}

static bool shape_is_valid(const struct ring *shape)
{
    if (shape->bits > RING_BITS_MAX || shape->copies == 0 ||
        shape->copies > RING_COPIES_MAX ||
        shape->member_count > RING_MEMBERS_MAX ||
        shape->member_count < shape->copies)
        return false;

    for (unsigned i = 0; i < shape->member_count; i++) {
        const struct ring_member *member = &shape->members[i];

        if (member->name.size == 0 || member->name.size > RING_NAME_MAX ||
            member->address.size > RING_ADDRESS_MAX)
            return false;
        if (i > 0 && view_compare(member[-1].name, member->name) >= 0)
            return false;
    }
    return true;
}

static enum kist_status copy_members(struct ring *ring,
                                     const struct ring *shape)
{
    enum kist_status status;
    void *piece;

    status = arena_take(&ring->memory,
                        shape->member_count * sizeof(*ring->members), &piece);
    ring->members = piece;
    for (unsigned i = 0; status == KIST_OK && i < shape->member_count; i++) {
        struct ring_member *member = &ring->members[i];

        *member = shape->members[i];
        status = arena_copy(&ring->memory, member->name, &member->name);
        if (status == KIST_OK)
            status =
                arena_copy(&ring->memory, member->address, &member->address);
    }
    return status;
}

static enum kist_status make_table(struct ring *ring, uint16_t **out_table)
{
    size_t size = ring_partitions(ring) * ring->copies * sizeof(**out_table);
    void *piece;
    enum kist_status status = arena_take(&ring->memory, size, &piece);

    if (status != KIST_OK)
        return status;
    memset(piece, 0xFF, size);
    *out_table = piece;
    return KIST_OK;
}

enum kist_status ring_new(const struct ring *shape, bool pending,
                          struct ring **out_ring)
{
    enum kist_status status;
    struct ring *ring;

    if (!shape_is_valid(shape))
        return KIST_INVALID;
    ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return KIST_NO_MEMORY;
    *ring = (struct ring){
        .cluster = shape->cluster,
        .epoch = shape->epoch,
        .bits = shape->bits,
        .copies = shape->copies,
        .member_count = shape->member_count,
    };
    atomic_init(&ring->shares, 1);
    arena_init(&ring->memory, MEMORY_MAX);

    status = copy_members(ring, shape);
    if (status == KIST_OK)
        status = make_table(ring, &ring->owners);
    if (status == KIST_OK && pending)
        status = make_table(ring, &ring->next);
    if (status != KIST_OK) {
        ring_free(ring);
        return status;
    }
    *out_ring = ring;
    return KIST_OK;
}

/* What a ring says is never changed; who holds it is. */
static struct ring *writable(const struct ring *ring)
{
    return (struct ring *)(uintptr_t)ring;
}

const struct ring *ring_share(const struct ring *ring)
{
    atomic_fetch_add_explicit(&writable(ring)->shares, 1, memory_order_relaxed);
    return ring;
}

void ring_free(const struct ring *ring)
{
    struct ring *ours = ring != NULL ? writable(ring) : NULL;

    if (ours == NULL ||
        atomic_fetch_sub_explicit(&ours->shares, 1, memory_order_acq_rel) > 1)
        return;
    arena_clear(&ours->memory);
    free(ours);
}

unsigned ring_partitions(const struct ring *ring)
{
    return 1u << ring->bits;
}

unsigned ring_partition_of(const struct ring *ring, struct view key)
{
    return key_hash_partition(key_hash(key), ring->bits);
}

unsigned ring_leaf_of(const struct ring *ring, struct view key)
{
    return key_hash_leaf(key_hash(key), ring->bits);
}

const uint16_t *ring_owners_of(const struct ring *ring, unsigned partition)
{
    assert(partition < ring_partitions(ring));
    return ring->owners + (size_t)partition * ring->copies;
}

const uint16_t *ring_next_of(const struct ring *ring, unsigned partition)
{
    assert(partition < ring_partitions(ring));
    if (ring->next == NULL)
        return ring_owners_of(ring, partition);
    return ring->next + (size_t)partition * ring->copies;
}

int ring_find(const struct ring *ring, struct view name)
{
    unsigned low = 0, high = ring->member_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = view_compare(ring->members[middle].name, name);

        if (order == 0)
            return (int)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

int ring_find_incarnation(const struct ring *ring, uint64_t incarnation)
{
    if (incarnation == 0)
        return -1;
    for (unsigned i = 0; i < ring->member_count; i++)
        if (ring->members[i].incarnation == incarnation)
            return (int)i;
    return -1;
}

unsigned ring_rows_of(const struct ring *ring, unsigned partition, unsigned n,
                      uint64_t incarnation)
{
    const uint16_t *now = ring_owners_of(ring, partition);
    const uint16_t *next = ring_next_of(ring, partition);
    unsigned rows = 0;

    for (unsigned i = 0; i < n; i++) {
        if (ring->members[now[i]].incarnation == incarnation)
            rows |= RING_NOW;
        if (ring->members[next[i]].incarnation == incarnation)
            rows |= RING_NEXT;
    }
    return rows;
}

bool ring_is_owner(const struct ring *ring, unsigned partition,
                   uint64_t incarnation)
{
    return ring_rows_of(ring, partition, ring->copies, incarnation) != 0;
}

/* Owners that exist, are different, and may stand in this table. */
static const char *owners_fault(const struct ring *ring, const uint16_t *owners,
                                enum ring_standing absent)
{
    for (unsigned i = 0; i < ring->copies; i++) {
        if (owners[i] >= ring->member_count)
            return "an owner is no member";
        if (ring->members[owners[i]].standing == absent)
            return "an owner is not there any more, or not yet";
        for (unsigned j = 0; j < i; j++)
            if (owners[i] == owners[j])
                return "one member is two owners of a partition";
    }
    return NULL;
}

static const char *change_fault(const struct ring *ring, unsigned partition)
{
    const uint16_t *now = ring_owners_of(ring, partition);
    const uint16_t *next = ring_next_of(ring, partition);
    unsigned changed = 0;

    for (unsigned i = 0; i < ring->copies; i++)
        changed += now[i] != next[i];
    return changed > 1 ? "a change replaces two owners of a partition" : NULL;
}

const char *ring_fault(const struct ring *ring)
{
    const char *fault = NULL;

    for (unsigned i = 0; i < ring->member_count; i++)
        if (ring->next == NULL && ring->members[i].standing != RING_STEADY)
            return "a member comes or goes without a pending change";
    for (unsigned p = 0; fault == NULL && p < ring_partitions(ring); p++) {
        fault = owners_fault(ring, ring_owners_of(ring, p), RING_JOINING);
        if (fault == NULL)
            fault = change_fault(ring, p);
        if (fault == NULL && ring->next != NULL)
            fault = owners_fault(ring, ring_next_of(ring, p), RING_LEAVING);
    }
    return fault;
}
