#include "tests/engines/conformance.h"
#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Every test makes a directory "original", closed in good order or as a crash
 * leaves it, and then opens damaged copies of it.
 */
static struct scratch scratch;
static char original[128];
static char copy[128];
static struct engine *engine;
static struct engine_fault fault;

static void set_up(void)
{
    scratch_make(&scratch);
    snprintf(original, sizeof(original), "%s/original", scratch.path);
    snprintf(copy, sizeof(copy), "%s/copy", scratch.path);
}

static void tear_down(void)
{
    if (engine != NULL)
        engine->ops->close(engine);
    scratch_remove(&scratch);
}

static enum kist_status open_in(const char *path, bool accept_data_loss)
{
    struct engine_options options = {
        .path = path,
        .block_cache_bytes = 1 << 20,
        .accept_data_loss = accept_data_loss,
    };

    return conformance_open(&options, &fault, &engine);
}

static void close_it(void)
{
    engine->ops->close(engine);
    engine = NULL;
}

static struct view key_of(unsigned number)
{
    static char text[16];

    snprintf(text, sizeof(text), "key%05u", number);
    return view_of(text);
}

/* Known from the number, so that no wrong bytes pass. */
static struct view value_of(unsigned number)
{
    static char text[300];

    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(number * 131 + i * i * 7 + i);
    return (struct view){text, 100 + number % 200};
}

static void put(struct view key, struct view value)
{
    struct engine_batch batch = {0};

    engine_batch_put(&batch, key, value);
    cr_assert(
        eq(int, engine->ops->apply(engine, &batch, ENGINE_SYNC), KIST_OK));
    engine_batch_free(&batch);
}

static void write_numbers(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        put(key_of(i), value_of(i));
}

/* KIST_OK only with the right bytes. */
static enum kist_status read_number(unsigned number)
{
    struct blob value = BLOB_EMPTY;
    enum kist_status status = engine_get(engine, key_of(number), &value);

    if (status == KIST_OK)
        cr_assert(view_equal(blob_view(&value), value_of(number)),
                  "wrong bytes for %u", number);
    blob_free(&value);
    return status;
}

static unsigned count_numbers(unsigned from, unsigned to)
{
    unsigned found = 0;

    for (unsigned i = from; i < to; i++)
        found += read_number(i) == KIST_OK;
    return found;
}

/* The one log there is in a directory. */
static const char *log_in(const char *directory)
{
    static char path[400];
    DIR *listing = opendir(directory);
    struct dirent *entry;

    path[0] = '\0';
    while ((entry = readdir(listing)) != NULL)
        if (strstr(entry->d_name, ".log") != NULL)
            snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
    closedir(listing);
    cr_assert(path[0] != '\0');
    return path;
}

static uint64_t size_of(const char *path)
{
    struct stat about;

    cr_assert(zero(int, stat(path, &about)));
    return (uint64_t)about.st_size;
}

static void overwrite(const char *path, uint64_t at, struct view bytes)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);

    cr_assert(eq(sz, (size_t)pwrite(file, bytes.data, bytes.size, (off_t)at),
                 bytes.size));
    close(file);
}

static void flip(const char *path, uint64_t at, unsigned bit)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    char byte;

    cr_assert(eq(sz, (size_t)pread(file, &byte, 1, (off_t)at), 1));
    byte = (char)(byte ^ 1 << bit);
    cr_assert(eq(sz, (size_t)pwrite(file, &byte, 1, (off_t)at), 1));
    close(file);
}

static void renew_copy(void)
{
    scratch_remove_tree(copy);
    scratch_copy_tree(original, copy);
}

/* As kill -9 leaves it: nothing is going on, but nothing was closed. */
static void make_crashed(unsigned count)
{
    char live[128];

    snprintf(live, sizeof(live), "%s/live", scratch.path);
    cr_assert(eq(int, open_in(live, false), KIST_OK));
    write_numbers(0, count);
    scratch_copy_tree(live, original);
    close_it();
}

static void make_closed(unsigned count)
{
    cr_assert(eq(int, open_in(original, false), KIST_OK));
    write_numbers(0, count);
    close_it();
}

static void expect_lost(const char *words)
{
    cr_assert(eq(int, open_in(copy, false), KIST_CORRUPT));
    cr_assert(strstr(fault.text, words) != NULL, "%s", fault.text);
    cr_assert(strstr(fault.text, "restore a backup") != NULL, "%s", fault.text);
}

TestSuite(damage, .init = set_up, .fini = tear_down, .timeout = 120);

