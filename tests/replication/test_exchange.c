#include "base/owner.h"
#include "replication/exchange.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world world;
static struct network network;

struct run {
    struct exchange exchange;
    unsigned done;
    uint64_t done_us;
};

static void set_up(void)
{
    world_init(&world, 3, false);
    network_init(&network, &world, 2, 0, 2);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    for (unsigned i = 0; i < 2; i++)
        anti_entropy_stop(&network.machines[i].entropy);
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

TestSuite(exchange, .init = set_up, .fini = tear_down, .timeout = 20);

static void store(unsigned machine, const char *key, uint64_t version,
                  bool tombstone)
{
    struct cell *cell = machine_cell(&network.machines[machine], view_of(key));
    struct record record = {.version = {version << 16, machine + 1},
                            .tombstone = tombstone};

    if (!tombstone)
        record.value = view_of(key);
    blob_clear(&cell->record);
    record_encode(view_of(key), &record, &cell->record);
}

/* The next key of that leaf, from number *from on, which goes behind it. */
static void next_key_in(unsigned leaf, unsigned *from, char out_key[16])
{
    const struct ring *ring = network.ring;

    for (;;) {
        struct view key;

        snprintf(out_key, 16, "%u", (*from)++);
        key = view_of(out_key);
        if (ring_partition_of(ring, key) == 3 &&
            ring_leaf_of(ring, key) == leaf)
            return;
    }
}

static void on_done(struct exchange *exchange)
{
    struct run *run = OWNER(exchange, struct run, exchange);

    run->done++;
    run->done_us = world.now_us;
}

static struct exchange *exchanged(struct run *run)
{
    *run = (struct run){.exchange = {.peer = network.machines[1].env.self,
                                     .timeout_ms = 400,
                                     .settle_ms = 100,
                                     .done = on_done}};
    cr_assert_eq(exchange_start(&run->exchange, &network.machines[0].seat),
                 KIST_OK);
    cr_expect(eq(uint, run->done, 0), "called back within the start");
    world_run(&world, world.now_us + 5000000);
    cr_assert(eq(uint, run->done, 1));
    return &run->exchange;
}

static void expect_same(void)
{
    for (unsigned i = 0; i < CELLS_MAX; i++) {
        struct cell *here = &network.machines[0].cells[i];
        struct cell *there;

        if (here->key.size == 0)
            break;
        there = machine_cell(&network.machines[1], blob_view(&here->key));
        cr_expect(
            view_equal(blob_view(&here->record), blob_view(&there->record)),
            "key %.*s", (int)here->key.size, here->key.data);
    }
}

Test(exchange, owners_that_have_the_same_send_no_records)
{
    struct run run;

    for (unsigned i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof(key), "key %u", i);
        store(0, key, 5, false);
        store(1, key, 5, false);
        machine_cell(&network.machines[1], view_of(key))->record.size = 0;
        blob_append(
            &machine_cell(&network.machines[1], view_of(key))->record,
            blob_view(
                &machine_cell(&network.machines[0], view_of(key))->record));
    }
    exchanged(&run);
    cr_expect_eq(run.exchange.status, KIST_OK);
    cr_expect(eq(uint, run.exchange.compared, 16));
    cr_expect(eq(uint, run.exchange.differed, 0));
    cr_expect(eq(uint, run.exchange.fetched + run.exchange.pushed, 0));
}

Test(exchange, each_side_gets_what_the_other_has_newer)
{
    struct run run;

    store(0, "here only", 5, false);
    store(1, "there only", 5, false);
    store(0, "newer here", 6, false);
    store(1, "newer here", 5, false);
    store(0, "deleted there", 5, false);
    store(1, "deleted there", 6, true);
    exchanged(&run);
    cr_expect_eq(run.exchange.status, KIST_OK);
    cr_expect(eq(uint, run.exchange.fetched, 2));
    cr_expect(eq(uint, run.exchange.pushed, 2));
    expect_same();
}

/* Pages that end at different keys, on either side, and one side alone. */
Test(exchange, a_leaf_of_several_pages_is_compared_whole)
{
    unsigned from = 0;
    char key[16];
    struct run run;

    for (unsigned i = 0; i < 920; i++) {
        next_key_in(9, &from, key);
        if (i % 3 != 0)
            store(0, key, 5, false);
        if (i % 5 != 0 && i < 720)
            store(1, key, 5 + i % 2, i % 7 == 0);
    }
    exchanged(&run);
    cr_expect_eq(run.exchange.status, KIST_OK);
    cr_expect(eq(uint, run.exchange.differed, 1));
    cr_expect(gt(uint, run.exchange.fetched, FRAME_PAGE_MAX));
    cr_expect(gt(uint, run.exchange.pushed, FRAME_PAGE_MAX / 2));
    expect_same();
}

