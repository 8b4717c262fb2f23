/*
 * cache - the records that are asked for, in memory, within a number of bytes.
 *
 * A hit hands out a reference to the entry: nothing is copied or allocated.
 * All memory counts against the limit: the entries as malloc() made them, the
 * tables, the locks. Only an entry that was let go while an answer still
 * holds it does not.
 *
 * What it says is what the engine says. A write announces its keys before it
 * goes to the engine, and from then on they are not answered from here; when
 * it is done they get their new records. Who missed reads the engine with a
 * ticket from before, and what he brings is only taken if no write of that
 * key was announced since. So no reader sees an old value after somebody saw
 * the new one, and a slow one leaves no old value behind.
 *
 * Threads: all from any, but one write at a time, and cache_clear() in none.
 */
#ifndef KIST_STORAGE_CACHE_H
#define KIST_STORAGE_CACHE_H

#include "base/bytes.h"
#include "storage/engine.h"

/* Fewer bytes hold nothing but the tables. */
#define CACHE_BYTES_MIN (UINT64_C(64) << 10)

struct cache;

/*
 * Of the engine's keys those are kept that begin with space, without it.
 * KIST_NO_MEMORY. The caller ends *out_cache with cache_close().
 */
KIST_CHECKED enum kist_status cache_open(uint64_t bytes, char space,
                                         struct cache **out_cache);

/* References that were handed out stay good. Takes NULL. */
void cache_close(struct cache *cache);

enum cache_answer {
    CACHE_HIT,    /* There is a record; maybe a dead one, if it was peeked. */
    CACHE_ABSENT, /* The engine has none. */
    CACHE_MISS,   /* Not known. */
};

enum cache_reader {
    CACHE_READ, /* Counts, and is a reason to keep the entry. */
    CACHE_PEEK, /* The commit looks before it writes: is none. */
};

/* From before the engine is read: what is found may be kept. */
struct cache_ticket {
    uint64_t hash;
    uint64_t batch;
};

struct cache_found {
    struct hold hold;           /* CACHE_HIT: ends in hold_release(). */
    struct view record;         /* CACHE_HIT: encoded, in what is held. */
    struct cache_ticket ticket; /* CACHE_MISS: for cache_fill(). */
};

enum cache_answer cache_get(struct cache *cache, struct view key,
                            enum cache_reader reader,
                            struct cache_found *out_found);

/* For a reader that does not ask: he wants the engine's own word. */
struct cache_ticket cache_pass_by(struct cache *cache, struct view key);

/*
 * The engine has this record (decoded before, and alive), or none if it is
 * empty. Whether it was kept: not if a write came in between, if it is large,
 * or without memory.
 */
bool cache_fill(struct cache *cache, struct view key,
                const struct cache_ticket *ticket, struct view record);

/*
 * Around every apply of a batch. applied: exactly what the batch says is in
 * the engine. Otherwise nobody knows, and its keys are forgotten.
 */
enum cache_outcome { CACHE_APPLIED, CACHE_FAILED };

void cache_write_begin(struct cache *cache, const struct engine_batch *batch);
void cache_write_end(struct cache *cache, const struct engine_batch *batch,
                     enum cache_outcome outcome);

/* Before the engine becomes another one: all is forgotten, tickets as well. */
void cache_clear(struct cache *cache);

struct cache_totals {
    uint64_t hits;
    uint64_t absent_hits; /* Answered with "the engine has none". */
    uint64_t misses;
    uint64_t bypasses;
    uint64_t stored;
    uint64_t refused; /* Too large, or a write came in between. */
    uint64_t evictions;
    uint64_t entries;
    uint64_t absent_entries;
    uint64_t bytes; /* All that counts against the limit. */
    uint64_t limit;
};

void cache_totals(struct cache *cache, struct cache_totals *out_totals);

#endif
