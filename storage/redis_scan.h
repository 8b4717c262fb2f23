/*
 * redis_scan - an ordered listing of what lies in Redis.
 *
 * Each shard has a sorted index of its keys. A slice asks all of them for the
 * next few, as many as it takes to have what is expected if the keys are dealt
 * out evenly, and merges them up to where the first one has more to tell. The
 * heads of those records are read then, and their values, if wanted, up to a
 * number of bytes. So a slice costs 256 short commands and one a key; it holds
 * nothing in Redis, and a key that was there throughout is told exactly once.
 *
 * A key that is in the index and has no record has expired: it is not told,
 * and taken out of the index if there still is none by then.
 *
 * Threads: any that may wait.
 */
#ifndef KIST_STORAGE_REDIS_SCAN_H
#define KIST_STORAGE_REDIS_SCAN_H

#include "storage/redis_map.h"
#include "storage/scan.h"

struct redis_scans {
    struct redis_map *map; /* Kept. */
    uint64_t timeout_ms;
};

/* For scan_source.run; ctx is a struct redis_scans. */
KIST_CHECKED enum kist_status redis_scan_run(void *ctx, struct scan *scan,
                                             const struct scan_visitor *visitor,
                                             uint64_t now_ms);

#endif