/* Parts of several partitions, of which pages end within any. */
Test(exchange, pages_go_on_in_the_next_part)
{
    char key[16];
    struct run run;

    for (unsigned i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        if (i % 3 != 0)
            store(0, key, 5, false);
        if (i % 3 != 1)
            store(1, key, 5 + i % 2, false);
    }
    exchanged(&run);
    cr_expect_eq(run.exchange.status, KIST_OK);
    expect_same();
}

/* One after the other it would be 16 times a list and a fetch. */
Test(exchange, partitions_that_differ_are_looked_through_together)
{
    char key[16];
    struct run run;
    uint64_t began_us = world.now_us;

    for (unsigned i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "key %u", i);
        store(1, key, 5, false);
    }
    exchanged(&run);
    cr_expect(eq(uint, run.exchange.fetched, 100));
    expect_same();
    cr_expect(lt(u64, run.done_us - began_us, 100000 + 10000));
}

/* Values of 300,000 bytes: messages end before a transport refuses them. */
Test(exchange, big_records_come_in_pieces)
{
    static char bytes[300000];
    unsigned from = 0;
    char key[16];
    struct run run;

    memset(bytes, 'x', sizeof(bytes));
    for (unsigned i = 0; i < 2 * 40; i++) {
        struct record record = {.version = {5 << 16, 1},
                                .value = {bytes, sizeof(bytes)}};
        struct cell *cell;

        next_key_in(9, &from, key);
        cell = machine_cell(&network.machines[i % 2], view_of(key));
        record_encode(view_of(key), &record, &cell->record);
    }
    cr_expect_eq(exchanged(&run)->status, KIST_OK);
    cr_expect(not(world.is_wrong), "%s", world.fault);
    cr_expect(eq(uint, run.exchange.fetched, 40));
    cr_expect(eq(uint, run.exchange.pushed, 40));
    expect_same();
}

/* Leaf by leaf it would be 64 times a list and a push, at 1 ms each way. */
Test(exchange, a_partition_of_which_all_differs_is_compared_by_pages)
{
    char key[16];
    struct run run;
    uint64_t began_us = world.now_us;

    for (unsigned leaf = 0; leaf < RING_LEAVES; leaf++) {
        unsigned from = 0;

        next_key_in(leaf, &from, key);
        store(0, key, 6, false);
        store(1, key, 5, false);
        next_key_in(leaf, &from, key);
        store(0, key, 5, false);
        store(1, key, 6, false);
    }
    exchanged(&run);
    cr_expect_eq(run.exchange.status, KIST_OK);
    cr_expect(eq(uint, run.exchange.differed, RING_LEAVES));
    cr_expect(eq(uint, run.exchange.fetched, RING_LEAVES));
    cr_expect(eq(uint, run.exchange.pushed, RING_LEAVES));
    expect_same();
    cr_expect(lt(u64, run.done_us - began_us, 100000 + 30000));
}

Test(exchange, what_catches_up_while_it_waits_is_not_listed)
{
    struct run run = {0};

    store(0, "late", 5, false);
    run.exchange = (struct exchange){.peer = network.machines[1].env.self,
                                     .timeout_ms = 400,
                                     .settle_ms = 100,
                                     .done = on_done};
    cr_assert_eq(exchange_start(&run.exchange, &network.machines[0].seat),
                 KIST_OK);
    world_run(&world, world.now_us + 50000);
    cr_assert_eq(run.exchange.state, EXCHANGE_SETTLING);
    machine_cell(&network.machines[1], view_of("late"));
    blob_append(
        &machine_cell(&network.machines[1], view_of("late"))->record,
        blob_view(
            &machine_cell(&network.machines[0], view_of("late"))->record));
    world_run(&world, world.now_us + 500000);
    cr_expect(eq(uint, run.done, 1));
    cr_expect(eq(uint, run.exchange.differed, 0));
}

Test(exchange, a_peer_that_is_down_ends_it)
{
    struct run run;

    machine_crash(&network.machines[1]);
    cr_expect_eq(exchanged(&run)->status, KIST_IO);
    machine_start(&network.machines[1]);
    anti_entropy_stop(&network.machines[1].entropy);
    cr_expect_eq(exchanged(&run)->status, KIST_OK);
}

Test(exchange, a_full_disk_there_ends_it_and_keeps_what_came)
{
    struct run run;

    store(0, "here", 5, false);
    store(1, "there", 5, false);
    network.machines[1].disk_is_full = true;
    cr_expect_eq(exchanged(&run)->status, KIST_READ_ONLY);
    network.machines[1].disk_is_full = false;
    cr_expect_eq(exchanged(&run)->status, KIST_OK);
    expect_same();
}

