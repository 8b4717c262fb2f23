/*
 * engine_lsm - LevelDB and RocksDB behind the seam, where their C interfaces
 * agree: the same calls with another prefix.
 *
 * Included by storage/engine_leveldb.c and storage/engine_rocksdb.c alone,
 * after the library's own header and
 *
 *     #define LSM(name) leveldb_##name
 *
 * What both get on top of the library is distrust:
 *
 * - After a failed append LevelDB goes on writing, at log positions that are
 *   not where its reader will look, and everything acknowledged from then on
 *   is lost at the next open. RocksDB does not promise more. So the first
 *   failed write poisons the handle.
 * - Blocks are verified on every read: an unverified flipped bit in a stored
 *   key would answer "not found" for a key that exists, which no checksum
 *   inside the value can notice.
 * - An iterator that meets a damaged block may step over it and go on. Here
 *   every step asks for the error, and the first one ends the iteration.
 *
 * The C interfaces allocate in C++: out of memory inside ends the process.
 */
#ifndef KIST_STORAGE_ENGINE_LSM_H
#define KIST_STORAGE_ENGINE_LSM_H

#include "storage/engine.h"

#include "storage/engine_failure.h"
#include "storage/wal_check.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LSM_KEPT_BATCH_BYTES = 1 << 20 }; /* A larger one gives memory back. */

struct lsm {
    struct engine base;

    /* Set by open, then read-only; in use until db is closed. */
    enum wal_owner owner;
    const char *name; /* Of the library, for people. */
    LSM(t) *db;
    LSM(cache_t) *cache;
    struct blocks *blocks; /* RocksDB's alone. */
    LSM(filterpolicy_t) *filter;
    LSM(options_t) *options;
    LSM(readoptions_t) *lookups;
    LSM(readoptions_t) *scans;
    LSM(writeoptions_t) *writes[ENGINE_SYNC + 1];

    /* The thread inside apply. */
    LSM(writebatch_t) *batch;
    _Atomic bool poisoned;

    char path[];
};

struct lsm_scan {
    struct engine_iterator base;
    LSM(iterator_t) *at;
    bool valid;
    enum kist_status status; /* Sticks: the first damage ends the scan. */
};

/* Defined by the file that includes this one: the end of its cache. */
static void free_cache(struct lsm *it);

static struct lsm *self(struct engine *engine)
{
    return (struct lsm *)engine;
}

static struct lsm_scan *scan_of(struct engine_iterator *iterator)
{
    return (struct lsm_scan *)iterator;
}

/* Of a message that the library gave; frees it. NULL: nothing failed. */
static enum kist_status status_of(char *text)
{
    enum kist_status status = KIST_OK;

    if (text != NULL)
        status = engine_failure_status(text);
    LSM(free)(text);
    return status;
}

static void close_db(struct lsm *it)
{
    if (it->db != NULL)
        LSM(close)(it->db);
    it->db = NULL;
}

static void free_engine(struct lsm *it)
{
    close_db(it);
    LSM(writebatch_destroy)(it->batch);
    for (size_t i = 0; i <= ENGINE_SYNC; i++)
        LSM(writeoptions_destroy)(it->writes[i]);
    LSM(readoptions_destroy)(it->scans);
    LSM(readoptions_destroy)(it->lookups);
    LSM(options_destroy)(it->options);
    LSM(filterpolicy_destroy)(it->filter);
    free_cache(it);
    free(it);
}

static void close_engine(struct engine *engine)
{
    struct lsm *it = self(engine);

    if (it == NULL)
        return;
    close_db(it);
    /* A log with a failed write at its end is not one in good order. */
    if (!atomic_load(&it->poisoned))
        wal_check_seal(it->path, it->owner);
    free_engine(it);
}

static void fill(LSM(writebatch_t) *into, const struct engine_batch *batch)
{
    struct engine_operation operation;
    size_t offset = 0;

    while (engine_batch_next(batch, &offset, &operation)) {
        struct view key = operation.key, value = operation.value;

        if (operation.is_delete)
            LSM(writebatch_delete)(into, key.data, key.size);
        else
            LSM(writebatch_put)(into, key.data, key.size, value.data,
                                value.size);
    }
}

