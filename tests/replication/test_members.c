#include "replication/members.h"
#include "replication/ring_plan.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct world world;
static struct network network;
static struct machine *a, *b, *c;

static void make_network(void)
{
    world_init(&world, 7, false);
    network_init_founding(&network, &world, 3, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    a = &network.machines[0];
    b = &network.machines[1];
    c = &network.machines[2];
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

static void pass_ms(uint64_t time_ms)
{
    world_run(&world, world.now_us + time_ms * 1000);
    cr_assert(not(world.is_wrong), "%s", world.fault);
}

static enum founding_state state_of(const struct machine *machine)
{
    return machine->members.founding.state;
}

/* What one machine makes of another. */
static struct roll_line line_of(const struct machine *machine,
                                const struct machine *other)
{
    const char *name = other->name;

    for (unsigned i = 0; i < roll_count(&machine->roll); i++)
        if (view_is(view_of(name), roll_name(&machine->roll, i)))
            return roll_read(&machine->roll, i);
    cr_assert(false, "%s is not in the roll", name);
    return (struct roll_line){0};
}

static void isolate(struct machine *machine, bool is_blocked)
{
    for (unsigned i = 0; i < network.count; i++)
        network.blocked[machine->number][i] =
            network.blocked[i][machine->number] =
                is_blocked && i != machine->number;
}

TestSuite(founding, .init = make_network, .fini = tear_down, .timeout = 20);

Test(founding, three_that_know_of_each_other_get_one_ring)
{
    machine_start(a);
    machine_start(b);
    pass_ms(3000);
    cr_expect(eq(int, state_of(a), FOUNDING_LISTENING));
    machine_start(c);
    pass_ms(2 * BEAT_MS);

    for (unsigned i = 0; i < 3; i++) {
        struct machine *machine = &network.machines[i];

        cr_expect(eq(int, state_of(machine), FOUNDING_MEMBER));
        cr_assert(not(eq(ptr, (void *)machine->seat.ring, NULL)));
        cr_expect(eq(u64, machine->seat.digest, a->seat.digest));
        cr_expect(eq(u64, machine->seat.ring->epoch, 1));
        for (unsigned j = 0; j < 3; j++)
            cr_expect(eq(u64, machine->seat.ring->members[j].incarnation,
                         network.machines[j].env.self));
    }
}

Test(founding, a_restart_needs_no_peer)
{
    for (unsigned i = 0; i < 3; i++)
        machine_start(&network.machines[i]);
    pass_ms(2000);
    for (unsigned i = 0; i < 3; i++)
        machine_crash(&network.machines[i]);
    machine_start(b);
    cr_expect(eq(int, state_of(b), FOUNDING_MEMBER));
    cr_expect(eq(u64, b->seat.digest, network.digests[1]));
}

Test(founding, a_vote_outlives_a_restart)
{
    machine_start(a);
    machine_start(b);
    machine_start(c);
    while (state_of(a) != FOUNDING_VOTED)
        pass_ms(1);
    isolate(a, true);
    machine_crash(a);
    machine_start(a);
    cr_expect(eq(int, state_of(a), FOUNDING_VOTED));
    pass_ms(1000);
    cr_expect(eq(int, state_of(a), FOUNDING_VOTED));
    isolate(a, false);
    pass_ms(1000);
    cr_expect(eq(int, state_of(a), FOUNDING_MEMBER));
}

/* The two that are left must not go on with whoever has taken c's name. */
Test(founding, who_loses_its_vote_keeps_the_others_from_a_ring)
{
    machine_start(a);
    machine_start(b);
    machine_start(c);
    while (state_of(a) != FOUNDING_VOTED || state_of(b) != FOUNDING_VOTED)
        pass_ms(1);
    cr_assert(eq(u64, network.digests[1], 0), "too late");
    machine_crash(c);
    machine_wipe(c);
    machine_start(c);
    pass_ms(5000);
    cr_expect(eq(int, state_of(a), FOUNDING_VOTED));
    cr_expect(eq(int, state_of(b), FOUNDING_VOTED));
    cr_expect(eq(u64, network.digests[1], 0));
}

Test(founding, who_was_away_at_the_end_takes_the_ring_over)
{
    machine_start(a);
    machine_start(b);
    machine_start(c);
    while (state_of(c) != FOUNDING_VOTED)
        pass_ms(1);
    while (state_of(a) != FOUNDING_MEMBER)
        pass_ms(1);
    machine_crash(c);
    pass_ms(1000);
    machine_start(c);
    pass_ms(1000);
    cr_expect(eq(int, state_of(c), FOUNDING_MEMBER));
    cr_expect(eq(u64, c->seat.digest, a->seat.digest));
}

Test(founding, who_has_another_list_is_not_waited_for_in_vain)
{
    const struct ring *list = network.first;
    struct ring *other = NULL;
    struct ring shape = {.cluster = list->cluster,
                         .bits = list->bits,
                         .copies = 2,
                         .member_count = list->member_count,
                         .members = list->members};

    cr_assert_eq(ring_plan_create(&shape, &other), KIST_OK);
    machine_start(a);
    machine_start(b);
    network.first = other;
    machine_start(c);
    network.first = list;
    pass_ms(1000);
    cr_expect(eq(int, state_of(a), FOUNDING_LISTENING));
    cr_expect(eq(int, line_of(a, b).standing, ROLL_ALIVE));
    cr_expect(eq(int, line_of(a, c).standing, ROLL_ELSEWHERE));
    machine_crash(c);
    ring_free(other);
}

Test(founding, a_node_that_is_not_on_its_list_does_not_start)
{
    struct roll roll = {.count = 0};
    struct seat seat = {.env = &a->env};
    struct fence fence = {.env = &a->env, .hlc = &a->hlc};
    struct members members = {
        .seat = &seat,
        .fence = &fence,
        .roll = &roll,
        .name = VIEW_LITERAL("zoe"),
        .first = network.first,
    };

    cr_expect_eq(members_start(&members), KIST_INVALID);
    members_clear(&members);
    members.name = view_of(a->name);
    members.first = NULL;
    cr_expect_eq(members_start(&members), KIST_INVALID,
                 "neither list nor ring");
    members_clear(&members);
}

Test(founding, a_wiped_machine_is_a_stranger)
{
    for (unsigned i = 0; i < 3; i++)
        machine_start(&network.machines[i]);
    pass_ms(1000);
    machine_crash(c);
    machine_wipe(c);
    machine_start(c);
    pass_ms(2 * BEAT_MS);
    cr_expect(eq(int, line_of(a, c).standing, ROLL_STRANGER));
    cr_expect(eq(u64, line_of(a, c).heard, c->env.self));
    cr_expect(not(seat_expects(&a->seat, c->env.self)));
    cr_expect(eq(int, state_of(c), FOUNDING_STRANGER));
    cr_expect(eq(ptr, (void *)c->seat.ring, NULL), "it takes part in nothing");

    machine_crash(c);
    machine_start(c);
    pass_ms(2 * BEAT_MS);
    cr_expect(eq(int, state_of(c), FOUNDING_STRANGER), "and after a restart");
}

static void set_up(void)
{
    world_init(&world, 7, false);
    network_init(&network, &world, 3, 0, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    a = &network.machines[0];
    b = &network.machines[1];
    c = &network.machines[2];
    pass_ms(2 * BEAT_MS);
}

TestSuite(members, .init = set_up, .fini = tear_down, .timeout = 20);

static bool counts_on(const struct machine *machine,
                      const struct machine *other)
{
    return seat_expects(&machine->seat, other->env.self);
}

static bool writes_to(const struct machine *machine,
                      const struct machine *other)
{
    return seat_expects_write(&machine->seat, other->env.self);
}

Test(members, who_answers_is_counted_on)
{
    struct roll_line line = line_of(a, b);

    cr_expect(counts_on(a, b));
    cr_expect(writes_to(a, b));
    cr_expect(writes_to(a, a), "itself");
    cr_expect(eq(u64, line.heard, b->env.self));
    cr_expect(eq(u64, line.digest, a->seat.digest));
    cr_expect(le(u64, line.round_trip_ms, 2));
}

Test(members, who_is_silent_is_not_counted_on_until_it_answers_again)
{
    isolate(b, true);
    pass_ms(SILENCE_MS / 2);
    cr_expect(counts_on(a, b), "a lost beat is no death");
    pass_ms(SILENCE_MS + 2 * BEAT_MS);
    cr_expect(not(counts_on(a, b)));
    cr_expect(not(counts_on(b, a)));
    cr_expect(eq(int, line_of(a, b).standing, ROLL_SILENT));
    cr_expect(counts_on(a, c));

    isolate(b, false);
    pass_ms(2 * BEAT_MS);
    cr_expect(counts_on(a, b));
    cr_expect(counts_on(b, a));
}

/* Its beats arrive, and that is not enough. */
Test(members, who_hears_nothing_of_us_is_not_counted_on)
{
    network.blocked[a->number][b->number] = true;
    pass_ms(SILENCE_MS + 3 * BEAT_MS);
    cr_expect(not(counts_on(a, b)));
    cr_expect(not(counts_on(b, a)), "its answers do not arrive");
}

Test(members, a_port_where_nobody_listens_is_noticed_at_once)
{
    machine_crash(b);
    pass_ms(BEAT_MS + 10);
    cr_expect(not(counts_on(a, b)));
    machine_start(b);
    pass_ms(BEAT_MS / 4 + 5);
    cr_expect(counts_on(a, b), "it has asked, and so it was asked");
}

Test(members, a_failed_call_brings_the_next_beat_forward)
{
    machine_crash(b);
    pass_ms(BEAT_MS / 4);
    members_doubt(&a->members, b->env.self);
    pass_ms(BEAT_MS / 4 + 1);
    cr_expect(not(counts_on(a, b)));
}

Test(members, a_full_disk_is_read_from_and_not_written_to)
{
    b->disk_is_full = true;
    pass_ms(BEAT_MS + 10);
    cr_expect(counts_on(a, b));
    cr_expect(not(writes_to(a, b)));
    cr_expect(not(writes_to(b, b)), "itself");
    b->disk_is_full = false;
    pass_ms(BEAT_MS + 10);
    cr_expect(writes_to(a, b));
}

Test(members, a_clock_that_is_off_shows_in_the_roll_and_closes_its_fence)
{
    cr_assert(eq(int, fence_state(&b->fence), FENCE_OPEN));
    machine_set_clock(b, 600, 0);
    pass_ms(2 * BEAT_MS);
    cr_expect(ge(i64, line_of(a, b).clock_ahead_ms, 598));
    cr_expect(le(i64, line_of(b, a).clock_ahead_ms, -598));
    cr_expect(eq(int, fence_state(&b->fence), FENCE_APART));
    cr_expect(eq(int, fence_state(&a->fence), FENCE_OPEN));
    pass_ms(BEAT_MS);
    cr_expect(not(writes_to(a, b)));
    cr_expect(counts_on(a, b));

    machine_set_clock(b, 0, 0);
    pass_ms(3 * BEAT_MS);
    cr_expect(eq(int, fence_state(&b->fence), FENCE_OPEN));
    cr_expect(writes_to(a, b));
}

/* Answers take so long that a clock could be anywhere within the limit. */
Test(members, a_slow_network_closes_no_fence)
{
    network.weather.delay_us = BEAT_MS * 1000 / 3;
    machine_set_clock(b, 200, 0);
    pass_ms(20 * BEAT_MS);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(
            eq(u64, counter_read(&network.machines[i].fence.stats.closed), 0));
}

Test(members, a_message_for_members_is_known_by_its_kind)
{
    struct blob bytes = BLOB_EMPTY;
    struct frame head = seat_head(&a->seat, FRAME_BEAT, b->env.self);

    frame_begin(&head, &bytes);
    frame_seal(0, &bytes);
    cr_expect(members_takes(blob_view(&bytes)));
    blob_clear(&bytes);
    head.kind = FRAME_FETCH;
    frame_begin(&head, &bytes);
    frame_seal(0, &bytes);
    cr_expect(not(members_takes(blob_view(&bytes))));
    cr_expect(not(members_takes(VIEW_LITERAL("KP"))));
    blob_free(&bytes);
}
