/*
 * Loads are counted in partitions. Everything that needs a choice takes the
 * member with the least load, and among equals the one whose name mixes with
 * the partition's number to the smallest hash: so that a member shares its
 * partitions with many others, and not always with the same few.
 */
#include "replication/ring_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct claim {
    struct ring *ring;
    uint16_t *table; /* The one of its two that is being made. */
    unsigned *load;  /* Partitions of each member in table. */
    uint64_t *names; /* A hash of each member's name. */
};

static void claim_free(struct claim *claim)
{
    free(claim->load);
    free(claim->names);
}

static size_t table_count(const struct ring *ring)
{
    return (size_t)ring_partitions(ring) * ring->copies;
}

/* Counts the loads of a table that is filled in; free on failure, too. */
static enum kist_status claim_begin(struct claim *claim, struct ring *ring,
                                    uint16_t *table)
{
    *claim = (struct claim){ring, table, NULL, NULL};
    claim->load = calloc(ring->member_count, sizeof(*claim->load));
    claim->names = calloc(ring->member_count, sizeof(*claim->names));
    if (claim->load == NULL || claim->names == NULL)
        return KIST_NO_MEMORY;

    for (unsigned i = 0; i < ring->member_count; i++)
        claim->names[i] = ring_hash(ring->members[i].name);
    for (size_t i = 0; i < table_count(ring); i++)
        if (table[i] < ring->member_count)
            claim->load[table[i]]++;
    return KIST_OK;
}

