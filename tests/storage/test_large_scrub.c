#include "storage/large_scrub.h"

#include "tests/storage/large_value.h"
#include "tests/support/large_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 700000, RATE = 1 << 20 };

static const uint64_t DAY = LARGE_SCRUB_EVERY_MS;
static const uint64_t SOME_DAY = UINT64_C(1700000000000);

static struct node node;
static struct large_scrub *scrub;
static char told[200]; /* Of the last damage. */
static unsigned damages;

static void damaged(void *ctx, struct view key, const char *name,
                    const char *why)
{
    (void)ctx;
    cr_expect(eq(sz, strlen(name), LARGE_NAME_SIZE));
    snprintf(told, sizeof(told), "%.*s: %s", (int)key.size, key.data, why);
    damages++;
}

static void open_scrub(void)
{
    struct large_scrub_options options = {.bytes_per_second = RATE,
                                          .damaged = damaged};

    cr_assert(large_scrub_open(node.store, &options, &scrub) == KIST_OK);
}

static void set_up(void)
{
    node_open(&node);
    open_scrub();
    damages = 0;
}

static void tear_down(void)
{
    large_scrub_close(scrub);
    node_close(&node);
}

TestSuite(large_scrub, .init = set_up, .fini = tear_down, .timeout = 60);

static struct large_scrub_stats *stats(void)
{
    return large_scrub_stats(scrub);
}

/* So many seconds at this time of the wall clock. */
static void run(unsigned seconds, uint64_t wall_ms)
{
    static uint64_t mono_ms = 1;

    for (unsigned i = 0; i < seconds; i++)
        large_scrub_run(scrub, mono_ms += 1000, wall_ms);
}

static void store(const char *key)
{
    cr_assert(large_value_store(&node, key, "tide ", SIZE) == KIST_OK);
}

static void open_value(const char *key, int flags, int *out_file)
{
    struct large_reference reference = large_value_of(&node, key);
    char path[160];

    large_value_path(node.path, &reference, path);
    *out_file = open(path, flags);
    cr_assert(ge(int, *out_file, 0));
}

static void flip(const char *key, off_t at)
{
    char byte;
    int file;

    open_value(key, O_RDWR, &file);
    cr_assert(pread(file, &byte, 1, at) == 1);
    byte = (char)(byte ^ 16);
    cr_assert(pwrite(file, &byte, 1, at) == 1);
    close(file);
}

Test(large_scrub, a_pass_reads_every_value_and_finds_no_fault)
{
    store("a");
    store("b");
    run(5, SOME_DAY);
    cr_expect(eq(u64, counter_read(&stats()->passes), 1));
    cr_expect(eq(u64, counter_read(&stats()->bytes), 2 * SIZE));
    cr_expect(eq(u64, counter_read(&stats()->damaged), 0));
    cr_expect(eq(u64, counter_read(&stats()->errors), 0));
    cr_expect(eq(i64, gauge_read(&stats()->ended_ms), (int64_t)SOME_DAY));
}

Test(large_scrub, it_keeps_to_its_rate)
{
    for (int i = 0; i < 5; i++)
        store((const char *[]){"a", "b", "c", "d", "e"}[i]);
    run(1, SOME_DAY);
    cr_expect(ge(u64, counter_read(&stats()->bytes), RATE / 2));
    cr_expect(le(u64, counter_read(&stats()->bytes), RATE + RATE / 2));
    run(2, SOME_DAY);
    cr_expect(le(u64, counter_read(&stats()->bytes), 3 * RATE + RATE / 2));
}