/* Large values. */

static struct record large_record(unsigned serial, uint64_t version,
                                  struct blob *bytes)
{
    struct large_reference file = {.serial = serial, .size = 100};

    blob_clear(bytes);
    large_reference_encode(&file, bytes);
    return (struct record){.version = {version << 16, 1},
                           .large = true,
                           .value = blob_view(bytes)};
}

enum file { WITH_FILE, WITHOUT_FILE };

static void store_large_value(unsigned machine, const char *key,
                              unsigned serial, enum file file)
{
    struct cell *cell = machine_cell(&network.machines[machine], view_of(key));
    struct blob bytes = BLOB_EMPTY;
    struct record record = large_record(serial, 5, &bytes);

    blob_clear(&cell->record);
    record_encode(view_of(key), &record, &cell->record);
    if (file == WITH_FILE)
        machine_put_file(&network.machines[machine], &record);
    blob_free(&bytes);
}

static bool has_file(unsigned machine, unsigned serial)
{
    struct blob bytes = BLOB_EMPTY;
    struct record record = large_record(serial, 5, &bytes);
    bool has = machine_has_file(&network.machines[machine], &record);

    blob_free(&bytes);
    return has;
}

Test(exchange, files_go_either_way_with_their_records)
{
    struct run run;

    store_large_value(0, "ours", 1, WITH_FILE);
    store_large_value(1, "theirs", 2, WITH_FILE);
    store(1, "small", 5, false);
    cr_expect(eq(int, exchanged(&run)->status, KIST_OK));
    cr_expect(eq(uint, run.exchange.fetched, 2));
    cr_expect(eq(uint, run.exchange.pushed, 1));
    expect_same();
    cr_expect(has_file(0, 2));
    cr_expect(has_file(1, 1));
}

Test(exchange, a_file_that_nobody_has_holds_nothing_else_up)
{
    struct run run;

    store_large_value(1, "lost", 1, WITHOUT_FILE);
    for (unsigned i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof(key), "key %u", i);
        store(1, key, 5, false);
    }
    cr_expect(eq(int, exchanged(&run)->status, KIST_CONFLICT));
    cr_expect(eq(uint, run.exchange.fetched, 20));
    cr_expect(zero(
        sz, machine_cell(&network.machines[0], view_of("lost"))->record.size));
}

static bool had[16]; /* Of each partition. */

static bool wants_all(struct exchange *exchange, unsigned partition)
{
    (void)exchange, (void)partition;
    return true;
}

static void note_had(struct exchange *exchange, unsigned partition,
                     unsigned fetched)
{
    (void)exchange, (void)fetched;
    had[partition] = true;
}

/* As a new owner of all of them. */
static void wanted_partitions(struct run *run, uint64_t bytes_per_s)
{
    *run = (struct run){.exchange = {.peer = network.machines[1].env.self,
                                     .timeout_ms = 400,
                                     .done = on_done,
                                     .wants = wants_all,
                                     .has = note_had,
                                     .bytes_per_s = bytes_per_s}};
    cr_assert_eq(exchange_start(&run->exchange, &network.machines[0].seat),
                 KIST_OK);
    world_run(&world, world.now_us + 5000000);
    cr_assert(eq(uint, run->done, 1));
}

Test(exchange, a_new_owner_has_no_partition_without_its_files)
{
    struct run run;

    store_large_value(1, "lost", 1, WITHOUT_FILE);
    store_large_value(1, "there", 2, WITH_FILE);
    wanted_partitions(&run, 0);
    cr_expect(eq(int, run.exchange.status, KIST_CONFLICT));
    cr_expect(has_file(0, 2));
    cr_expect(not(had[ring_partition_of(network.ring, view_of("lost"))]));
    cr_expect(had[ring_partition_of(network.ring, view_of("there"))]);
}

Test(exchange, a_new_owner_fetches_no_faster_than_it_may)
{
    struct run run;
    uint64_t began_us = world.now_us;

    for (unsigned i = 0; i < 1000; i++) {
        char key[16];

        snprintf(key, sizeof(key), "key %u", i);
        store(1, key, 5, false);
    }
    wanted_partitions(&run, 50000);
    cr_expect(eq(int, run.exchange.status, KIST_OK));
    cr_expect(eq(uint, run.exchange.fetched, 1000));
    cr_expect(gt(u64, run.done_us - began_us, run.exchange.bytes * 1000 / 50));
    for (unsigned i = 0; i < 16; i++)
        cr_expect(had[i]);
}