/* splitmix64's last steps: near numbers come far apart. */
static uint64_t mix(uint64_t name, uint64_t partition)
{
    uint64_t x = name ^ (partition + 1) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint16_t *row_of(const struct claim *claim, unsigned partition)
{
    return claim->table + (size_t)partition * claim->ring->copies;
}

static int place_in(const struct claim *claim, unsigned partition,
                    unsigned member)
{
    const uint16_t *row = row_of(claim, partition);

    for (unsigned i = 0; i < claim->ring->copies; i++)
        if (row[i] == member)
            return (int)i;
    return -1;
}

static void put(struct claim *claim, unsigned partition, unsigned place,
                unsigned member)
{
    uint16_t *row = row_of(claim, partition);

    if (row[place] < claim->ring->member_count)
        claim->load[row[place]]--;
    row[place] = (uint16_t)member;
    claim->load[member]++;
}

/* The least loaded member that stays and does not own the partition yet. */
static unsigned least_loaded(const struct claim *claim, unsigned partition)
{
    const struct ring *ring = claim->ring;
    unsigned best = ring->member_count;
    uint64_t best_hash = 0;

    for (unsigned i = 0; i < ring->member_count; i++) {
        uint64_t hash = mix(claim->names[i], partition);

        if (best < ring->member_count &&
            (claim->load[i] > claim->load[best] ||
             (claim->load[i] == claim->load[best] && hash >= best_hash)))
            continue;
        if (ring->members[i].standing == RING_LEAVING ||
            place_in(claim, partition, i) >= 0)
            continue;
        best = i;
        best_hash = hash;
    }
    assert(best < ring->member_count); /* There are enough members. */
    return best;
}

/* Who comes first is asked first: every member for its share of them. */
static void order_row(const struct claim *claim, unsigned partition)
{
    uint16_t *row = row_of(claim, partition);

    for (unsigned i = 1; i < claim->ring->copies; i++)
        for (unsigned j = i; j > 0; j--) {
            uint16_t member = row[j];

            if (mix(claim->names[row[j - 1]], partition) <=
                mix(claim->names[member], partition))
                break;
            row[j] = row[j - 1];
            row[j - 1] = member;
        }
}

static void fill(struct claim *claim)
{
    for (unsigned p = 0; p < ring_partitions(claim->ring); p++) {
        for (unsigned i = 0; i < claim->ring->copies; i++)
            put(claim, p, i, least_loaded(claim, p));
        order_row(claim, p);
    }
}

static int by_name(const void *a, const void *b)
{
    return view_compare(((const struct ring_member *)a)->name,
                        ((const struct ring_member *)b)->name);
}

/* shape's own members, in order. Takes them. */
static enum kist_status create(struct ring *shape, struct ring **out_ring)
{
    struct claim claim = {0};
    struct ring *ring;
    enum kist_status status;

    qsort(shape->members, shape->member_count, sizeof(*shape->members),
          by_name);
    status = ring_new(shape, false, &ring);
    free(shape->members);
    if (status != KIST_OK)
        return status;

    status = claim_begin(&claim, ring, ring->owners);
    if (status == KIST_OK)
        fill(&claim);
    claim_free(&claim);
    if (status != KIST_OK) {
        ring_free(ring);
        return status;
    }
    assert(ring_fault(ring) == NULL);
    *out_ring = ring;
    return KIST_OK;
}

enum kist_status ring_plan_create(const struct ring *shape,
                                  struct ring **out_ring)
{
    size_t size = shape->member_count * sizeof(*shape->members);
    struct ring own = *shape;

    if (shape->member_count == 0)
        return KIST_INVALID;
    own.epoch = 1;
    own.members = malloc(size);
    if (own.members == NULL)
        return KIST_NO_MEMORY;
    memcpy(own.members, shape->members, size);
    return create(&own, out_ring);
}

/*
 * Take from whoever has more than enough, in an order of the partitions that
 * only who joins has, until `wanted` of them are taken.
 */
static unsigned take_from_rich(struct claim *claim, unsigned joining,
                               unsigned enough, unsigned wanted)
{
    unsigned partitions = ring_partitions(claim->ring), taken = 0;
    unsigned start = (unsigned)claim->names[joining];

    for (unsigned i = 0; i < partitions && taken < wanted; i++) {
        /* An odd step visits each of 2^bits partitions once. */
        unsigned p = (start + i * 0x9e3779b1u) & (partitions - 1);
        const uint16_t *row = row_of(claim, p);
        unsigned richest = 0;

        if (place_in(claim, p, joining) >= 0)
            continue;
        for (unsigned j = 1; j < claim->ring->copies; j++)
            if (claim->load[row[j]] > claim->load[row[richest]])
                richest = j;
        if (claim->load[row[richest]] <= enough)
            continue;
        put(claim, p, richest, joining);
        taken++;
    }
    return taken;
}

static void join(struct claim *claim, unsigned joining)
{
    size_t slots = table_count(claim->ring);
    unsigned share = (unsigned)(slots / claim->ring->member_count);
    unsigned left = share;

    /* The fair share of all, rounded up, is the least that anybody keeps. */
    left -= take_from_rich(claim, joining, share + 1, left);
    take_from_rich(claim, joining, share, left);
}

static void leave(struct claim *claim, unsigned leaving)
{
    for (unsigned p = 0; p < ring_partitions(claim->ring); p++) {
        int place = place_in(claim, p, leaving);

        if (place >= 0)
            put(claim, p, (unsigned)place, least_loaded(claim, p));
    }
}

static void replace(struct claim *claim, unsigned leaving, unsigned joining)
{
    for (unsigned p = 0; p < ring_partitions(claim->ring); p++) {
        int place = place_in(claim, p, leaving);

        if (place >= 0)
            put(claim, p, (unsigned)place, joining);
    }
}

/* Members have other numbers in another ring; their names stay. */
static void copy_table(const struct ring *from, const uint16_t *table,
                       const struct ring *to, uint16_t *out_table)
{
    for (size_t i = 0; i < table_count(from); i++) {
        int member = ring_find(to, from->members[table[i]].name);

        assert(member >= 0);
        out_table[i] = (uint16_t)member;
    }
}

static enum kist_status move(struct ring *ring, struct view leaving,
                             const struct ring_member *joining)
{
    struct claim claim;
    enum kist_status status = claim_begin(&claim, ring, ring->next);
    int from = ring_find(ring, leaving);
    int to = joining != NULL ? ring_find(ring, joining->name) : -1;

    if (status == KIST_OK) {
        if (from >= 0 && to >= 0)
            replace(&claim, (unsigned)from, (unsigned)to);
        else if (to >= 0)
            join(&claim, (unsigned)to);
        else
            leave(&claim, (unsigned)from);
    }
    claim_free(&claim);
    return status;
}

/* shape->members has room for one more. */
static void add_member(struct ring *shape, const struct ring_member *joining)
{
    unsigned at = shape->member_count++;

    while (at > 0 &&
           view_compare(shape->members[at - 1].name, joining->name) > 0) {
        shape->members[at] = shape->members[at - 1];
        at--;
    }
    shape->members[at] = *joining;
    shape->members[at].standing = RING_JOINING;
}

static enum kist_status change_members(const struct ring *ring,
                                       const struct ring_change *change,
                                       struct ring *shape)
{
    unsigned left = ring->member_count;
    int leaving = ring_find(ring, change->leaving);

    if (change->leaving.size > 0) {
        if (leaving < 0)
            return KIST_INVALID;
        shape->members[leaving].standing = RING_LEAVING;
        left--;
    }
    if (change->joining != NULL) {
        add_member(shape, change->joining);
        left++;
    } else if (change->leaving.size == 0) {
        return KIST_INVALID;
    }
    return left < ring->copies ? KIST_INVALID : KIST_OK;
}

static enum kist_status plan(const struct ring *ring,
                             const struct ring_change *change,
                             struct ring *shape, struct ring **out_ring)
{
    enum kist_status status = change_members(ring, change, shape);
    struct ring *planned;

    if (status == KIST_OK)
        status = ring_new(shape, true, &planned);
    if (status != KIST_OK)
        return status;
    copy_table(ring, ring->owners, planned, planned->owners);
    copy_table(ring, ring->owners, planned, planned->next);
    status = move(planned, change->leaving, change->joining);
    if (status != KIST_OK) {
        ring_free(planned);
        return status;
    }
    assert(ring_fault(planned) == NULL);
    *out_ring = planned;
    return KIST_OK;
}

/*
 * What ring_new() takes for the ring after this one, whose members are the
 * caller's to set. Not all of it is copied: who has a share of a ring counts
 * that at the same time.
 */
static struct ring shape_after(const struct ring *ring)
{
    return (struct ring){
        .cluster = ring->cluster,
        .epoch = ring->epoch + 1,
        .bits = ring->bits,
        .copies = ring->copies,
    };
}

enum kist_status ring_plan_change(const struct ring *ring,
                                  const struct ring_change *change,
                                  struct ring **out_ring)
{
    struct ring shape = shape_after(ring);
    enum kist_status status;

    if (ring->next != NULL)
        return KIST_CONFLICT;
    shape.member_count = ring->member_count;
    shape.members = calloc(ring->member_count + 1, sizeof(*shape.members));
    if (shape.members == NULL)
        return KIST_NO_MEMORY;
    memcpy(shape.members, ring->members,
           ring->member_count * sizeof(*ring->members));
    status = plan(ring, change, &shape, out_ring);
    free(shape.members);
    return status;
}

/* The change is over: one of its two tables, without those who are not in it.
 */
static enum kist_status settle(const struct ring *ring, const uint16_t *table,
                               enum ring_standing gone, struct ring **out_ring)
{
    struct ring shape = shape_after(ring);
    struct ring *settled;
    enum kist_status status;

    assert(ring->next != NULL);
    shape.members = calloc(ring->member_count, sizeof(*shape.members));
    if (shape.members == NULL)
        return KIST_NO_MEMORY;
    for (unsigned i = 0; i < ring->member_count; i++) {
        if (ring->members[i].standing == gone)
            continue;
        shape.members[shape.member_count] = ring->members[i];
        shape.members[shape.member_count++].standing = RING_STEADY;
    }
    status = ring_new(&shape, false, &settled);
    free(shape.members);
    if (status != KIST_OK)
        return status;
    copy_table(ring, table, settled, settled->owners);
    assert(ring_fault(settled) == NULL);
    *out_ring = settled;
    return KIST_OK;
}

enum kist_status ring_plan_finish(const struct ring *ring,
                                  struct ring **out_ring)
{
    return settle(ring, ring->next, RING_LEAVING, out_ring);
}

enum kist_status ring_plan_abort(const struct ring *ring,
                                 struct ring **out_ring)
{
    return settle(ring, ring->owners, RING_JOINING, out_ring);
}

bool ring_plan_next_move(const struct ring *ring, unsigned *partition,
                         struct ring_move *out_move)
{
    for (; *partition < ring_partitions(ring); (*partition)++) {
        const uint16_t *now = ring_owners_of(ring, *partition);
        const uint16_t *next = ring_next_of(ring, *partition);

        for (unsigned i = 0; i < ring->copies; i++) {
            if (now[i] == next[i])
                continue;
            *out_move = (struct ring_move){*partition, now[i], next[i]};
            (*partition)++;
            return true;
        }
    }
    return false;
}
