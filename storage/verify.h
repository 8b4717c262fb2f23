/*
 * verify - reads what a node has of its cluster's data again and again, slowly:
 * whether the sums by which it is compared with others are those of its index
 * (storage/resum.h), and whether its records can be read.
 *
 * Leaf by leaf: a wrong sum is put right by the commit; a record that fails its
 * checksum is told, and stays, until a copy or a newer record comes
 * (storage/commit.h). Records that the cache has are not read from the disk.
 * An index that is not its records' is not looked for.
 *
 * A pass begins anywhere, so that a node that is restarted often does not
 * always read the same part.
 *
 * Threads: the loop it was opened on; the reading is done on the pool.
 */
#ifndef KIST_STORAGE_VERIFY_H
#define KIST_STORAGE_VERIFY_H

#include "base/loop.h"
#include "base/metric.h"
#include "storage/commit.h"

struct verify;

/* How fast a node does it. */
#define VERIFY_PASS_MS            (UINT64_C(7) * 24 * 3600 * 1000)
#define VERIFY_RECORDS_PER_SECOND 200

struct verify_options {
    struct store *store; /* Of a cluster. All kept. */
    struct loop *loop;
    struct commit_lane *lane;    /* The loop's. */
    enum engine_sync sync;       /* What clients' writes get. */
    uint64_t pass_ms;            /* A pass takes at least so long, */
    uint64_t records_per_second; /* and longer if it is more than this. */
    void *ctx;
    /* A record fails its checksum: once a pass, on a pool thread. */
    void (*damaged)(void *ctx, struct view key);
    /* A sum was wrong, and is right now: on the loop. */
    void (*corrected)(void *ctx, unsigned partition, unsigned leaf);
};

/* Copies options. KIST_NO_MEMORY. Gives *out_verify. */
KIST_CHECKED enum kist_status verify_open(const struct verify_options *options,
                                          struct verify **out_verify);

/* Starts nothing more. What is under way ends soon: verify_idle(). */
void verify_stop(struct verify *verify);
bool verify_idle(const struct verify *verify);

/* Stopped and idle. Takes NULL. */
void verify_close(struct verify *verify);

struct verify_stats {
    struct counter leaves;    /* Looked at. */
    struct counter corrected; /* Their sums were wrong. */
    struct counter damaged;   /* Records that failed their checksums. */
    struct counter errors;    /* Leaves that could not be looked at now. */
};

struct verify_stats *verify_stats(struct verify *verify);

#endif
