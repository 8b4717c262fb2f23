#include "replication/anti_entropy.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

enum { SECOND_US = 1000000 };

static struct world world;
static struct network network;
static struct anti_entropy *entropy; /* Of the first of three. */

static void set_up(void)
{
    world_init(&world, 3, false);
    network_init(&network, &world, 3, 0, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    for (unsigned i = 0; i < 3; i++)
        anti_entropy_stop(&network.machines[i].entropy);
    world_run(&world, world.now_us + 5 * SECOND_US);
    entropy = &network.machines[0].entropy;
    entropy->period_ms = 3600 * 1000;
    entropy->settle_ms = 2000;
    anti_entropy_start(entropy);
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

TestSuite(anti_entropy, .init = set_up, .fini = tear_down, .timeout = 20);

static uint64_t compared(void)
{
    return counter_read(&entropy->stats.exchanges);
}

static void expect(unsigned machine)
{
    anti_entropy_expect(entropy, network.machines[machine].env.self);
}

Test(anti_entropy, a_peer_that_is_back_does_not_wait_for_its_turn)
{
    uint64_t before = compared();

    world_run(&world, world.now_us + 10 * SECOND_US);
    cr_expect(eq(u64, compared(), before), "it was its turn");
    for (unsigned i = 0; i < 4; i++) {
        unsigned machine = 1 + i / 2; /* Turns would alternate. */

        expect(machine);
        world_run(&world, world.now_us + 3 * SECOND_US);
        cr_expect(eq(u64, compared(), before + i + 1));
        cr_expect(eq(u64, entropy->exchange.peer,
                     network.machines[machine].env.self));
    }
    world_run(&world, world.now_us + 10 * SECOND_US);
    cr_expect(eq(u64, compared(), before + 4), "once is enough");
}

Test(anti_entropy, who_is_back_in_the_middle_of_another_one_is_next)
{
    uint64_t before = compared();

    machine_cell(&network.machines[0], view_of("a"));
    expect(1);
    while (!entropy->is_busy)
        world_run(&world, world.now_us + 100);
    expect(2);
    cr_assert(entropy->is_busy);
    world_run(&world, world.now_us + 6 * SECOND_US);
    cr_expect(eq(u64, compared(), before + 2));
    cr_expect(eq(u64, entropy->exchange.peer, network.machines[2].env.self));
}
