#include "storage/disk.h"

#include "tests/support/scratch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/*
 * A filesystem of the test's own: these definitions come before the C
 * library's. Free room is what the test says, less the ballast that exists.
 */
static struct {
    bool faked;
    bool broken; /* statvfs itself fails. */
    uint64_t size;
    uint64_t free_without_ballast;
    uint64_t inodes;
    uint64_t free_inodes;
} filesystem;

static struct scratch scratch;
static struct engine_fault fault;
static struct disk *disk;

static uint64_t ballast_size(void)
{
    char path[128];
    struct stat about;

    snprintf(path, sizeof(path), "%s/ballast", scratch.path);
    return stat(path, &about) == 0 ? (uint64_t)about.st_size : 0;
}

int fstatvfs(int file, struct statvfs *about)
{
    int (*real)(int, struct statvfs *) =
        (int (*)(int, struct statvfs *))dlsym(RTLD_NEXT, "fstatvfs64");

    if (!filesystem.faked)
        return real(file, about);
    if (filesystem.broken) {
        errno = EIO;
        return -1;
    }
    memset(about, 0, sizeof(*about));
    about->f_frsize = 1;
    about->f_blocks = filesystem.size;
    about->f_bavail = filesystem.free_without_ballast - ballast_size();
    about->f_files = filesystem.inodes;
    about->f_favail = filesystem.free_inodes;
    return 0;
}

int posix_fallocate(int file, off_t offset, off_t size)
{
    int (*real)(int, off_t, off_t) =
        (int (*)(int, off_t, off_t))dlsym(RTLD_NEXT, "posix_fallocate64");

    if (filesystem.faked &&
        (uint64_t)size > filesystem.free_without_ballast - ballast_size())
        return ENOSPC;
    return real(file, offset, size);
}

enum { MIB = 1 << 20 };

static void set_up(void)
{
    scratch_make(&scratch);
    filesystem.faked = true;
    filesystem.size = 100 * MIB;
    filesystem.free_without_ballast = 50 * MIB;
    filesystem.inodes = filesystem.free_inodes = 10000;
}

static void tear_down(void)
{
    disk_close(disk);
    filesystem.faked = false;
    scratch_remove(&scratch);
}

static enum kist_status open_disk(uint64_t reserve, uint64_t ballast)
{
    struct disk_options options = {
        .write_buffers = 2,
        .directory = scratch.path,
        .reserve_bytes = reserve,
        .ballast_bytes = ballast,
    };

    return disk_open(&options, &fault, &disk);
}

/* Free bytes as they are with the ballast in its place. */
static enum disk_space check_with_free(uint64_t bytes)
{
    filesystem.free_without_ballast = bytes + disk_ballast_bytes(disk);
    return disk_check(disk);
}

TestSuite(disk, .init = set_up, .fini = tear_down, .timeout = 10);

Test(disk, is_low_below_the_reserve_and_fine_a_quarter_above_it)
{
    cr_assert(eq(int, open_disk(8 * MIB, MIB), KIST_OK), "%s", fault.text);
    cr_assert(eq(int, disk_space(disk), DISK_OK));
    cr_assert(eq(int, check_with_free(8 * MIB), DISK_OK));
    cr_assert(eq(int, check_with_free(8 * MIB - 1), DISK_LOW));
    cr_assert(eq(u64, disk_free_bytes(disk), 8 * MIB - 1));
    cr_assert(eq(int, check_with_free(9 * MIB), DISK_LOW));
    cr_assert(eq(int, check_with_free(10 * MIB), DISK_OK));
    cr_assert(eq(int, check_with_free(9 * MIB), DISK_OK));
}

Test(disk, is_low_without_inodes)
{
    cr_assert(eq(int, open_disk(8 * MIB, MIB), KIST_OK));
    filesystem.free_inodes = 50;
    cr_assert(eq(int, disk_check(disk), DISK_LOW));
    filesystem.free_inodes = 1000;
    cr_assert(eq(int, disk_check(disk), DISK_OK));
    filesystem.inodes = filesystem.free_inodes = 0; /* As btrfs says. */
    cr_assert(eq(int, disk_check(disk), DISK_OK));
}

Test(disk, that_cannot_be_measured_is_low)
{
    cr_assert(eq(int, open_disk(8 * MIB, MIB), KIST_OK));
    filesystem.broken = true;
    cr_assert(eq(int, disk_check(disk), DISK_LOW));
    filesystem.broken = false;
    cr_assert(eq(int, disk_check(disk), DISK_OK));
}