static void empty_batch(struct lsm *it, size_t used)
{
    if (used <= LSM_KEPT_BATCH_BYTES) {
        LSM(writebatch_clear)(it->batch);
        return;
    }
    LSM(writebatch_destroy)(it->batch);
    it->batch = LSM(writebatch_create)();
}

static enum kist_status apply(struct engine *engine,
                              const struct engine_batch *batch,
                              enum engine_sync sync)
{
    struct lsm *it = self(engine);
    char *failure = NULL;

    if (atomic_load(&it->poisoned))
        return KIST_READ_ONLY;
    if (batch->bytes.failed)
        return KIST_NO_MEMORY;

    fill(it->batch, batch);
    LSM(write)(it->db, it->writes[sync], it->batch, &failure);
    empty_batch(it, batch->bytes.size);

    enum kist_status status = status_of(failure);
    if (status != KIST_OK && status != KIST_BUSY)
        atomic_store(&it->poisoned, true);
    return status;
}

static enum kist_status iterator_open(struct engine *engine,
                                      struct engine_iterator **out_iterator)
{
    struct lsm *it = self(engine);
    struct lsm_scan *scan = malloc(sizeof(*scan));

    if (scan == NULL)
        return KIST_NO_MEMORY;
    *scan = (struct lsm_scan){
        .base.ops = engine->ops,
        .at = LSM(create_iterator)(it->db, it->scans),
    };
    *out_iterator = &scan->base;
    return KIST_OK;
}

static void iterator_close(struct engine_iterator *iterator)
{
    if (iterator == NULL)
        return;
    LSM(iter_destroy)(scan_of(iterator)->at);
    free(iterator);
}

/* After each step: damage that was stepped over must not go unseen. */
static void settle(struct lsm_scan *scan)
{
    char *failure = NULL;

    LSM(iter_get_error)(scan->at, &failure);
    if (scan->status == KIST_OK)
        scan->status = status_of(failure);
    else
        LSM(free)(failure);
    scan->valid = scan->status == KIST_OK && LSM(iter_valid)(scan->at);
}

static void seek(struct engine_iterator *iterator, struct view key)
{
    struct lsm_scan *scan = scan_of(iterator);

    LSM(iter_seek)(scan->at, key.data, key.size);
    settle(scan);
}

static void seek_before(struct engine_iterator *iterator, struct view key)
{
    struct lsm_scan *scan = scan_of(iterator);

    LSM(iter_seek)(scan->at, key.data, key.size);
    if (LSM(iter_valid)(scan->at))
        LSM(iter_prev)(scan->at);
    else
        LSM(iter_seek_to_last)(scan->at);
    settle(scan);
}

static void next(struct engine_iterator *iterator)
{
    struct lsm_scan *scan = scan_of(iterator);

    assert(scan->valid);
    LSM(iter_next)(scan->at);
    settle(scan);
}

static void previous(struct engine_iterator *iterator)
{
    struct lsm_scan *scan = scan_of(iterator);

    assert(scan->valid);
    LSM(iter_prev)(scan->at);
    settle(scan);
}

static bool valid(const struct engine_iterator *iterator)
{
    return ((const struct lsm_scan *)iterator)->valid;
}

static struct view key(const struct engine_iterator *iterator)
{
    const struct lsm_scan *scan = (const struct lsm_scan *)iterator;
    struct view view;

    assert(scan->valid);
    view.data = LSM(iter_key)(scan->at, &view.size);
    return view;
}

static struct view value(const struct engine_iterator *iterator)
{
    const struct lsm_scan *scan = (const struct lsm_scan *)iterator;
    struct view view;

    assert(scan->valid);
    view.data = LSM(iter_value)(scan->at, &view.size);
    return view;
}

static enum kist_status error(const struct engine_iterator *iterator)
{
    return ((const struct lsm_scan *)iterator)->status;
}

/* 0: there is no such property, or it is no number. */
static uint64_t number_property(struct engine *engine, const char *name)
{
    char *text = LSM(property_value)(self(engine)->db, name);
    uint64_t number = 0;

    if (text == NULL || !view_to_u64(view_of(text), &number))
        number = 0;
    LSM(free)(text);
    return number;
}

static void compact(struct engine *engine)
{
    LSM(compact_range)(self(engine)->db, NULL, 0, NULL, 0);
}

#endif
