#include "replication/cluster_scan.h"
#include "base/owner.h"
#include "tests/simulator/machine.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#define COPIES 3
#define MANY   300

static struct world world;
static struct network network;

static void set_up(void)
{
    world_init(&world, 5, false);
    network_init(&network, &world, 5, 0, COPIES);
    network.weather = (struct weather){.delay_us = 500, .sync_us = 500};
    for (unsigned i = 0; i < network.count; i++)
        anti_entropy_stop(&network.machines[i].entropy);
    world_run(&world, 10000); /* They have heard of each other. */
}

static void tear_down(void)
{
    network_clear(&network);
    world_clear(&world);
}

TestSuite(cluster_scan, .init = set_up, .fini = tear_down, .timeout = 60);

static void store(struct machine *machine, struct view key, uint64_t version,
                  struct view value)
{
    struct record record = {.version = {version << 16, 1},
                            .tombstone = value.data == NULL,
                            .value = value};
    struct blob *bytes = &machine_cell(machine, key)->record;

    blob_clear(bytes);
    record_encode(key, &record, bytes);
}

static struct machine *owner_of(const char *key, unsigned i)
{
    unsigned partition = ring_partition_of(network.ring, view_of(key));

    return &network.machines[ring_owners_of(network.ring, partition)[i]];
}

/* On the first so many owners; value NULL: a deletion. */
static void write_key(const char *key, uint64_t version, const char *value,
                      unsigned copies)
{
    struct view bytes = {NULL, 0};

    if (value != NULL)
        bytes = view_of(value);
    for (unsigned i = 0; i < copies; i++)
        store(owner_of(key, i), view_of(key), version, bytes);
}

static void write_many(size_t value_size)
{
    static char value[8192];
    char key[16];

    memset(value, 'v', value_size);
    value[value_size] = '\0';
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "key %03u", i * 7 % MANY);
        write_key(key, 5, value, COPIES);
    }
}

/* Of one page. */
struct reading {
    struct cluster_scan scan;
    bool is_over;
};

static void on_answered(struct cluster_scan *scan)
{
    OWNER(scan, struct reading, scan)->is_over = true;
}

static enum kist_status read_page(struct reading *reading, struct machine *by,
                                  unsigned r, struct env_scan_range range)
{
    enum kist_status status;

    *reading = (struct reading){.scan = {.range = range,
                                         .n = COPIES,
                                         .r = r,
                                         .timeout_ms = 300,
                                         .answered = on_answered}};
    status = cluster_scan_start(&reading->scan, &by->seat);
    if (status != KIST_OK)
        return status;
    while (!reading->is_over && !world.is_wrong)
        world_run(&world, world.now_us + 1000);
    return reading->scan.status;
}

/* "a b c", of the living, with their values after a '='. */
static const char *all_of(unsigned r, struct env_scan_range range)
{
    static char text[512];
    struct reading reading;
    struct scan_page_record found;

    text[0] = '\0';
    cr_assert(read_page(&reading, &network.machines[0], r, range) == KIST_OK);
    cr_assert(reading.scan.is_done);
    while (cluster_scan_next(&reading.scan, &found))
        if (!found.record.tombstone)
            snprintf(text + strlen(text), sizeof(text) - strlen(text),
                     "%s%.*s=%.*s", text[0] == '\0' ? "" : " ",
                     (int)found.key.size, found.key.data,
                     (int)found.record.value.size,
                     found.record.value.data != NULL ? found.record.value.data
                                                     : "-");
    cluster_scan_clear(&reading.scan);
    return text;
}

static const struct env_scan_range everything = {.values = true};

/* Page after page: MANY keys, each once, in order. */
static void expect_many(bool reverse, bool values, size_t value_size)
{
    struct env_scan_range range = {.reverse = reverse, .values = values};
    struct reading reading;
    struct scan_page_record found;
    struct blob place = BLOB_EMPTY;
    unsigned count = 0, pages = 0;
    char key[16];
    bool is_done = false;

    while (!is_done) {
        cr_assert(read_page(&reading, &network.machines[pages % 5], 2, range) ==
                  KIST_OK);
        while (cluster_scan_next(&reading.scan, &found)) {
            snprintf(key, sizeof(key), "key %03u",
                     reverse ? MANY - 1 - count : count);
            cr_assert(view_is(found.key, key), "%s", key);
            cr_assert(eq(sz, found.record.value.size, value_size));
            cr_assert(values == (found.record.value.data != NULL));
            count++;
        }
        is_done = reading.scan.is_done;
        blob_clear(&place);
        blob_append(&place, reading.scan.place);
        if (reverse)
            range.upper = blob_view(&place);
        else
            range.lower = blob_view(&place);
        cluster_scan_clear(&reading.scan);
        pages++;
    }
    cr_assert(eq(uint, count, MANY));
    cr_assert(values ? pages > 1 : pages == 1, "%u", pages);
    blob_free(&place);
}

