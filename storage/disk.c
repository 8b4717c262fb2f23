#include "storage/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BALLAST_NAME "ballast"

static const uint64_t MIB = 1 << 20;

/* A compaction or a value file needs a few; nobody stores by the inode. */
enum { RESERVE_INODES = 128 };

struct disk {
    /* Set by open, then read-only. */
    int directory;
    uint64_t reserve_bytes;
    uint64_t ballast_bytes;

    /* The one thread in check, release and restore. */
    bool has_ballast;

    _Atomic uint64_t free_bytes;
    _Atomic enum disk_space space;
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A quarter more than low: where low ends. */
static uint64_t and_a_quarter(uint64_t low)
{
    return low + low / 4;
}

enum disk_space disk_space(const struct disk *disk)
{
    return atomic_load(&disk->space);
}

uint64_t disk_free_bytes(const struct disk *disk)
{
    return atomic_load(&disk->free_bytes);
}

uint64_t disk_reserve_bytes(const struct disk *disk)
{
    return disk->reserve_bytes;
}

uint64_t disk_ballast_bytes(const struct disk *disk)
{
    return disk->ballast_bytes;
}

/* Bytes that are really there, not a hole that a copy tool may have left. */
static bool is_whole(const struct disk *disk)
{
    struct stat about;

    return fstatat(disk->directory, BALLAST_NAME, &about, 0) == 0 &&
           (uint64_t)about.st_size == disk->ballast_bytes &&
           (uint64_t)about.st_blocks * 512 >= disk->ballast_bytes;
}

static int write_ballast(int file, uint64_t size)
{
    int error = posix_fallocate(file, 0, (off_t)size);

    if (error == 0 && fsync(file) != 0)
        error = errno;
    return error;
}

enum kist_status disk_restore_ballast(struct disk *disk)
{
    int file, error;

    if (disk->has_ballast)
        return KIST_OK;
    file = openat(disk->directory, BALLAST_NAME,
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        error = errno;
    } else {
        error = write_ballast(file, disk->ballast_bytes);
        close(file);
    }
    if (error == 0) {
        disk->has_ballast = true;
        return KIST_OK;
    }
    unlinkat(disk->directory, BALLAST_NAME, 0);
    return error == ENOSPC || error == EDQUOT ? KIST_DISK_FULL : KIST_IO;
}

void disk_release_ballast(struct disk *disk)
{
    unlinkat(disk->directory, BALLAST_NAME, 0);
    disk->has_ballast = false;
    atomic_store(&disk->space, DISK_LOW);
}

static uint64_t free_bytes_of(const struct statvfs *about)
{
    return (uint64_t)about->f_bavail * about->f_frsize;
}

/* Some filesystems have no fixed number of inodes and say 0 of 0. */
static bool has_inodes(const struct statvfs *about, uint64_t wanted)
{
    return about->f_files == 0 || about->f_favail >= wanted;
}

static bool has_room(const struct disk *disk, const struct statvfs *about,
                     uint64_t beside)
{
    uint64_t bytes = disk->reserve_bytes, inodes = RESERVE_INODES;

    if (disk_space(disk) == DISK_LOW) {
        bytes = and_a_quarter(bytes);
        inodes = and_a_quarter(inodes);
    }
    return free_bytes_of(about) >= bytes + beside && has_inodes(about, inodes);
}

enum disk_space disk_check(struct disk *disk)
{
    struct statvfs about;
    bool room;

    /* A disk that does not even answer is not one to write to. */
    if (fstatvfs(disk->directory, &about) != 0) {
        atomic_store(&disk->space, DISK_LOW);
        return DISK_LOW;
    }
    if (disk->has_ballast) {
        room = has_room(disk, &about, 0);
    } else {
        room = has_room(disk, &about, disk->ballast_bytes) &&
               disk_restore_ballast(disk) == KIST_OK &&
               fstatvfs(disk->directory, &about) == 0;
    }
    atomic_store(&disk->free_bytes, free_bytes_of(&about));
    atomic_store(&disk->space, room ? DISK_OK : DISK_LOW);
    return disk_space(disk);
}

static void choose_sizes(struct disk *disk, const struct disk_options *options,
                         uint64_t filesystem_bytes)
{
    uint64_t buffer = options->write_buffer_bytes;
    uint64_t twentieth = filesystem_bytes / 20;

    if (buffer == 0)
        buffer = ENGINE_WRITE_BUFFER;
    disk->ballast_bytes = options->ballast_bytes;
    if (disk->ballast_bytes == 0)
        disk->ballast_bytes =
            max_u64(MIB, min_u64(options->write_buffers * buffer + 32 * MIB,
                                 twentieth));
    disk->reserve_bytes = options->reserve_bytes;
    if (disk->reserve_bytes == 0)
        disk->reserve_bytes =
            max_u64(2 * disk->ballast_bytes, min_u64(twentieth, 4096 * MIB));
}

static enum kist_status measure(struct disk *disk,
                                const struct disk_options *options,
                                struct engine_fault *out_fault)
{
    struct statvfs about;
    uint64_t size;

    disk->directory =
        open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->directory < 0 || fstatvfs(disk->directory, &about) != 0) {
        engine_fault_set(out_fault, "cannot measure the filesystem of %s: %s",
                         options->directory, strerror(errno));
        return KIST_IO;
    }
    size = (uint64_t)about.f_blocks * about.f_frsize;
    choose_sizes(disk, options, size);
    if (and_a_quarter(disk->reserve_bytes) + disk->ballast_bytes >= size) {
        engine_fault_set(
            out_fault,
            "the filesystem of %s has %llu bytes: too few for a reserve of "
            "%llu and a ballast of %llu; use a larger one or lower these",
            options->directory, (unsigned long long)size,
            (unsigned long long)disk->reserve_bytes,
            (unsigned long long)disk->ballast_bytes);
        return KIST_INVALID;
    }
    return KIST_OK;
}

enum kist_status disk_open(const struct disk_options *options,
                           struct engine_fault *out_fault,
                           struct disk **out_disk)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    enum kist_status status;

    out_fault->text[0] = '\0';
    if (disk == NULL)
        return KIST_NO_MEMORY;
    status = measure(disk, options, out_fault);
    if (status != KIST_OK) {
        disk_close(disk);
        return status;
    }
    disk->has_ballast = is_whole(disk);
    if (!disk->has_ballast) /* Of another size, then, or half a file. */
        unlinkat(disk->directory, BALLAST_NAME, 0);
    disk_check(disk);
    *out_disk = disk;
    return KIST_OK;
}

void disk_close(struct disk *disk)
{
    if (disk == NULL)
        return;
    if (disk->directory >= 0)
        close(disk->directory);
    free(disk);
}
