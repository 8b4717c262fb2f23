#include "replication/ring_bytes.h"
#include "replication/ring_plan.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 60 };

struct names {
    char text[MANY][8];
    struct ring_member members[MANY];
};

/* Backwards, since any order must do. */
static struct ring shape_of(struct names *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        snprintf(names->text[i], sizeof(names->text[i]), "n%03u", count - i);
        names->members[i] = (struct ring_member){
            .name = view_of(names->text[i]),
            .address = VIEW_LITERAL("127.0.0.1:7701"),
            .incarnation = 1000 + count - i,
        };
    }
    return (struct ring){.cluster = 7,
                         .bits = 10,
                         .copies = 3,
                         .member_count = count,
                         .members = names->members};
}

static struct ring *made(unsigned count)
{
    struct names names;
    struct ring shape = shape_of(&names, count);
    struct ring *ring = NULL;

    cr_assert_eq(ring_plan_create(&shape, &ring), KIST_OK);
    return ring;
}

static struct ring *changed(struct ring *ring, const char *leaving,
                            const char *joining)
{
    struct ring_member member = {.name = view_of(joining ? joining : ""),
                                 .address = VIEW_LITERAL("there:1"),
                                 .incarnation = 77};
    struct ring_change change = {joining ? &member : NULL,
                                 view_of(leaving ? leaving : "")};
    struct ring *planned = NULL;

    cr_assert_eq(ring_plan_change(ring, &change, &planned), KIST_OK);
    cr_assert_null((void *)ring_fault(planned));
    ring_free(ring);
    return planned;
}

static struct ring *finished(struct ring *pending)
{
    struct ring *ring = NULL;

    cr_assert_eq(ring_plan_finish(pending, &ring), KIST_OK);
    ring_free(pending);
    return ring;
}

/* Largest less smallest number of partitions of any member. */
static unsigned spread(const struct ring *ring)
{
    unsigned load[RING_MEMBERS_MAX] = {0}, least = UINT32_MAX, most = 0;

    for (unsigned p = 0; p < ring_partitions(ring); p++)
        for (unsigned i = 0; i < ring->copies; i++)
            load[ring_owners_of(ring, p)[i]]++;
    for (unsigned i = 0; i < ring->member_count; i++) {
        least = load[i] < least ? load[i] : least;
        most = load[i] > most ? load[i] : most;
    }
    return most - least;
}

static unsigned moves_of(const struct ring *ring)
{
    struct ring_move move;
    unsigned partition = 0, moves = 0;

    while (ring_plan_next_move(ring, &partition, &move))
        moves++;
    return moves;
}

/* Published in docs/ring.md: another implementation must find the same. */
Test(ring, a_key_has_the_same_hash_everywhere_and_for_ever)
{
    static const struct {
        const char *key;
        uint64_t hash;
    } vectors[] = {
        {"a", 0xfcf5082f8532e59c},
        {"user/ada", 0x1fb6be6eaaf9c7ae},
        {"\xe2\x82\xac", 0x13ecc5cbfe2a64c9},
        {"a key that is longer than sixteen bytes", 0x208711d293e1a9a5},
    };

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        cr_expect(eq(u64, ring_hash(view_of(vectors[i].key)), vectors[i].hash),
                  "%s: %#lx", vectors[i].key,
                  ring_hash(view_of(vectors[i].key)));
}

Test(ring, partitions_are_the_leading_bits_of_the_hash)
{
    struct ring ring = {.bits = 12};
    struct view key = VIEW_LITERAL("user/ada");

    cr_expect(eq(uint, ring_partition_of(&ring, key),
                 (unsigned)(ring_hash(key) >> 52)));
    ring.bits = 0;
    cr_expect(eq(uint, ring_partition_of(&ring, key), 0));
}

Test(ring, a_new_ring_is_balanced_to_one_partition)
{
    for (unsigned count = 3; count <= MANY; count += 19) {
        struct ring *ring = made(count);

        cr_expect_null((void *)ring_fault(ring));
        cr_expect(le(uint, spread(ring), 1), "%u members", count);
        ring_free(ring);
    }
}

Test(ring, every_member_is_preferred_for_its_share)
{
    struct ring *ring = made(4);
    unsigned first[4] = {0};

    for (unsigned p = 0; p < ring_partitions(ring); p++)
        first[ring_owners_of(ring, p)[0]]++;
    for (unsigned i = 0; i < 4; i++)
        cr_expect(gt(uint, first[i], 190), "%u of 256", first[i]);
    ring_free(ring);
}

Test(ring, who_joins_gets_its_share_and_nothing_else_moves)
{
    struct ring *ring = made(3);

    for (unsigned count = 4; count <= 40; count++) {
        char name[8];

        snprintf(name, sizeof(name), "m%03u", count);
        ring = changed(ring, NULL, name);
        cr_expect(eq(uint, moves_of(ring), 3072 / count), "%u", count);
        ring = finished(ring);
        cr_expect(le(uint, spread(ring), 2), "%u members: %u", count,
                  spread(ring));
    }
    ring_free(ring);
}