Test(cluster_scan, every_key_comes_once_and_in_order)
{
    write_many(4000);
    expect_many(false, true, 4000);
    expect_many(false, false, 4000);
}

Test(cluster_scan, backwards_it_is_the_same_the_other_way_round)
{
    write_many(4000);
    expect_many(true, true, 4000);
    expect_many(true, false, 4000);
}

Test(cluster_scan, bounds_are_kept)
{
    struct env_scan_range from_b = {.lower = VIEW_LITERAL("b"), .values = true};
    struct env_scan_range to_b = {.upper = VIEW_LITERAL("b"), .values = true};

    write_key("a", 5, "1", COPIES);
    write_key("b", 5, "2", COPIES);
    write_key("c", 5, "3", COPIES);
    cr_assert(eq(str, (char *)all_of(2, everything), "a=1 b=2 c=3"));
    cr_assert(eq(str, (char *)all_of(2, from_b), "b=2 c=3"));
    cr_assert(eq(str, (char *)all_of(2, to_b), "a=1"));
}

Test(cluster_scan, the_newest_copy_counts_and_a_deletion_hides_older_ones)
{
    write_key("a", 5, "old", COPIES);
    write_key("a", 6, "new", 2);
    write_key("b", 5, "gone", COPIES);
    write_key("b", 6, NULL, 2);
    write_key("c", 5, "here", 2);
    cr_assert(eq(str, (char *)all_of(2, everything), "a=new c=here"));
    cr_assert(eq(str, (char *)all_of(3, everything), "a=new c=here"));
}

Test(cluster_scan, what_a_node_has_but_does_not_own_does_not_count)
{
    write_key("a", 5, "1", COPIES);
    for (unsigned i = 0; i < network.count; i++) {
        bool is_owner = false;

        for (unsigned j = 0; j < COPIES; j++)
            is_owner |= owner_of("a", j) == &network.machines[i];
        if (!is_owner)
            store(&network.machines[i], view_of("a"), 9, view_of("stray"));
    }
    cr_assert(eq(str, (char *)all_of(3, everything), "a=1"));
}

Test(cluster_scan, who_does_not_answer_is_replaced)
{
    write_many(10);
    network.blocked[0][1] = true;
    struct reading reading;

    cr_assert(read_page(&reading, &network.machines[0], 2, everything) ==
              KIST_OK);
    cluster_scan_clear(&reading.scan);
    expect_many(false, false, 10);
}

Test(cluster_scan, with_too_few_owners_there_is_no_list)
{
    struct reading reading;

    write_many(10);
    network.blocked[0][1] = network.blocked[0][2] = true;
    cr_assert(read_page(&reading, &network.machines[0], 2, everything) ==
              KIST_BUSY);
    cluster_scan_clear(&reading.scan);
    cr_assert(read_page(&reading, &network.machines[0], 1, everything) ==
              KIST_OK);
    cluster_scan_clear(&reading.scan);
    cr_assert(read_page(&reading, &network.machines[0], 0, everything) ==
              KIST_INVALID);
    cr_assert(read_page(&reading, &network.machines[0], 4, everything) ==
              KIST_INVALID);
}

Test(cluster_scan, a_crash_on_the_way_is_a_failure_and_no_more)
{
    struct reading reading = {
        .scan = {
            .n = COPIES, .r = 2, .timeout_ms = 300, .answered = on_answered}};

    write_many(10);
    cr_assert(cluster_scan_start(&reading.scan, &network.machines[0].seat) ==
              KIST_OK);
    world_run(&world, world.now_us + 100);
    machine_crash(&network.machines[0]);
    cr_assert(reading.is_over);
    cr_assert(reading.scan.status == KIST_BUSY);
    cluster_scan_clear(&reading.scan);
}
