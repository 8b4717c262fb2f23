#include "replication/hints.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

static struct world world;
static struct network network;
static struct machine *here, *there;

/* Both machines own everything; nothing but hints brings records over. */
static void set_up(void)
{
    world_init(&world, 5, false);
    network_init(&network, &world, 2, 0, 2);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    here = &network.machines[0];
    there = &network.machines[1];
    anti_entropy_stop(&here->entropy);
    anti_entropy_stop(&there->entropy);
    floor_stop(&here->floor); /* Writes here are older than any. */
    floor_stop(&there->floor);
    members_stop(&here->members); /* Which would wake them. */
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

TestSuite(hints, .init = set_up, .fini = tear_down, .timeout = 20);

static void pass_ms(uint64_t time_ms)
{
    world_run(&world, world.now_us + time_ms * 1000);
}

static void miss(uint64_t target, const char *key, uint64_t version)
{
    struct record record = {.version = {version << 16, 1},
                            .value = view_of("value")};

    hints_add(&here->hints, target, view_of(key), &record);
}

static uint64_t version_there(const char *key)
{
    struct record record = {0};

    machine_record(there, view_of(key), &record);
    return version_ms(record.version);
}

static int64_t pending(void)
{
    return gauge_read(&here->hints.stats.pending);
}

static void expect_empty(void)
{
    cr_expect(eq(i64, pending(), 0));
    cr_expect(eq(i64, gauge_read(&here->hints.stats.bytes), 0));
}

Test(hints, what_a_machine_missed_is_there_soon_after_it_is_back)
{
    char key[16];

    machine_crash(there);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        miss(2, key, 5);
    }
    pass_ms(1000);
    cr_expect(eq(i64, pending(), 10));

    machine_start(there);
    anti_entropy_stop(&there->entropy);
    hints_wake(&here->hints, 2);
    pass_ms(50);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        cr_expect(eq(u64, version_there(key), 5), "%s", key);
    }
    expect_empty();
}

Test(hints, without_being_woken_it_tries_again_by_itself)
{
    machine_crash(there);
    miss(2, "ada", 5);
    pass_ms(200);
    machine_start(there);
    pass_ms(1000);
    cr_expect(eq(u64, version_there("ada"), 5));
    expect_empty();
}

Test(hints, of_one_key_only_the_newest_is_kept)
{
    machine_crash(there);
    miss(2, "ada", 5);
    miss(2, "ada", 7);
    miss(2, "ada", 6);
    cr_expect(eq(i64, pending(), 1));
    machine_start(there);
    pass_ms(1000);
    cr_expect(eq(u64, version_there("ada"), 7));
    cr_expect(eq(u64, counter_read(&here->hints.stats.delivered), 1));
}

Test(hints, a_hint_stays_until_the_target_says_that_it_is_durable)
{
    network.blocked[1][0] = true; /* The answer is lost. */
    miss(2, "ada", 5);
    pass_ms(700);
    cr_expect(eq(u64, version_there("ada"), 5));
    cr_expect(eq(i64, pending(), 1));

    network.blocked[1][0] = false;
    pass_ms(2000);
    expect_empty();
}

Test(hints, a_full_disk_there_is_no_delivery)
{
    there->disk_is_full = true;
    miss(2, "ada", 5);
    pass_ms(700);
    cr_expect(eq(i64, pending(), 1));
    there->disk_is_full = false;
    pass_ms(2500);
    expect_empty();
}

Test(hints, one_that_is_replaced_on_its_way_stays)
{
    network.weather.delay_us = 100000;
    miss(2, "ada", 5);
    pass_ms(51); /* Out, and not there yet. */
    miss(2, "ada", 6);
    cr_expect(eq(i64, pending(), 1));
    pass_ms(2000);
    cr_expect(eq(u64, version_there("ada"), 6));
    cr_expect(eq(u64, counter_read(&here->hints.stats.delivered), 2));
    expect_empty();
}

Test(hints, there_are_no_more_than_the_limit_allows)
{
    machine_crash(there);
    for (unsigned i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof(key), "key %u", i);
        miss(2, key, 5);
        cr_assert(le(sz, here->hints.bytes, 4000));
    }
    cr_expect(gt(i64, pending(), 5));
    cr_expect(eq(u64, counter_read(&here->hints.stats.dropped),
                 100 - (uint64_t)pending()));
}

Test(hints, old_ones_are_left_to_the_comparison)
{
    machine_crash(there);
    miss(2, "ada", 5);
    pass_ms(3500);
    machine_start(there);
    anti_entropy_stop(&there->entropy);
    pass_ms(3000);
    cr_expect(eq(u64, version_there("ada"), 0));
    cr_expect(eq(u64, counter_read(&here->hints.stats.expired), 1));
    expect_empty();
}

Test(hints, who_is_no_owner_any_more_does_not_get_them)
{
    miss(99, "ada", 5);
    pass_ms(1000);
    cr_expect(eq(u64, version_there("ada"), 5));
    cr_expect(eq(u64, counter_read(&here->hints.stats.moved), 1));
    expect_empty();
}
