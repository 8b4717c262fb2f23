/*
 * backup_frame - the unit that a backup is written, checked and read in.
 *
 *   0  zstd's magic of a frame to be skipped (4, little-endian 0x184D2A5B)
 *   4  size of the rest of the head (4, little-endian): 36
 *   8  "kistback" (8)
 *  16  kind (4): "head", "recs", "valu", "tail"
 *  20  number (8): 0, 1, 2 and so on through the file
 *  28  size of the bytes below, packed (4)
 *  32  size of the bytes below, unpacked (4)
 *  36  checksum (8): XXH3-64 of all from 8 to here and of the packed bytes,
 *      seeded with the checksum of the frame before (the first: 0)
 *  44  one zstd frame
 *
 * Numbers are big-endian unless said otherwise. As each checksum is seeded
 * with the one before, the last one is that of the whole file, and a frame
 * that is missing, repeated or another file's is noticed at its place. As the
 * heads look like frames to be skipped, `zstd -d` unpacks a backup, too.
 * docs/backup.md has the rest; tests/storage/test_backup_frame.c pins the
 * bytes.
 */
#ifndef KIST_STORAGE_BACKUP_FRAME_H
#define KIST_STORAGE_BACKUP_FRAME_H

#include "base/bytes.h"

#include <stdint.h>

enum {
    BACKUP_FRAME_HEAD_SIZE = 44,
    /* Of the unpacked bytes: the largest record and some. */
    BACKUP_FRAME_MAX = 1 << 30,
};

enum backup_kind {
    BACKUP_HEAD,    /* The manifest: lines of text. The first frame. */
    BACKUP_RECORDS, /* Key size (2), key, record size (4), record; repeated. */
    BACKUP_VALUE,   /* A piece of the large value of the record before. */
    BACKUP_TAIL,    /* What was in it: lines of text. The last frame. */
};

/* Where the next frame stands in its file. Starts as zeros. */
struct backup_chain {
    uint64_t number;
    uint64_t checksum; /* Of the frame before. */
};

/* What is reused from frame to frame. */
struct backup_packer;

KIST_CHECKED enum kist_status
backup_packer_open(struct backup_packer **out_packer);
void backup_packer_close(struct backup_packer *packer); /* Takes NULL. */

/*
 * Append a whole frame with bytes in it to *out, and step the chain. At most
 * BACKUP_FRAME_MAX bytes. KIST_NO_MEMORY: *out is spoilt.
 */
KIST_CHECKED enum kist_status
backup_frame_pack(struct backup_packer *packer, struct backup_chain *chain,
                  enum backup_kind kind, struct view bytes, struct blob *out);

struct backup_frame {
    enum backup_kind kind;
    uint64_t number;
    uint64_t checksum;
    uint32_t packed_size;
    uint32_t size;
};

/*
 * Read a head of BACKUP_FRAME_HEAD_SIZE bytes. NULL, or what is wrong with it,
 * for people; only sizes are believed yet.
 */
KIST_CHECKED const char *backup_frame_head(struct view head,
                                           const struct backup_chain *chain,
                                           struct backup_frame *out_frame);

/*
 * Its packed bytes: checked, unpacked to *out (emptied before), and the chain
 * stepped. NULL, or what is wrong. An allocation that fails is *out failed.
 */
KIST_CHECKED const char *
backup_frame_unpack(struct backup_packer *packer, struct backup_chain *chain,
                    struct view head, const struct backup_frame *frame,
                    struct view packed, struct blob *out);

#endif
