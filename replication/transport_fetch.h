/*
 * transport_fetch - a file of a large value, or a part of it, from one peer:
 * GET /peer/1/file/<reference> with libcurl.
 *
 * Threads: each by one at a time, which it blocks.
 */
#ifndef KIST_REPLICATION_TRANSPORT_FETCH_H
#define KIST_REPLICATION_TRANSPORT_FETCH_H

#include "storage/large_reference.h"

#include <stdatomic.h>

struct transport_fetch;

struct transport_fetch_options {
    const char *secret;          /* "": none. Copied. */
    const atomic_bool *stopping; /* Kept. Once set, all fails within 1 s. */
};

/* With connections that stay open. NULL: no memory. */
struct transport_fetch *
transport_fetch_new(const struct transport_fetch_options *options);
void transport_fetch_free(struct transport_fetch *fetch); /* Takes NULL. */

struct transport_fetch_part {
    const char *address;
    struct large_reference file;
    uint64_t first;
    uint64_t count;      /* 0: to the end. */
    uint64_t timeout_ms; /* 0: as long as something comes. */
    void *ctx;
    /* What has come. False: no more of it. */
    bool (*take)(void *ctx, struct view bytes);
};

/*
 * KIST_NOT_FOUND: the peer has no such file. KIST_IO: it did not answer, or
 * something else, or nothing came for some seconds, or not all was taken.
 * KIST_NO_MEMORY.
 */
KIST_CHECKED enum kist_status
transport_fetch_get(struct transport_fetch *fetch,
                    const struct transport_fetch_part *part);

#endif
