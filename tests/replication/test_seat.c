/* A node with several seats, as its peers may rely on it. */
#include "base/owner.h"
#include "replication/ring_plan.h"
#include "replication/seat.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { SEATS = 3 };

static struct env env = {.self = 1};
static struct seats seats;
static struct seat node[SEATS]; /* The first is home's. */

static const struct ring *ring_of(uint64_t epoch)
{
    struct ring_member member = {.name = view_of("a"), .incarnation = 1};
    struct ring shape = {
        .bits = 1, .copies = 1, .member_count = 1, .members = &member};
    struct ring *ring;

    cr_assert(eq(int, ring_plan_create(&shape, &ring), KIST_OK));
    ring->epoch = epoch;
    return ring;
}

static void follow(struct seat *seat)
{
    struct seat_orders orders = seat_orders_of(&node[0]);

    seat_follow(seat, &orders);
}

static void set_up(void)
{
    seats = (struct seats){0};
    for (unsigned i = 0; i < SEATS; i++)
        node[i] = (struct seat){
            .env = &env, .all = &seats, .number = seats_enter(&seats)};
    seat_adopt(&node[0], ring_of(1), 0);
    follow(&node[1]);
    follow(&node[2]);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < SEATS; i++)
        ring_free(node[i].ring);
}

TestSuite(seat, .init = set_up, .fini = tear_down, .timeout = 20);

Test(seat, a_node_is_at_a_ring_when_all_its_seats_are)
{
    cr_expect(seat_is_drained(&node[0]));
    seat_adopt(&node[0], ring_of(2), 0);
    cr_expect(not(seat_is_drained(&node[0])));
    follow(&node[1]);
    cr_expect(not(seat_is_drained(&node[1])), "the third is not there");
    follow(&node[2]);
    for (unsigned i = 0; i < SEATS; i++)
        cr_expect(seat_is_drained(&node[i]));
    cr_expect(eq(u64, node[2].ring->epoch, 2));
}

Test(seat, a_node_is_drained_when_all_its_seats_are)
{
    uint64_t old = seat_begin_storing(&node[2]);
    uint64_t other, phase;

    seat_adopt(&node[0], ring_of(2), 0);
    follow(&node[1]);
    follow(&node[2]);
    other = seat_begin_storing(&node[1]);
    for (unsigned i = 0; i < SEATS; i++)
        cr_expect(not(seat_is_drained(&node[i])), "seat %u", i);
    phase = seat_begin_storing(&node[2]);
    seat_end_storing(&node[2], phase);
    cr_expect(not(seat_is_drained(&node[0])), "that was of this phase");
    seat_end_storing(&node[2], old);
    for (unsigned i = 0; i < SEATS; i++)
        cr_expect(seat_is_drained(&node[i]), "seat %u", i);
    seat_end_storing(&node[1], other);
}

Test(seat, a_floor_holds_when_what_came_before_it_is_stored)
{
    struct version fence = {20, 0}, floor = {10, 0};
    uint64_t before = seat_begin_storing(&node[1]);

    seat_hold(&node[0], fence, floor);
    follow(&node[1]);
    follow(&node[2]);
    cr_expect(eq(u64, node[1].fence.hlc, 20));
    cr_expect(eq(u64, node[2].floor.hlc, 10));
    cr_expect(not(seat_is_drained(&node[0])));
    seat_end_storing(&node[1], before);
    cr_expect(seat_is_drained(&node[0]));
}

Test(seat, phases_that_a_seat_skips_do_not_settle_early)
{
    uint64_t old = seat_begin_storing(&node[1]);

    seat_adopt(&node[0], ring_of(2), 0);
    seat_adopt(&node[0], ring_of(3), 0);
    follow(&node[1]);
    follow(&node[2]);
    cr_expect(not(seat_is_drained(&node[0])));
    seat_adopt(&node[0], ring_of(4), 0);
    follow(&node[2]);
    seat_end_storing(&node[1], old);
    cr_expect(not(seat_is_drained(&node[0])), "the second is at ring 3");
    cr_expect(seat_is_drained(&node[1]), "all are at ring 3");
    follow(&node[1]);
    cr_expect(seat_is_drained(&node[0]));
}

Test(seat, who_has_left_holds_nobody_up)
{
    seats_leave(&seats, node[2].number);
    seat_adopt(&node[0], ring_of(2), 0);
    follow(&node[1]);
    cr_expect(seat_is_drained(&node[0]));
}