Test(large_scrub, one_flipped_bit_is_found_and_the_file_set_aside)
{
    store("a");
    store("b");
    store("c");
    flip("b", SIZE - 1);
    run(9, SOME_DAY);
    cr_expect(eq(u64, counter_read(&stats()->damaged), 1));
    cr_expect(eq(u32, damages, 1));
    cr_expect(strncmp(told, "b: its bytes have changed", 25) == 0, "%s", told);
    cr_expect(eq(sz, large_files_count(node.path, "damaged"), 1));
    cr_expect(
        eq(i64, gauge_read(&large_stats(store_large(node.store))->damaged), 1));
    cr_expect(eq(u64, counter_read(&stats()->passes), 1));
    cr_expect(large_value_is(&node, "a", "tide ", SIZE));
    cr_expect(large_value_is(&node, "c", "tide ", SIZE));

    struct item item;

    cr_assert(store_get(node.store, view_of("b"), &item) == KIST_OK);
    cr_expect(store_load(node.store, view_of("b"), &item, SIZE) ==
              KIST_CORRUPT);
    item_free(&item);

    /* A new value heals the key; what was set aside stays. */
    store("b");
    cr_expect(large_value_is(&node, "b", "tide ", SIZE));
    large_tend(store_large(node.store));
    run(9, SOME_DAY + DAY);
    cr_expect(eq(u64, counter_read(&stats()->damaged), 1));
    cr_expect(eq(sz, large_files_count(node.path, "damaged"), 1));
}

Test(large_scrub, a_file_of_another_length_is_set_aside)
{
    int file;

    store("a");
    open_value("a", O_RDWR, &file);
    cr_assert(ftruncate(file, SIZE - 1) == 0);
    close(file);
    run(3, SOME_DAY);
    cr_expect(eq(u32, damages, 1));
    cr_expect(eq(sz, large_files_count(node.path, "damaged"), 1));
}

Test(large_scrub, a_missing_file_is_told_once_a_pass)
{
    struct large_reference reference;
    char path[160];

    store("a");
    reference = large_value_of(&node, "a");
    large_value_path(node.path, &reference, path);
    cr_assert(unlink(path) == 0);
    run(3, SOME_DAY);
    cr_expect(eq(u32, damages, 1));
    cr_expect(eq(str, told, "a: its file is missing"));
    run(3, SOME_DAY + DAY);
    cr_expect(eq(u32, damages, 2));
}

Test(large_scrub, a_value_replaced_under_its_eyes_is_no_damage)
{
    store("a");
    run(1, SOME_DAY); /* RATE holds the whole file; one more, half-read. */
    store("b");
    store("c");
    run(1, SOME_DAY + DAY);
    store("a");
    store("b");
    store("c");
    large_tend(store_large(node.store));
    run(9, SOME_DAY + DAY);
    cr_expect(eq(u32, damages, 0));
    cr_expect(eq(u64, counter_read(&stats()->errors), 0));
    cr_expect(eq(u64, counter_read(&stats()->passes), 2));
}

Test(large_scrub, a_pass_begins_once_a_day)
{
    store("a");
    run(9, SOME_DAY);
    run(9, SOME_DAY + DAY - 1);
    cr_expect(eq(u64, counter_read(&stats()->passes), 1));
    run(9, SOME_DAY + DAY);
    cr_expect(eq(u64, counter_read(&stats()->passes), 2));
    run(9, SOME_DAY - DAY); /* The clock was set back. */
    cr_expect(eq(u64, counter_read(&stats()->passes), 3));
}

Test(large_scrub, a_restart_does_not_begin_it_anew)
{
    for (int i = 0; i < 5; i++)
        store((const char *[]){"a", "b", "c", "d", "e"}[i]);
    run(3, SOME_DAY);
    uint64_t before = counter_read(&stats()->bytes);
    large_scrub_close(scrub);
    open_scrub();
    run(9, SOME_DAY + 1000);
    cr_expect(eq(u64, counter_read(&stats()->passes), 1));
    /* The file at hand is read again, the others are not. */
    cr_expect(le(u64, before + counter_read(&stats()->bytes), 6 * SIZE));

    large_scrub_close(scrub);
    open_scrub();
    cr_expect(gt(i64, gauge_read(&stats()->ended_ms), (int64_t)SOME_DAY));
    run(9, SOME_DAY + 2000);
    cr_expect(eq(u64, counter_read(&stats()->bytes), 0));
}

Test(large_scrub, turned_off_it_reads_nothing)
{
    struct large_scrub_options options = {.damaged = damaged};

    store("a");
    large_scrub_close(scrub);
    cr_assert(large_scrub_open(node.store, &options, &scrub) == KIST_OK);
    run(9, SOME_DAY);
    cr_expect(eq(u64, counter_read(&stats()->bytes), 0));
    cr_expect(eq(u64, counter_read(&stats()->passes), 0));
}
