#include "storage/large.h"

#include "tests/storage/large_value.h"
#include "tests/support/large_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static struct scratch scratch;
static struct large *large;
static enum kist_status writable;

static enum kist_status is_writable(void *ctx)
{
    (void)ctx;
    return writable;
}

static void open_large(uint64_t reserve_bytes)
{
    struct large_options options = {
        .directory = scratch.path,
        .reserve_bytes = reserve_bytes,
        .writable = is_writable,
    };
    struct engine_fault fault;

    cr_assert(large_open(&options, &fault, &large) == KIST_OK, "%s",
              fault.text);
}

static void set_up(void)
{
    writable = KIST_OK;
    scratch_make(&scratch);
    open_large(MIB);
}

static void tear_down(void)
{
    large_close(large);
    scratch_remove(&scratch);
}

TestSuite(large, .init = set_up, .fini = tear_down, .timeout = 30);

static uint64_t room(void)
{
    struct statvfs about;

    cr_assert(statvfs(scratch.path, &about) == 0);
    return (uint64_t)about.f_bavail * about.f_frsize;
}

static void expect_value(const struct large_reference *reference,
                         const char *start, size_t size)
{
    struct blob bytes = BLOB_EMPTY;

    cr_assert(large_read(large, reference, &bytes) == KIST_OK);
    cr_expect(eq(sz, bytes.size, size));
    cr_expect(view_starts_with(blob_view(&bytes), view_of(start)));
    blob_free(&bytes);
}

Test(large, what_was_written_is_read_back)
{
    struct large_reference reference;

    cr_assert(large_value_make(large, "tide ", 20 * MIB + 1, &reference) ==
              KIST_OK);
    cr_expect(eq(u64, reference.size, 20 * MIB + 1));
    expect_value(&reference, "tide tide ", 20 * MIB + 1);
    cr_expect(eq(i64, gauge_read(&large_stats(large)->files), 1));
    cr_expect(eq(i64, gauge_read(&large_stats(large)->bytes), 20 * MIB + 1));
    cr_expect(eq(i64, gauge_read(&large_stats(large)->running), 0));
}

Test(large, nobody_else_may_read_the_files)
{
    struct large_reference reference;
    struct stat about;
    char path[160];

    cr_assert(large_value_make(large, "x", 9, &reference) == KIST_OK);
    large_value_path(scratch.path, &reference, path);
    cr_assert(stat(path, &about) == 0);
    cr_expect(eq(int, (int)(about.st_mode & 07777), 0600));
    *strrchr(path, '/') = '\0';
    cr_assert(stat(path, &about) == 0);
    cr_expect(eq(int, (int)(about.st_mode & 07777), 0700));
}

Test(large, a_file_has_no_place_until_it_is_finished)
{
    struct large_file *file;

    cr_assert(large_create(large, 0, &file) == KIST_OK);
    cr_assert(large_append(file, VIEW_LITERAL("half")) == KIST_OK);
    cr_expect(eq(u64, large_size(file), 4));
    cr_expect(eq(sz, large_files_count(scratch.path, "incoming"), 1));
    cr_expect(eq(sz, large_files_count(scratch.path, NULL), 0));
    large_discard(file);
    cr_expect(eq(sz, large_files_count(scratch.path, "incoming"), 0));
}

Test(large, what_was_announced_and_did_not_come_takes_no_room)
{
    struct large_reference reference;
    struct large_file *file;
    struct stat about;
    char path[160];

    cr_assert(large_create(large, 8 * MIB, &file) == KIST_OK);
    cr_assert(large_append(file, VIEW_LITERAL("less")) == KIST_OK);
    cr_assert(large_finish(file, &reference) == KIST_OK);
    large_discard(file);
    large_value_path(scratch.path, &reference, path);
    cr_assert(stat(path, &about) == 0);
    cr_expect(eq(int, (int)about.st_size, 4));
    cr_expect(lt(i64, about.st_blocks * 512, MIB));
    expect_value(&reference, "less", 4);
}

Test(large, a_dropped_file_goes_and_its_readers_go_on)
{
    struct large_reference reference;
    char bytes[4];
    int descriptor;

    cr_assert(large_value_make(large, "tide", 4, &reference) == KIST_OK);
    cr_assert(large_open_file(large, &reference, &descriptor) == KIST_OK);
    large_drop(large, &reference);
    cr_expect(eq(i64, gauge_read(&large_stats(large)->dropped), 1));
    cr_expect(eq(sz, large_files_count(scratch.path, NULL), 1));

    large_tend(large);
    cr_expect(eq(sz, large_files_count(scratch.path, NULL), 0));
    cr_expect(eq(i64, gauge_read(&large_stats(large)->dropped), 0));
    cr_expect(eq(i64, gauge_read(&large_stats(large)->files), 0));
    cr_expect(eq(i64, gauge_read(&large_stats(large)->bytes), 0));
    cr_assert(read(descriptor, bytes, 4) == 4);
    cr_expect(eq(int, memcmp(bytes, "tide", 4), 0));
    close(descriptor);
    cr_expect(large_open_file(large, &reference, &descriptor) ==
              KIST_NOT_FOUND);
}

Test(large, a_file_that_changed_is_corrupt)
{
    struct large_reference reference;
    struct blob bytes = BLOB_EMPTY;
    char path[160];
    int descriptor;

    cr_assert(large_value_make(large, "tide", 4096, &reference) == KIST_OK);
    large_value_path(scratch.path, &reference, path);
    descriptor = open(path, O_WRONLY);
    cr_assert(pwrite(descriptor, "T", 1, 4000) == 1);
    cr_expect(large_read(large, &reference, &bytes) == KIST_CORRUPT);
    cr_expect(eq(sz, bytes.size, 0));

    cr_assert(ftruncate(descriptor, 4000) == 0);
    close(descriptor);
    cr_expect(large_open_file(large, &reference, &descriptor) == KIST_CORRUPT);
    blob_free(&bytes);
}

Test(large, none_is_begun_while_the_store_takes_no_writes)
{
    struct large_file *file;

    writable = KIST_READ_ONLY;
    cr_expect(large_create(large, 1, &file) == KIST_READ_ONLY);
    writable = KIST_DISK_FULL;
    cr_expect(large_create(large, 1, &file) == KIST_DISK_FULL);
    cr_expect(eq(sz, large_files_count(scratch.path, "incoming"), 0));
}

Test(large, what_does_not_fit_is_refused_before_it_is_sent)
{
    struct large_file *file;

    cr_expect(large_create(large, room() + MIB, &file) == KIST_DISK_FULL);
    cr_expect(large_create(large, UINT64_MAX, &file) == KIST_DISK_FULL);
    cr_expect(eq(sz, large_files_count(scratch.path, "incoming"), 0));
    cr_expect(eq(u64, counter_read(&large_stats(large)->refused), 2));
}

/* Others use this disk: half of it is far from what they change. */
Test(large, what_was_announced_for_one_is_not_promised_to_another)
{
    struct large_file *first, *second, *third;
    uint64_t most = room() / 2;

    large_close(large);
    open_large(room() / 4);
    cr_assert(large_create(large, most, &first) == KIST_OK);
    cr_expect(large_create(large, most, &second) == KIST_DISK_FULL);
    cr_assert(large_create(large, MIB, &third) == KIST_OK);
    large_discard(first);
    cr_assert(large_create(large, most, &second) == KIST_OK);
    large_discard(second);
    large_discard(third);
}
