#include "replication/mend.h"
#include "base/owner.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static struct world world;
static struct network network; /* Three, each an owner of all. */
static unsigned done;

static void set_up(void)
{
    world_init(&world, 3, false);
    network_init(&network, &world, 3, 0, 3);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    for (unsigned i = 0; i < 3; i++)
        anti_entropy_stop(&network.machines[i].entropy);
    world_run(&world, world.now_us + 5000000);
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

TestSuite(mend, .init = set_up, .fini = tear_down, .timeout = 20);

static struct cell *cell_of(unsigned machine)
{
    return machine_cell(&network.machines[machine], view_of("key"));
}

static void store(unsigned machine, uint64_t version)
{
    struct record record = {.version = {version << 16, 1},
                            .value = VIEW_LITERAL("value")};

    blob_clear(&cell_of(machine)->record);
    record_encode(view_of("key"), &record, &cell_of(machine)->record);
}

static uint64_t version_at(unsigned machine)
{
    struct record record;

    return machine_record(&network.machines[machine], view_of("key"),
                          &record) == NULL
               ? 0
               : record.version.hlc >> 16;
}

static void on_done(struct mend *mend)
{
    (void)mend;
    done++;
}

static enum kist_status mended(void)
{
    struct mend mend = {
        .key = view_of("key"), .timeout_ms = 400, .done = on_done};
    enum kist_status status = mend_start(&mend, &network.machines[0].seat);

    if (status != KIST_OK)
        return status;
    done = 0;
    world_run(&world, world.now_us + 2000000);
    cr_assert(eq(uint, done, 1));
    return mend.status;
}

Test(mend, a_damaged_record_is_replaced_by_the_copy_of_the_others)
{
    for (unsigned i = 0; i < 3; i++)
        store(i, 5);
    cell_of(0)->is_damaged = true;
    cr_expect(eq(int, mended(), KIST_OK));
    cr_expect(not(cell_of(0)->is_damaged));
    for (unsigned i = 0; i < 3; i++)
        cr_expect(eq(u64, version_at(i), 5));
}

Test(mend, one_that_the_others_have_in_a_newer_version_is_replaced_by_that)
{
    store(0, 5);
    store(1, 6);
    store(2, 5);
    cell_of(0)->is_damaged = true;
    cr_expect(eq(int, mended(), KIST_OK));
    cr_expect(not(cell_of(0)->is_damaged));
    for (unsigned i = 0; i < 3; i++)
        cr_expect(eq(u64, version_at(i), 6));
}

Test(mend, where_the_others_are_older_it_stays_and_goes_nowhere)
{
    store(0, 6);
    store(1, 5);
    store(2, 5);
    cell_of(0)->is_damaged = true;
    cr_expect(eq(int, mended(), KIST_CORRUPT));
    cr_expect(cell_of(0)->is_damaged);
    cr_expect(eq(u64, version_at(0), 6));
    cr_expect(eq(u64, version_at(1), 5));
    cr_expect(eq(u64, version_at(2), 5));
}

Test(mend, nothing_changes_while_too_few_others_are_there)
{
    for (unsigned i = 0; i < 3; i++)
        store(i, 5);
    cell_of(0)->is_damaged = true;
    machine_crash(&network.machines[1]);
    cr_expect(eq(int, mended(), KIST_BUSY));
    cr_expect(cell_of(0)->is_damaged);
    machine_start(&network.machines[1]);
    world_run(&world, world.now_us + 5000000);
    cr_expect(eq(int, mended(), KIST_OK));
}
