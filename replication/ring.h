/*
 * ring - which members own a key.
 *
 * The space of 64-bit hashes is cut into 2^bits equal partitions, the virtual
 * nodes of this ring. A table, part of the ring, says which members own each
 * partition. The alternatives, tokens at random places or a hash for each pair
 * of partition and member, balance worse at any number of virtual nodes
 * (bench/ring.c), and a partition whose bounds never move keeps its checksums,
 * its floor and its progress through every change of the ring.
 *
 * While a change is pending there is a second table: who will own. The two
 * differ in at most one owner of any partition, so that all others of its
 * copies stay where they are.
 *
 * A ring is not changed after it was made (replication/ring_plan.h makes the
 * next one, with the next epoch), so any thread may read it. It lives as long
 * as anybody holds it: what began under a ring and points into it has a share,
 * and may end long after the node went on to the next one.
 */
#ifndef KIST_REPLICATION_RING_H
#define KIST_REPLICATION_RING_H

#include "base/arena.h"
#include "base/bytes.h"
#include "storage/key_hash.h"

#include <stdatomic.h>
#include <stdint.h>

#define RING_BITS_MAX    KEY_HASH_BITS_MAX
#define RING_BITS        12 /* 4,096 partitions: docs/ring.md says why. */
#define RING_LEAVES      KEY_HASH_LEAVES
#define RING_COPIES_MAX  7
#define RING_MEMBERS_MAX 4096
#define RING_NAME_MAX    63
#define RING_ADDRESS_MAX 255

enum ring_standing {
    RING_STEADY,
    RING_JOINING, /* In the next table only: does not vote. */
    RING_LEAVING, /* In the current table only. */
};

/* The two tables, as a set of them. */
enum ring_row {
    RING_NOW = 1,
    RING_NEXT = 2, /* Without a pending change the same. */
};

const char *ring_standing_name(enum ring_standing standing);

struct ring_member {
    struct view name;     /* One vote a name. */
    struct view address;  /* host:port of its peer listener. */
    uint64_t incarnation; /* Of its data directory; 0: not heard of yet. */
    enum ring_standing standing;
};

struct ring {
    uint64_t cluster; /* Drawn with the first ring: no two clusters mix. */
    uint64_t epoch;
    unsigned bits;   /* 2^bits partitions. */
    unsigned copies; /* n: owners of a partition. */
    unsigned member_count;
    struct ring_member *members; /* By name, ascending. */
    uint16_t *owners;            /* copies numbers of members a partition. */
    uint16_t *next;              /* The same after the change; NULL: none. */
    struct arena memory;         /* Holds all of that. */
    atomic_uint shares;
};

/* The key's, as storage/key_hash.h has it; members have a place as well. */
uint64_t ring_hash(struct view key);

/*
 * A ring whose tables are not filled in, for who makes rings. Copies the
 * members' bytes; they must be in order. KIST_INVALID: a name is missing,
 * too long or there twice, or a number is beyond its limit; there are fewer
 * members than copies. KIST_NO_MEMORY. The caller ends it with ring_free().
 */
KIST_CHECKED enum kist_status ring_new(const struct ring *shape, bool pending,
                                       struct ring **out_ring);

/* One more share of it, which ends with ring_free(), too. Any thread. */
const struct ring *ring_share(const struct ring *ring);

/* Gives a share back; the last one ends the ring. Takes NULL. Any thread. */
void ring_free(const struct ring *ring);

unsigned ring_partitions(const struct ring *ring);
unsigned ring_partition_of(const struct ring *ring, struct view key);

/* The bits of the hash behind those of the partition: below RING_LEAVES. */
unsigned ring_leaf_of(const struct ring *ring, struct view key);

/* ring->copies numbers of members, the preferred first. */
const uint16_t *ring_owners_of(const struct ring *ring, unsigned partition);

/* Of the first n in each table: which of them have this member. */
unsigned ring_rows_of(const struct ring *ring, unsigned partition, unsigned n,
                      uint64_t incarnation);

/* Who owns it after the pending change; without one, the same as now. */
const uint16_t *ring_next_of(const struct ring *ring, unsigned partition);

/* The member's number, or -1. */
int ring_find(const struct ring *ring, struct view name);
int ring_find_incarnation(const struct ring *ring, uint64_t incarnation);

/* Whether this member owns the partition now, or will. */
bool ring_is_owner(const struct ring *ring, unsigned partition,
                   uint64_t incarnation);

/* What is wrong with the tables, or NULL: for rings that come from outside. */
const char *ring_fault(const struct ring *ring);

#endif
