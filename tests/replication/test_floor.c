#include "base/owner.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct world world;
static struct network network;

static void set_up(void)
{
    world_init(&world, 7, false);
    network_init(&network, &world, 3, 1, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

TestSuite(floor, .init = set_up, .fini = tear_down, .timeout = 20);

static struct machine *machine(unsigned number)
{
    return &network.machines[number];
}

static void wait_ms(uint64_t time_ms)
{
    world_run(&world, world.now_us + time_ms * 1000);
    cr_assert(not(world.is_wrong), "%s", world.fault);
}

static uint64_t now_ms(void)
{
    struct env *env = &machine(0)->env;

    return env->ops->wall_ms(env);
}

static struct record record_at(uint64_t time_ms, bool tombstone)
{
    struct record record = {.version = {time_ms << 16, 1},
                            .tombstone = tombstone};

    if (!tombstone)
        record.value = view_of("1");
    return record;
}

static void store(unsigned number, const char *key, struct record record)
{
    struct cell *cell = machine_cell(machine(number), view_of(key));

    blob_clear(&cell->record);
    record_encode(view_of(key), &record, &cell->record);
}

static bool is_there(unsigned number, const char *key)
{
    return machine_cell(machine(number), view_of(key))->record.size > 0;
}

static unsigned count_of(const char *key)
{
    return (unsigned)is_there(0, key) + is_there(1, key) + is_there(2, key);
}

struct listener {
    struct replica_caller caller;
    unsigned results;
    enum frame_result result;
};

static void on_reply(struct replica_caller *caller, struct view answer)
{
    struct listener *listener = OWNER(caller, struct listener, caller);
    struct frame_pushed pushed;
    struct frame frame;

    cr_assert_eq(frame_decode(answer, &frame), KIST_OK);
    cr_assert_eq(frame_next_pushed(&frame.body, &pushed), KIST_OK);
    listener->result = pushed.result;
    listener->results++;
}

static enum frame_result push(unsigned number, enum frame_source source,
                              const char *key, struct record record)
{
    struct seat *seat = &machine(number)->seat;
    struct frame head = seat_head(seat, FRAME_PUSH, seat->env->self);
    struct frame_push pushed = {source, ENGINE_SYNC, view_of(key), record};
    struct listener listener = {.caller.send = on_reply};
    struct blob message = BLOB_EMPTY;

    head.budget_ms = 400;
    frame_begin(&head, &message);
    frame_add_push(&pushed, &message);
    frame_seal(1, &message);
    replica_receive(seat, blob_view(&message), &listener.caller);
    blob_free(&message);
    wait_ms(20);
    cr_assert(eq(uint, listener.results, 1));
    return listener.result;
}

Test(floor, deletions_go_and_values_stay)
{
    wait_ms(100);
    store(0, "gone", record_at(now_ms(), true));
    store(1, "there", record_at(now_ms(), false));
    wait_ms(8000);
    cr_expect(eq(uint, count_of("gone"), 0));
    cr_expect(eq(uint, count_of("there"), 3));
}

Test(floor, deletions_stay_as_long_as_a_member_is_away)
{
    wait_ms(100);
    machine_crash(machine(2));
    store(2, "gone", record_at(now_ms() - 50, false));
    store(0, "gone", record_at(now_ms(), true));
    wait_ms(8000);
    cr_expect(eq(uint, count_of("gone"), 3));
    machine_start(machine(2));
    wait_ms(12000);
    cr_expect(eq(uint, count_of("gone"), 0));
}

Test(floor, what_is_below_is_not_taken_in)
{
    struct record old;

    wait_ms(100);
    old = record_at(now_ms(), false);
    wait_ms(8000);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(push(i, FRAME_CLIENT, "k", old), FRAME_REFUSED);
        cr_expect_eq(push(i, FRAME_REPAIR, "k", old), FRAME_REFUSED);
        cr_expect_eq(push(i, FRAME_EXCHANGE, "k", old), FRAME_REFUSED);
        cr_expect_eq(push(i, FRAME_HINT, "k", old), FRAME_REFUSED);
    }
    cr_expect_eq(push(0, FRAME_CLIENT, "k", record_at(now_ms(), false)),
                 FRAME_DURABLE);
    cr_expect_eq(push(0, FRAME_REPAIR, "k", old), FRAME_DURABLE,
                 "what is here is newer");
}

Test(floor, a_restart_remembers_it)
{
    struct record old;

    wait_ms(100);
    old = record_at(now_ms(), false);
    wait_ms(8000);
    machine_crash(machine(1));
    machine_start(machine(1));
    cr_expect_eq(push(1, FRAME_REPAIR, "k", old), FRAME_REFUSED);
}

Test(floor, who_joins_has_it_before_it_owns_anything)
{
    struct ring_member joining = {.name = view_of(machine(3)->name),
                                  .address = view_of(machine(3)->address),
                                  .incarnation = machine(3)->env.self};
    struct ring_change change = {.joining = &joining};
    uint64_t floor;

    wait_ms(8000);
    floor = machine(0)->floor.levels.purge;
    cr_assert(gt(u64, floor, 0));
    cr_assert_eq(change_plan(&machine(0)->change, &change), KIST_OK);
    while (machine(3)->seat.ring->epoch < 3)
        wait_ms(1);
    cr_expect(ge(u64, machine(3)->floor.levels.floor, floor));
}
