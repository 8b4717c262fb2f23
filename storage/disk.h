/*
 * disk - how much room is left, and the room kept back for a full disk.
 *
 * Writes stop while the disk is low, before it is full, because a full one is
 * worse than it looks: an engine writes a table when it is opened, so a node
 * that ran out of space could not even start again. The ballast is a file of
 * that size and more, given up for exactly that moment.
 *
 * Low is: fewer free bytes than the reserve, hardly a free inode, or no
 * ballast. It ends a quarter above the reserve, so that a disk at the border
 * does not flap. statvfs does not see quotas: under a quota the engine's own
 * KIST_DISK_FULL is the only sign.
 *
 * Threads: disk_space() and disk_free_bytes() from any; the others one at a
 * time.
 */
#ifndef KIST_STORAGE_DISK_H
#define KIST_STORAGE_DISK_H

#include "base/status.h"
#include "storage/engine.h"

#include <stdint.h>

enum disk_space {
    DISK_OK,
    DISK_LOW,
};

struct disk_options {
    const char *directory; /* The data directory: it gets a file "ballast". */

    /*
     * 0: what the engine may need to open again, its write buffers and
     * 32 MiB, but at most 5 % of the filesystem and at least 1 MiB.
     */
    uint64_t ballast_bytes;
    unsigned write_buffers;      /* engine_kind_buffers(). */
    uint64_t write_buffer_bytes; /* Each; 0: ENGINE_WRITE_BUFFER. */

    /*
     * 0: twice the ballast, or 5 % of the filesystem if that is more, of
     * which at most 4 GiB count.
     */
    uint64_t reserve_bytes;
};

struct disk;

/*
 * Makes the ballast unless it is there. A disk too full for it is no error:
 * it is DISK_LOW. Gives *out_disk, ended by disk_close(). KIST_INVALID: the
 * filesystem is smaller than reserve and ballast together. KIST_IO,
 * KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status disk_open(const struct disk_options *options,
                                        struct engine_fault *out_fault,
                                        struct disk **out_disk);
void disk_close(struct disk *disk); /* The ballast stays. Takes NULL. */

/*
 * Measures. A missing ballast is written back as soon as there is room for it
 * beside the reserve; that takes as long as such a file takes.
 */
enum disk_space disk_check(struct disk *disk);

/* What the last disk_check() found. */
enum disk_space disk_space(const struct disk *disk);
uint64_t disk_free_bytes(const struct disk *disk);

uint64_t disk_reserve_bytes(const struct disk *disk);
uint64_t disk_ballast_bytes(const struct disk *disk);

/* Frees the ballast's room, for the engine to open again. */
void disk_release_ballast(struct disk *disk);

/* KIST_DISK_FULL: not enough room yet. KIST_IO. */
KIST_CHECKED enum kist_status disk_restore_ballast(struct disk *disk);

#endif