Test(damage, a_new_and_an_empty_directory_are_whole)
{
    struct wal_verdict verdict;

    cr_assert(zero(int, mkdir(original, 0700)));
    cr_assert(
        eq(int, wal_check(original, conformance_owner, &verdict), KIST_OK));
    cr_assert(eq(int, verdict.damage, WAL_WHOLE));
    make_closed(0);
    cr_assert(
        eq(int, wal_check(original, conformance_owner, &verdict), KIST_OK));
    cr_assert(eq(int, verdict.damage, WAL_WHOLE));
    cr_assert(eq(str, verdict.fault.text, ""));
}

Test(damage, counts_the_writes_of_a_whole_log)
{
    struct wal_verdict verdict;

    make_crashed(500);
    cr_assert(
        eq(int, wal_check(original, conformance_owner, &verdict), KIST_OK));
    cr_assert(eq(int, verdict.damage, WAL_WHOLE));
    cr_assert(eq(u64, verdict.records_before, 500));
    cr_assert(zero(u64, verdict.damaged_bytes));
}

Test(damage, a_log_cut_anywhere_in_its_last_writes_opens_with_all_before)
{
    uint64_t ends[4], cut;
    unsigned whole = 0;

    for (unsigned i = 0; i < 4; i++) {
        char live[128];

        snprintf(live, sizeof(live), "%s/live%u", scratch.path, i);
        cr_assert(eq(int, open_in(live, false), KIST_OK));
        write_numbers(0, 156 + i);
        ends[i] = size_of(log_in(live));
        if (i == 3)
            scratch_copy_tree(live, original);
        close_it();
    }
    cr_assert(lt(u64, ends[0], 32768), "the first block ends in the cut part");
    cr_assert(gt(u64, ends[3], 32768));

    for (cut = ends[0]; cut <= ends[3]; cut += conformance_stride) {
        while (whole < 3 && ends[whole + 1] <= cut)
            whole++;
        renew_copy();
        cr_assert(zero(int, truncate(log_in(copy), (off_t)cut)));
        cr_assert(eq(int, open_in(copy, false), KIST_OK), "cut at %lu: %s",
                  (unsigned long)cut, fault.text);
        cr_assert(eq(uint, count_numbers(0, 160), 156 + whole));
        cr_assert(eq(int, fault.text[0] != '\0', cut != ends[whole]));
        put(key_of(999), value_of(999));
        close_it();
    }
    cr_assert(eq(int, open_in(copy, false), KIST_OK));
    cr_assert(eq(int, read_number(999), KIST_OK));
}

Test(damage, rubbish_behind_the_last_write_is_dropped)
{
    static char rubbish[40000];
    static const size_t sizes[] = {1, 6, 7, 100, 4096, 40000};
    uint64_t end;

    make_crashed(100);
    end = size_of(log_in(original));
    srand(3);
    for (unsigned zeros = 0; zeros < 2; zeros++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            for (size_t at = 0; at < sizeof(rubbish); at++)
                rubbish[at] = zeros ? 0 : (char)rand();
            renew_copy();
            overwrite(log_in(copy), end, (struct view){rubbish, sizes[i]});
            cr_assert(eq(int, open_in(copy, false), KIST_OK), "%s", fault.text);
            cr_assert(strstr(fault.text, "was dropped") != NULL);
            cr_assert(eq(uint, count_numbers(0, 100), 100));
            close_it();
            cr_assert(eq(int, open_in(copy, false), KIST_OK));
            cr_assert(eq(str, fault.text, ""));
            close_it();
        }
    }
}

Test(damage, a_zero_page_in_the_middle_is_refused_with_counts)
{
    static const char zeros[4096];
    unsigned kept;

    make_crashed(400);
    renew_copy();
    overwrite(log_in(copy), 8192, (struct view){zeros, sizeof(zeros)});
    expect_lost("damaged at byte 8");
    cr_assert(strstr(fault.text, "whole writes before") != NULL);
    cr_assert(strstr(fault.text, "whole writes after") != NULL);
    cr_assert(strstr(fault.text, "--accept-data-loss") != NULL);
    expect_lost("damaged at byte 8"); /* And again: nothing was changed. */

    cr_assert(eq(int, open_in(copy, true), KIST_OK), "%s", fault.text);
    cr_assert(strstr(fault.text, "lost") != NULL);
    kept = count_numbers(0, 400);
    cr_assert(gt(uint, kept, 30));
    cr_assert(lt(uint, kept, 400));
    close_it();
    cr_assert(eq(int, open_in(copy, false), KIST_OK), "%s", fault.text);
    cr_assert(eq(uint, count_numbers(0, 400), kept));
}