Test(ring, what_a_leaving_member_had_is_spread_over_the_others)
{
    struct ring *ring = made(12);

    for (unsigned left = 12; left > 4; left--) {
        char name[8];
        unsigned had = 0;

        snprintf(name, sizeof(name), "n%03u", left);
        for (size_t i = 0; i < 3072; i++)
            had += ring->owners[i] == ring_find(ring, view_of(name));
        ring = changed(ring, name, NULL);
        cr_expect(eq(uint, moves_of(ring), had));
        ring = finished(ring);
        cr_expect(eq(int, ring_find(ring, view_of(name)), -1));
        cr_expect(le(uint, spread(ring), 2), "%u left: %u", left - 1,
                  spread(ring));
    }
    ring_free(ring);
}

Test(ring, a_replacement_takes_exactly_the_place)
{
    struct ring *ring = made(5);
    struct ring_move move;
    unsigned partition = 0;

    ring = changed(ring, "n002", "z");
    while (ring_plan_next_move(ring, &partition, &move)) {
        cr_expect(eq(int, move.from, ring_find(ring, VIEW_LITERAL("n002"))));
        cr_expect(eq(int, move.to, ring_find(ring, VIEW_LITERAL("z"))));
    }
    ring = finished(ring);
    cr_expect(eq(u64, ring->epoch, 3));
    cr_expect(eq(int, ring_find_incarnation(ring, 77), 4));
    cr_expect(le(uint, spread(ring), 1));
    ring_free(ring);
}

Test(ring, an_aborted_change_leaves_the_same_owners)
{
    struct ring *before = made(6);
    struct ring *pending = changed(made(6), NULL, "aaa");
    struct ring *after;

    cr_assert_eq(ring_plan_abort(pending, &after), KIST_OK);
    cr_expect(eq(u64, after->epoch, 3));
    cr_expect(eq(int, memcmp(before->owners, after->owners, 6144), 0));
    ring_free(before);
    ring_free(pending);
    ring_free(after);
}

Test(ring, impossible_changes_are_refused)
{
    struct ring *ring = made(3), *out = NULL;
    struct ring_member member = {.name = VIEW_LITERAL("n001")};

    cr_expect_eq(ring_plan_change(ring, &(struct ring_change){0}, &out),
                 KIST_INVALID);
    cr_expect_eq(
        ring_plan_change(ring, &(struct ring_change){&member, {0}}, &out),
        KIST_INVALID, "a name twice");
    cr_expect_eq(
        ring_plan_change(
            ring, &(struct ring_change){NULL, VIEW_LITERAL("n001")}, &out),
        KIST_INVALID, "fewer members than copies");
    cr_expect_eq(
        ring_plan_change(ring, &(struct ring_change){NULL, VIEW_LITERAL("x")},
                         &out),
        KIST_INVALID, "not a member");

    ring = changed(ring, NULL, "n004");
    member.name = VIEW_LITERAL("n005");
    cr_expect_eq(
        ring_plan_change(ring, &(struct ring_change){&member, {0}}, &out),
        KIST_CONFLICT, "one change at a time");
    ring_free(ring);
}

Test(ring, a_ring_needs_as_many_members_as_copies)
{
    struct names names;
    struct ring shape = shape_of(&names, 2), *out = NULL;

    cr_expect_eq(ring_plan_create(&shape, &out), KIST_INVALID);
    shape.copies = 2;
    names.members[1].name = names.members[0].name;
    cr_expect_eq(ring_plan_create(&shape, &out), KIST_INVALID, "a name twice");
}

Test(ring, its_bytes_say_all_of_it)
{
    struct ring *rings[] = {made(3), changed(made(5), "n003", "other")};

    for (size_t i = 0; i < 2; i++) {
        struct blob bytes = BLOB_EMPTY, again = BLOB_EMPTY;
        struct ring *decoded = NULL;

        ring_bytes_encode(rings[i], &bytes);
        cr_assert_eq(ring_bytes_decode(blob_view(&bytes), &decoded), KIST_OK);
        ring_bytes_encode(decoded, &again);
        cr_expect(view_equal(blob_view(&bytes), blob_view(&again)));
        cr_expect(eq(u64, decoded->members[1].incarnation,
                     rings[i]->members[1].incarnation));
        ring_free(decoded);
        ring_free(rings[i]);
        blob_free(&bytes);
        blob_free(&again);
    }
}

/* Pins the format and the placement: two releases must agree. */
Test(ring, the_same_members_make_the_same_bytes)
{
    struct ring *ring = changed(made(5), NULL, "n006");
    struct blob bytes = BLOB_EMPTY;

    ring_bytes_encode(ring, &bytes);
    cr_expect(eq(sz, bytes.size, 24 + 5 * 29 + 22 + 2 * 6144 + 8));
    cr_expect(eq(u64, ring_bytes_digest(blob_view(&bytes)), 0x9cc461c97661fb3c),
              "%#lx", ring_bytes_digest(blob_view(&bytes)));
    ring_free(ring);
    blob_free(&bytes);
}

Test(ring, damaged_bytes_are_no_ring)
{
    struct ring *ring = made(3), *out = NULL;
    struct blob bytes = BLOB_EMPTY;

    ring_bytes_encode(ring, &bytes);
    for (size_t i = 0; i < bytes.size; i += 3) {
        bytes.data[i] ^= 0x10;
        cr_expect_eq(ring_bytes_decode(blob_view(&bytes), &out), KIST_CORRUPT);
        bytes.data[i] ^= 0x10;
        cr_expect_eq(ring_bytes_decode((struct view){bytes.data, i}, &out),
                     KIST_CORRUPT);
    }
    ring_free(ring);
    blob_free(&bytes);
}
