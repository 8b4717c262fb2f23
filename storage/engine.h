/*
 * engine - the seam under the store: an ordered map of bytes on disk.
 *
 * An engine applies one batch at a time, whole or not at all, and after the
 * first failed write it is poisoned: it answers every later write with
 * KIST_READ_ONLY until it is closed and opened again (storage/store.c does
 * that). Reads go on.
 *
 * Threads: get and iterators from any thread (an iterator by one at a time);
 * apply by one thread at a time; open and close while nobody else is inside.
 */
#ifndef KIST_STORAGE_ENGINE_H
#define KIST_STORAGE_ENGINE_H

#include "base/bytes.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum engine_sync {
    ENGINE_ASYNC, /* Survives the process, not a power loss. */
    ENGINE_SYNC,  /* On stable storage when apply returns. */
};

/*
 * Puts and deletes in order, flat in one blob. A mark taken before a group of
 * operations lets that group be taken back (engine_batch_rewind).
 */
struct engine_batch {
    struct blob bytes;
    size_t count;
};

struct engine_operation {
    bool is_delete;
    struct view key;
    struct view value; /* Empty for a delete. */
};

/* Where a value lies in a batch, which may move as it grows. */
struct engine_place {
    size_t offset;
    size_t size;
};

struct engine_mark {
    size_t size;
    size_t count;
};

void engine_batch_free(struct engine_batch *batch);
void engine_batch_clear(struct engine_batch *batch);
struct engine_place engine_batch_put(struct engine_batch *batch,
                                     struct view key, struct view value);
struct view engine_batch_at(const struct engine_batch *batch,
                            struct engine_place place);
void engine_batch_delete(struct engine_batch *batch, struct view key);
struct engine_mark engine_batch_mark(const struct engine_batch *batch);
void engine_batch_rewind(struct engine_batch *batch, struct engine_mark mark);

/* Steps through the batch: *offset starts at 0. False at the end. */
KIST_CHECKED bool engine_batch_next(const struct engine_batch *batch,
                                    size_t *offset,
                                    struct engine_operation *out_operation);

struct engine;
struct engine_iterator;

struct engine_ops {
    const char *name;

    void (*close)(struct engine *engine);

    /*
     * Gives *out_hold (hold_release), as long as which *out_value is there,
     * even if the engine is closed meanwhile. KIST_NOT_FOUND, KIST_CORRUPT,
     * KIST_IO, KIST_NO_MEMORY.
     */
    enum kist_status (*get)(struct engine *engine, struct view key,
                            struct view *out_value, struct hold *out_hold);

    /*
     * The whole batch or nothing. KIST_DISK_FULL: no space; KIST_CORRUPT: a
     * compaction met damaged data; KIST_IO: any other failure. Of all three
     * the outcome is unknown, because what was written before the failure may
     * be found at the next open. KIST_READ_ONLY: an earlier
     * write failed, and nothing of this one was tried. KIST_BUSY: it would have
     * had to wait for compactions or a flush; nothing was tried, and a later
     * attempt may succeed. KIST_NO_MEMORY: nothing was tried.
     */
    enum kist_status (*apply)(struct engine *engine,
                              const struct engine_batch *batch,
                              enum engine_sync sync);

    /*
     * A consistent view as of its opening. It pins files: keep it open for
     * seconds at most, but for the one of a backup (storage/snapshot.h). Not
     * positioned until a seek.
     */
    enum kist_status (*iterator_open)(struct engine *engine,
                                      struct engine_iterator **out_iterator);
    void (*iterator_close)(struct engine_iterator *iterator);

    /* To the first key >= key; to the last key < key; onwards; backwards. */
    void (*seek)(struct engine_iterator *iterator, struct view key);
    void (*seek_before)(struct engine_iterator *iterator, struct view key);
    void (*next)(struct engine_iterator *iterator);
    void (*previous)(struct engine_iterator *iterator);
    bool (*valid)(const struct engine_iterator *iterator);

    /* Borrowed until the iterator moves. */
    struct view (*key)(const struct engine_iterator *iterator);
    struct view (*value)(const struct engine_iterator *iterator);

    /*
     * After valid() turned false: KIST_OK at the end, else why it ended. An
     * error ends the iteration at once: nothing is silently stepped over.
     */
    enum kist_status (*error)(const struct engine_iterator *iterator);

    /* Bytes on disk between two keys, roughly. */
    uint64_t (*approximate_size)(struct engine *engine, struct view from,
                                 struct view to);

    /* Tables waiting at level 0; 8 and more slow writes down. */
    unsigned (*backlog)(struct engine *engine);

    /* Memory the engine itself says it uses, in bytes. */
    uint64_t (*memory)(struct engine *engine);

    /*
     * What is only in memory and the log goes into tables, so that the next
     * open has no log to take over. As fast as it is written; while it runs
     * nobody may be in apply. A failure leaves it in the log, as it was.
     */
    void (*flush)(struct engine *engine);

    /* Seconds-long: rewrites everything. For tests and operators. */
    void (*compact)(struct engine *engine);
};

/* Every engine's struct begins with this one, and so does its iterator. */
struct engine {
    const struct engine_ops *ops;
};

/* As ops->get, but appends a copy to *out_value. */
KIST_CHECKED enum kist_status engine_get(struct engine *engine, struct view key,
                                         struct blob *out_value);

/* As ops->apply, but a busy engine is tried again for up to patience_ms. */
KIST_CHECKED enum kist_status engine_apply(struct engine *engine,
                                           const struct engine_batch *batch,
                                           enum engine_sync sync,
                                           uint64_t patience_ms);

struct engine_iterator {
    const struct engine_ops *ops;
};

enum {
    ENGINE_WRITE_BUFFER = 32 << 20,
    ENGINE_BLOCK_CACHE = 64 << 20,
};

struct engine_options {
    const char *path;          /* A directory; created if it is missing. */
    size_t write_buffer_bytes; /* 0: ENGINE_WRITE_BUFFER. */
    size_t block_cache_bytes;  /* 0: ENGINE_BLOCK_CACHE. */
    unsigned max_open_files;   /* 0: the engine's own default. */
    unsigned threads;          /* That compact; 0: automatic. Not LevelDB's. */
    bool accept_data_loss; /* Open although acknowledged writes are damaged. */
};

/*
 * Why an open failed, for people; after KIST_OK what it had to repair, or "".
 * One line without a full stop.
 */
struct engine_fault {
    char text[768];
};

void engine_fault_set(struct engine_fault *fault, const char *format, ...)
    KIST_PRINTF(2, 3);

/*
 * KIST_CORRUPT: the log or the tables are damaged beyond a torn tail; fault
 * says what and how much. KIST_BUSY: another process has it open.
 * KIST_DISK_FULL, KIST_IO.
 */
KIST_CHECKED enum kist_status
engine_leveldb_open(const struct engine_options *options,
                    struct engine_fault *out_fault, struct engine **out_engine);

/* Only where RocksDB was found: storage/engine_kind.h. */
KIST_CHECKED enum kist_status
engine_rocksdb_open(const struct engine_options *options,
                    struct engine_fault *out_fault, struct engine **out_engine);

#endif