Test(disk, ballast_is_real_and_survives_closing)
{
    char path[128];
    struct stat about;

    cr_assert(eq(int, open_disk(8 * MIB, 3 * MIB), KIST_OK));
    disk_close(disk);
    snprintf(path, sizeof(path), "%s/ballast", scratch.path);
    cr_assert(zero(int, stat(path, &about)));
    cr_assert(eq(u64, (uint64_t)about.st_size, 3 * MIB));
    cr_assert(ge(u64, (uint64_t)about.st_blocks * 512, 3 * MIB));

    cr_assert(eq(int, open_disk(8 * MIB, 2 * MIB), KIST_OK));
    cr_assert(eq(u64, ballast_size(), 2 * MIB));
}

Test(disk, ballast_with_a_hole_is_written_again)
{
    char path[128];
    struct stat about;

    snprintf(path, sizeof(path), "%s/ballast", scratch.path);
    cr_assert(zero(int, close(open(path, O_WRONLY | O_CREAT, 0600))));
    cr_assert(zero(int, truncate(path, 3 * MIB)));
    cr_assert(eq(int, open_disk(8 * MIB, 3 * MIB), KIST_OK));
    cr_assert(zero(int, stat(path, &about)));
    cr_assert(ge(u64, (uint64_t)about.st_blocks * 512, 3 * MIB));
}

Test(disk, is_low_without_ballast_and_gets_it_back_by_itself)
{
    cr_assert(eq(int, open_disk(8 * MIB, 4 * MIB), KIST_OK));
    check_with_free(MIB);
    disk_release_ballast(disk);
    cr_assert(zero(u64, ballast_size()));
    cr_assert(eq(int, disk_check(disk), DISK_LOW));
    cr_assert(eq(u64, disk_free_bytes(disk), 5 * MIB));

    filesystem.free_without_ballast = 14 * MIB - 1; /* 8 * 5/4 + 4. */
    cr_assert(eq(int, disk_check(disk), DISK_LOW));
    cr_assert(zero(u64, ballast_size()));
    filesystem.free_without_ballast = 14 * MIB;
    cr_assert(eq(int, disk_check(disk), DISK_OK));
    cr_assert(eq(u64, ballast_size(), 4 * MIB));
}

Test(disk, restoring_without_room_is_refused_and_leaves_no_half_file)
{
    cr_assert(eq(int, open_disk(8 * MIB, 4 * MIB), KIST_OK));
    disk_release_ballast(disk);
    filesystem.free_without_ballast = 3 * MIB;
    cr_assert(eq(int, disk_restore_ballast(disk), KIST_DISK_FULL));
    cr_assert(zero(u64, ballast_size()));
    filesystem.free_without_ballast = 5 * MIB;
    cr_assert(eq(int, disk_restore_ballast(disk), KIST_OK));
    cr_assert(eq(u64, ballast_size(), 4 * MIB));
    cr_assert(eq(int, disk_restore_ballast(disk), KIST_OK));
}

Test(disk, a_full_disk_at_the_start_is_low_not_an_error)
{
    filesystem.free_without_ballast = MIB;
    cr_assert(eq(int, open_disk(8 * MIB, 4 * MIB), KIST_OK), "%s", fault.text);
    cr_assert(eq(int, disk_space(disk), DISK_LOW));
    filesystem.free_without_ballast = 50 * MIB;
    cr_assert(eq(int, disk_check(disk), DISK_OK));
    cr_assert(eq(u64, ballast_size(), 4 * MIB));
}

Test(disk, default_sizes_fit_the_filesystem)
{
    cr_assert(eq(int, open_disk(0, 0), KIST_OK), "%s", fault.text);
    cr_assert(eq(u64, disk_ballast_bytes(disk), 5 * MIB));
    cr_assert(eq(u64, disk_reserve_bytes(disk), 10 * MIB));
    disk_close(disk);

    filesystem.size = 100000ull * MIB;
    filesystem.free_without_ballast = 50000ull * MIB;
    cr_assert(eq(int, open_disk(0, 0), KIST_OK), "%s", fault.text);
    cr_assert(eq(u64, disk_ballast_bytes(disk), 96 * MIB));
    cr_assert(eq(u64, disk_reserve_bytes(disk), 4096ull * MIB));
}

Test(disk, a_filesystem_smaller_than_its_reserve_is_refused)
{
    cr_assert(eq(int, open_disk(90 * MIB, 4 * MIB), KIST_INVALID));
    cr_assert(strstr(fault.text, "too few") != NULL);
}

Test(disk, the_real_filesystem_answers)
{
    filesystem.faked = false;
    cr_assert(eq(int, open_disk(MIB, MIB), KIST_OK), "%s", fault.text);
    cr_assert(eq(int, disk_space(disk), DISK_OK));
    cr_assert(gt(u64, disk_free_bytes(disk), MIB));
}
