/*
 * large_space - room on the disk for files that are being written.
 *
 * Where the filesystem can set blocks aside, a file gets its announced room at
 * once. Where it cannot, and where no size was announced, what is still to
 * come is only noted, and nobody else is promised it.
 *
 * Threads: any; a claim by one at a time.
 */
#ifndef KIST_STORAGE_LARGE_SPACE_H
#define KIST_STORAGE_LARGE_SPACE_H

#include "base/status.h"

#include <pthread.h>
#include <stdint.h>

struct large_space {
    /* Set by init, then read-only. */
    int directory; /* On the disk; kept. */
    uint64_t kept_free;

    pthread_mutex_t lock; /* Guards promised. */
    uint64_t promised;    /* Announced, noted and not yet written. */
};

/* What one file still has coming. */
struct large_claim {
    uint64_t noted; /* Part of promised. */
    uint64_t given; /* Bytes that the filesystem has set aside from here on. */
};

void large_space_init(struct large_space *space, int directory,
                      uint64_t kept_free);
void large_space_clear(struct large_space *space);

/*
 * Room for size bytes of a new file. KIST_DISK_FULL: there is not so much.
 * KIST_IO: the disk does not answer. Ended by large_space_release().
 */
KIST_CHECKED enum kist_status large_space_claim(struct large_space *space,
                                                int file, uint64_t size,
                                                struct large_claim *out_claim);

/*
 * size more bytes are about to be written, of the claim as far as it goes.
 * KIST_DISK_FULL, KIST_IO.
 */
KIST_CHECKED enum kist_status large_space_take(struct large_space *space,
                                               struct large_claim *claim,
                                               uint64_t size);

void large_space_release(struct large_space *space, struct large_claim *claim);

#endif
