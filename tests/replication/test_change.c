#include "base/owner.h"
#include "replication/quorum_read.h"
#include "replication/quorum_write.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>

static struct world world;
static struct network network;

/* They trust their clocks, and try everybody, alive or not. */
static void get_going(void)
{
    world_run(&world, world.now_us + 2 * BEAT_MS * 1000);
    network.is_blind = true;
}

static void set_up(void)
{
    world_init(&world, 5, false);
    network_init(&network, &world, 4, 1, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    for (unsigned i = 0; i < network.count; i++)
        anti_entropy_stop(&network.machines[i].entropy);
    get_going();
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

TestSuite(change, .init = set_up, .fini = tear_down, .timeout = 20);

static struct machine *machine(unsigned number)
{
    return &network.machines[number];
}

static struct ring_member member_of(unsigned number)
{
    return (struct ring_member){.name = view_of(machine(number)->name),
                                .address = view_of(machine(number)->address),
                                .incarnation = machine(number)->env.self};
}

static void wait_ms(uint64_t time_ms)
{
    world_run(&world, world.now_us + time_ms * 1000);
    cr_assert(not(world.is_wrong), "%s", world.fault);
}

static enum kist_status join(unsigned desk, unsigned number)
{
    struct ring_member joining = member_of(number);
    struct ring_change change = {.joining = &joining};

    return change_plan(&machine(desk)->change, &change);
}

static enum kist_status leave(unsigned desk, unsigned number)
{
    struct ring_change change = {.leaving = view_of(machine(number)->name)};

    return change_plan(&machine(desk)->change, &change);
}

static void store(unsigned number, const char *key, uint64_t version)
{
    struct cell *cell = machine_cell(machine(number), view_of(key));
    struct record record = {.version = {version << 16, number + 1},
                            .value = view_of(key)};

    blob_clear(&cell->record);
    record_encode(view_of(key), &record, &cell->record);
}

static bool is_there(unsigned number, const char *key)
{
    return machine_cell(machine(number), view_of(key))->record.size > 0;
}

/* A key whose partition moves to the joined machine, or never does. */
static void key_of(unsigned number, bool owns, char out_key[16])
{
    const struct ring *ring = network.ring;

    for (unsigned i = 0;; i++) {
        snprintf(out_key, 16, "key %u", i);
        if (ring_is_owner(ring, ring_partition_of(ring, view_of(out_key)),
                          machine(number)->env.self) == owns)
            return;
    }
}

static void expect_ring(uint64_t epoch, unsigned members)
{
    cr_expect(eq(u64, network.ring->epoch, epoch));
    cr_expect(eq(uint, network.ring->member_count, members));
    cr_expect(network.ring->next == NULL);
}

/* On a majority of its owners: which of them is left out differs. */
static void store_on_two(unsigned number, const char *key)
{
    const struct ring *ring = network.ring;
    const uint16_t *owners =
        ring_owners_of(ring, ring_partition_of(ring, view_of(key)));

    for (unsigned i = 0; i < 3; i++)
        if (i != number % 3)
            store((unsigned)ring->members[owners[i]].address.data[0] - 'a', key,
                  5);
}

Test(change, who_joins_gets_what_a_majority_of_the_owners_has)
{
    char key[16];
    unsigned expected = 0;

    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        store_on_two(i, key);
    }
    cr_assert_eq(join(0, 4), KIST_OK);
    wait_ms(5000);
    expect_ring(3, 5);
    for (unsigned i = 0; i < 100; i++) {
        unsigned partition;

        snprintf(key, sizeof(key), "key %u", i);
        partition = ring_partition_of(network.ring, view_of(key));
        if (!ring_is_owner(network.ring, partition, machine(4)->env.self))
            continue;
        cr_expect(is_there(4, key), "%s", key);
        expected++;
    }
    cr_expect(gt(uint, expected, 20));
}

Test(change, of_two_changes_at_once_one_is_made)
{
    cr_assert_eq(join(0, 4), KIST_OK);
    cr_assert_eq(leave(1, 3), KIST_OK);
    wait_ms(5000);
    cr_expect(network.ring->epoch == 3 || network.ring->epoch == 1);
    for (unsigned i = 0; i < 4; i++)
        cr_expect(eq(u64, machine(i)->seat.digest, machine(0)->seat.digest));
}

Test(change, a_second_change_waits_for_the_first)
{
    cr_assert_eq(join(0, 4), KIST_OK);
    wait_ms(20);
    cr_expect_eq(leave(0, 3), KIST_CONFLICT);
}

Test(change, who_leaves_is_told)
{
    cr_assert_eq(leave(3, 3), KIST_OK);
    wait_ms(5000);
    expect_ring(3, 3);
    cr_expect(not(machine(3)->seat.is_member));
}

Test(change, goes_on_without_the_one_that_leaves)
{
    machine_crash(machine(3));
    cr_assert_eq(leave(0, 3), KIST_OK);
    wait_ms(20000);
    expect_ring(3, 3);
}

Test(change, goes_on_without_the_one_that_began_it)
{
    cr_assert_eq(join(0, 4), KIST_OK);
    while (network.ring->epoch == 1)
        wait_ms(1);
    machine_crash(machine(0));
    wait_ms(20000);
    expect_ring(3, 5);
}

Test(change, is_given_up_while_who_joins_is_away)
{
    struct ring_change change;
    struct ring_member joining = member_of(4);

    machine_crash(machine(4));
    change = (struct ring_change){.joining = &joining};
    cr_assert_eq(change_plan(&machine(1)->change, &change), KIST_OK);
    wait_ms(3000);
    cr_expect(eq(u64, network.ring->epoch, 2));
    cr_assert_eq(change_abort(&machine(2)->change), KIST_OK);
    wait_ms(3000);
    expect_ring(3, 4);
}

Test(change, who_comes_back_brings_nothing_from_before)
{
    char key[16];

    key_of(3, true, key);
    store(3, key, 5);
    cr_assert_eq(leave(0, 3), KIST_OK);
    /* As if it had been deleted since, and the deletion had been purged. */
    wait_ms(5000);
    expect_ring(3, 3);
    for (unsigned i = 0; i < 3; i++)
        blob_clear(&machine_cell(machine(i), view_of(key))->record);
    cr_assert(is_there(3, key));
    cr_assert_eq(join(0, 3), KIST_OK);
    wait_ms(5000);
    expect_ring(5, 4);
    cr_expect(not(is_there(3, key) &&
                  ring_is_owner(network.ring,
                                ring_partition_of(network.ring, view_of(key)),
                                machine(3)->env.self)));
}

Test(change, a_restart_remembers_the_ring)
{
    cr_assert_eq(join(0, 4), KIST_OK);
    wait_ms(5000);
    for (unsigned i = 0; i < network.count; i++)
        machine_crash(machine(i));
    for (unsigned i = 0; i < network.count; i++) {
        machine_start(machine(i));
        cr_expect(eq(u64, machine(i)->seat.ring->epoch, 3), "machine %u", i);
        cr_expect(machine(i)->seat.is_member);
    }
}

struct run {
    struct quorum_write write;
    unsigned answered, ended;
};

static void on_answered(struct quorum_write *write)
{
    OWNER(write, struct run, write)->answered++;
}

static void on_ended(struct quorum_write *write)
{
    OWNER(write, struct run, write)->ended++;
}

Test(change, a_write_by_the_ring_before_goes_on_by_the_next)
{
    struct run run = {.write = {.record.value = VIEW_LITERAL("1"),
                                .sync = ENGINE_SYNC,
                                .n = 3,
                                .w = 3,
                                .timeout_ms = 2000,
                                .answered = on_answered,
                                .ended = on_ended}};
    char key[16];

    key_of(3, true, key);
    run.write.key = view_of(key);
    for (unsigned i = 0; i < 5; i++) /* Machine 0 hears of nothing yet. */
        network.blocked[i][0] = i != 0;
    cr_assert_eq(join(1, 4), KIST_OK);
    while (machine(1)->seat.ring->epoch == 1 ||
           machine(2)->seat.ring->epoch == 1 ||
           machine(3)->seat.ring->epoch == 1)
        wait_ms(1);
    for (unsigned i = 0; i < 5; i++)
        network.blocked[i][0] = false;
    cr_assert(eq(u64, machine(0)->seat.ring->epoch, 1));
    cr_assert_eq(quorum_write_start(&run.write, &machine(0)->seat), KIST_OK);
    wait_ms(3000);
    cr_expect(eq(uint, run.answered, 1));
    cr_expect(eq(uint, run.ended, 1));
    cr_expect_eq(run.write.outcome, QUORUM_WRITE_DONE);
}

struct listener {
    struct replica_caller caller;
    enum frame_status status;
};

static void on_reply(struct replica_caller *caller, struct view answer)
{
    struct listener *listener = OWNER(caller, struct listener, caller);
    struct frame frame = {0};

    cr_assert_eq(frame_decode(answer, &frame), KIST_OK);
    listener->status = frame.status;
}

static enum frame_status ask_sums(struct seat *seat, uint64_t from)
{
    struct frame head = seat_head(seat, FRAME_SUMS, seat->env->self);
    struct listener listener = {.caller.send = on_reply};
    struct env_part part = {0, ENV_ALL_LEAVES};
    struct blob message = BLOB_EMPTY;

    while (!ring_is_owner(seat->ring, part.partition, seat->env->self))
        part.partition++;
    head.from = from;
    head.budget_ms = 400;
    frame_begin(&head, &message);
    frame_add_sums(part, &message);
    frame_seal(1, &message);
    replica_receive(seat, blob_view(&message), &listener.caller);
    blob_free(&message);
    return listener.status;
}

Test(change, a_source_waits_for_what_it_stores_by_the_ring_before)
{
    struct seat *seat = &machine(0)->seat;
    uint64_t phase = seat_begin_storing(seat);

    cr_expect_eq(ask_sums(seat, machine(1)->env.self), FRAME_OK);
    cr_assert_eq(join(0, 4), KIST_OK);
    while (seat->ring->epoch == 1)
        wait_ms(1);
    cr_expect_eq(ask_sums(seat, machine(4)->env.self), FRAME_BUSY);
    seat_end_storing(seat, phase);
    cr_expect_eq(ask_sums(seat, machine(4)->env.self), FRAME_OK);
}

struct lookup {
    struct quorum_read read;
    unsigned ended;
    struct version found;
};

static void on_read(struct quorum_read *read)
{
    if (read->found)
        OWNER(read, struct lookup, read)->found = read->record.version;
}

static void on_read_ended(struct quorum_read *read)
{
    OWNER(read, struct lookup, read)->ended++;
}

static void cut_off(unsigned a, unsigned b)
{
    for (unsigned i = 0; i < network.count; i++)
        for (unsigned j = 0; j < network.count; j++)
            network.blocked[i][j] = (i == a || i == b) != (j == a || j == b);
}

static bool has_fetched_all(const struct machine *machine)
{
    const struct transfer *transfer = &machine->change.transfer;

    return transfer->total > 0 && transfer->done == transfer->total;
}

/* Two of three owners of before are still at the pending ring. */
Test(change, a_read_by_the_ring_before_misses_nothing_that_was_written_since)
{
    struct run run = {.write = {.key = VIEW_LITERAL("ada"),
                                .record.value = VIEW_LITERAL("new"),
                                .sync = ENGINE_SYNC,
                                .n = 3,
                                .w = 2,
                                .timeout_ms = 400,
                                .answered = on_answered,
                                .ended = on_ended}};
    struct lookup lookup = {.read = {.key = VIEW_LITERAL("ada"),
                                     .n = 3,
                                     .r = 2,
                                     .w = 2,
                                     .timeout_ms = 400,
                                     .hedge_ms = 20,
                                     .answered = on_read,
                                     .ended = on_read_ended}};
    struct ring_change change;
    struct ring_member joining;
    const uint16_t *owners;
    unsigned gone, left, stays;

    network_clear(&network);
    network_init(&network, &world, 5, 1, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    get_going();
    owners = ring_owners_of(network.first,
                            ring_partition_of(network.first, run.write.key));
    gone = (unsigned)network.first->members[owners[0]].address.data[0] - 'a';
    left = (unsigned)network.first->members[owners[1]].address.data[0] - 'a';
    stays = (unsigned)network.first->members[owners[2]].address.data[0] - 'a';
    joining = member_of(5);
    change = (struct ring_change){&joining, view_of(machine(gone)->name)};

    cr_assert_eq(change_plan(&machine(stays)->change, &change), KIST_OK);
    while (!has_fetched_all(machine(5)))
        wait_ms(1);
    cut_off(gone, left);
    wait_ms(2000);
    cr_assert(eq(u64, machine(stays)->seat.ring->epoch, 3));
    cr_assert(eq(u64, machine(left)->seat.ring->epoch, 2));

    cr_assert_eq(quorum_write_start(&run.write, &machine(stays)->seat),
                 KIST_OK);
    cr_assert_eq(quorum_read_start(&lookup.read, &machine(gone)->seat),
                 KIST_OK);
    wait_ms(1000);
    cr_expect_eq(run.write.outcome, QUORUM_WRITE_DONE);
    cr_expect(eq(uint, lookup.ended, 1));
    cr_expect_eq(lookup.read.outcome, QUORUM_READ_TOO_FEW);
}