/* Left alone the libraries would open these two without a word. */
Test(damage, zeros_from_a_block_start_are_refused)
{
    static const char zeros[32768];

    make_crashed(800);
    renew_copy();
    overwrite(log_in(copy), 32768, (struct view){zeros, sizeof(zeros)});
    expect_lost("whole writes after");
}

Test(damage, a_length_that_points_past_the_end_is_refused)
{
    make_crashed(20);
    renew_copy();
    flip(log_in(copy), 5, 6);
    expect_lost("damaged at byte 0: 0 whole writes before");
    cr_assert(strstr(fault.text, "19 whole writes after") != NULL, "%s",
              fault.text);
}

Test(damage, a_value_that_holds_a_log_does_not_look_like_lost_writes)
{
    static char log[20000];
    struct view value = {log, 0};
    char live[128];
    uint64_t end;
    int file;

    make_crashed(100);
    file = open(log_in(original), O_RDONLY | O_CLOEXEC);
    value.size = (size_t)read(file, log, sizeof(log));
    close(file);
    scratch_remove_tree(original);

    snprintf(live, sizeof(live), "%s/live", scratch.path);
    cr_assert(eq(int, open_in(live, false), KIST_OK));
    end = size_of(log_in(live));
    put(key_of(500), value);
    put(key_of(501), value);
    scratch_copy_tree(live, original);
    close_it();

    /* Cut in the second value, behind whole records of the log within. */
    renew_copy();
    cr_assert(
        zero(int, truncate(log_in(copy), (off_t)(end + value.size + 9000))));
    cr_assert(eq(int, open_in(copy, false), KIST_OK), "%s", fault.text);
    cr_assert(strstr(fault.text, "cut off") != NULL, "%s", fault.text);
}

Test(damage, a_missing_log_is_refused)
{
    make_crashed(20);
    renew_copy();
    cr_assert(zero(int, unlink(log_in(copy))));
    expect_lost("is missing");
    cr_assert(eq(int, open_in(copy, true), KIST_OK), "%s", fault.text);
}

Test(damage, without_current_the_tables_are_not_touched)
{
    char current[400];

    make_closed(20);
    cr_assert(eq(int, open_in(original, false), KIST_OK)); /* A table. */
    close_it();
    renew_copy();
    snprintf(current, sizeof(current), "%s/CURRENT", copy);
    cr_assert(zero(int, unlink(current)));
    expect_lost("CURRENT is missing");
    cr_assert(eq(int, open_in(copy, true), KIST_CORRUPT));

    snprintf(current, sizeof(current), "cp %s/CURRENT %s", original, copy);
    cr_assert(zero(int, system(current)));
    cr_assert(eq(int, open_in(copy, false), KIST_OK), "%s", fault.text);
    cr_assert(eq(uint, count_numbers(0, 20), 20));
}

Test(damage, after_an_orderly_close_a_cut_log_is_refused)
{
    uint64_t size;

    make_closed(50);
    size = size_of(log_in(original));
    for (uint64_t cut = size - 120; cut < size; cut += 7 * conformance_stride) {
        renew_copy();
        cr_assert(zero(int, truncate(log_in(copy), (off_t)cut)));
        expect_lost("closed in good order");
    }
    cr_assert(eq(int, open_in(copy, true), KIST_OK), "%s", fault.text);
}

Test(damage, a_damaged_seal_is_no_seal)
{
    char seal[160];

    make_closed(50);
    snprintf(seal, sizeof(seal), "%s/kist.seal", copy);
    for (uint64_t at = 0; at < size_of(log_in(original)) % 40 + 10; at++) {
        renew_copy();
        flip(seal, at, 1);
        cr_assert(eq(int, open_in(copy, false), KIST_OK), "%s", fault.text);
        cr_assert(eq(uint, count_numbers(0, 50), 50));
        close_it();
    }
}

static unsigned scan_forwards(unsigned count)
{
    const struct engine_ops *ops = engine->ops;
    struct engine_iterator *iterator;
    unsigned next = 0;

    cr_assert(eq(int, ops->iterator_open(engine, &iterator), KIST_OK));
    for (ops->seek(iterator, VIEW_LITERAL("")); ops->valid(iterator);
         ops->next(iterator)) {
        cr_assert(view_equal(ops->key(iterator), key_of(next)));
        cr_assert(view_equal(ops->value(iterator), value_of(next)));
        next++;
    }
    cr_assert(next == count || ops->error(iterator) != KIST_OK);
    ops->iterator_close(iterator);
    return next;
}

static unsigned scan_backwards(unsigned count)
{
    const struct engine_ops *ops = engine->ops;
    struct engine_iterator *iterator;
    unsigned left = count;

    cr_assert(eq(int, ops->iterator_open(engine, &iterator), KIST_OK));
    for (ops->seek_before(iterator, VIEW_LITERAL("z")); ops->valid(iterator);
         ops->previous(iterator)) {
        left--;
        cr_assert(view_equal(ops->key(iterator), key_of(left)));
        cr_assert(view_equal(ops->value(iterator), value_of(left)));
    }
    cr_assert(left == 0 || ops->error(iterator) != KIST_OK);
    ops->iterator_close(iterator);
    return count - left;
}

static unsigned read_all(unsigned count)
{
    unsigned found = 0;

    for (unsigned i = 0; i < count; i++) {
        enum kist_status status = read_number(i);

        cr_assert(ne(int, status, KIST_NOT_FOUND), "%u is gone", i);
        found += status == KIST_OK;
    }
    return found;
}

/* The damaged copy opens and answers rightly, or says that it cannot. */
static bool answers_or_refuses(unsigned count)
{
    unsigned read, forwards, backwards;

    if (open_in(copy, false) != KIST_OK) {
        cr_assert(fault.text[0] != '\0');
        return true;
    }
    read = read_all(count);
    forwards = scan_forwards(count);
    backwards = scan_backwards(count);
    engine->ops->compact(engine);
    cr_assert(le(uint, read_all(count), read), "damage is not healed");
    close_it();
    return read < count || forwards < count || backwards < count;
}

static unsigned flip_bits_of(const char *name, unsigned flips, unsigned count)
{
    char path[400];
    uint64_t size;
    unsigned detected = 0;

    snprintf(path, sizeof(path), "%s/%s", original, name);
    size = size_of(path);
    snprintf(path, sizeof(path), "%s/%s", copy, name);
    for (unsigned i = 0; i < flips && size > 0; i += conformance_stride) {
        renew_copy();
        /* The two ends have the structure; the rest is data. */
        if (i < 60)
            flip(path, i / 2 % size, i % 8);
        else if (i < 120)
            flip(path, (size - 1) - (i - 60) % size, i % 8);
        else
            flip(path, (uint64_t)rand() % size, i % 8);
        detected += answers_or_refuses(count);
    }
    return detected;
}

static bool holds_data(const char *name)
{
    return strstr(name, ".log") != NULL || strstr(name, ".ldb") != NULL ||
           strstr(name, ".sst") != NULL || strncmp(name, "MANIFEST", 8) == 0 ||
           strcmp(name, "CURRENT") == 0;
}

Test(damage, a_flipped_bit_anywhere_never_gives_a_wrong_answer)
{
    enum { COUNT = 300, FLIPS = 240 };
    struct dirent *entry;
    unsigned files = 0;
    DIR *listing;

    make_closed(COUNT / 3);
    cr_assert(eq(int, open_in(original, false), KIST_OK));
    write_numbers(COUNT / 3, 2 * COUNT / 3);
    engine->ops->compact(engine);
    write_numbers(2 * COUNT / 3, COUNT);
    close_it();

    srand(11);
    listing = opendir(original);
    while ((entry = readdir(listing)) != NULL) {
        if (!holds_data(entry->d_name))
            continue;

        unsigned detected = flip_bits_of(entry->d_name, FLIPS, COUNT);

        files++;
        cr_assert(gt(uint, detected, FLIPS / 4 / conformance_stride), "%s: %u",
                  entry->d_name, detected);
    }
    closedir(listing);
    cr_assert(ge(uint, files, 4));
}

Test(damage, after_a_crash_a_flipped_bit_costs_the_last_write_at_most)
{
    enum { COUNT = 200 };
    uint64_t size;

    make_crashed(COUNT);
    size = size_of(log_in(original));
    srand(12);
    for (unsigned i = 0; i < 300; i += conformance_stride) {
        renew_copy();
        flip(log_in(copy), i < 40 ? i : (uint64_t)rand() % size, i % 8);
        if (open_in(copy, false) != KIST_OK)
            continue;
        cr_assert(eq(uint, count_numbers(0, COUNT - 1), COUNT - 1));
        close_it();
    }
}
