/*
 * LevelDB 1.23 behind the seam.
 *
 * What this file adds to the library is distrust:
 *
 * - After a failed append LevelDB goes on writing, at log positions that are
 *   not where its reader will look, and everything acknowledged from then on
 *   is lost at the next open. So the first failed write poisons this handle.
 * - Blocks are verified on every read: an unverified flipped bit in a stored
 *   key would answer "not found" for a key that exists, which no checksum
 *   inside the value can notice.
 * - An iterator that meets a damaged block steps over it and goes on. Here
 *   every step asks for the error, and the first one ends the iteration.
 * - Before every open the logs are read by storage/wal_check.c, because
 *   LevelDB drops some kinds of damage in silence, and after every orderly
 *   close they are sealed.
 * - No snapshots: with 1.23 they can bring deleted keys back in compaction.
 *   An iterator is a consistent view by itself.
 *
 * The C interface allocates in C++: out of memory inside it ends the process.
 */
#include "storage/engine.h"

#include "storage/leveldb_failure.h"
#include "storage/small_file.h"
#include "storage/wal_check.h"

#include <leveldb/c.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOOM_BITS_PER_KEY = 10, /* Fixed for the life of the data. */
    MAX_FILE_BYTES = 8 << 20,
    KEPT_BATCH_BYTES = 1 << 20, /* A larger batch gives its memory back. */
};

struct leveldb_engine {
    struct engine base;

    /* Set by open, then read-only. LevelDB uses them until it is closed. */
    leveldb_t *db;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_options_t *options;
    leveldb_readoptions_t *lookups;
    leveldb_readoptions_t *scans;
    leveldb_writeoptions_t *writes[ENGINE_SYNC + 1];

    /* The thread inside apply. */
    leveldb_writebatch_t *batch;
    _Atomic bool poisoned;

    char path[];
};

struct leveldb_scan {
    struct engine_iterator base;
    leveldb_iterator_t *at;
    bool valid;
    enum kist_status status; /* Sticks: the first damage ends the scan. */
};

static struct leveldb_engine *self(struct engine *engine)
{
    return (struct leveldb_engine *)engine;
}

static struct leveldb_scan *scan_of(struct engine_iterator *iterator)
{
    return (struct leveldb_scan *)iterator;
}

/* Of a message that LevelDB gave; frees it. NULL: nothing failed. */
static enum kist_status status_of(char *text)
{
    enum kist_status status = KIST_OK;

    if (text != NULL)
        status = leveldb_failure_status(text);
    leveldb_free(text);
    return status;
}

static void close_db(struct leveldb_engine *it)
{
    if (it->db != NULL)
        leveldb_close(it->db);
    it->db = NULL;
}

static void free_engine(struct leveldb_engine *it)
{
    close_db(it);
    leveldb_writebatch_destroy(it->batch);
    for (size_t i = 0; i <= ENGINE_SYNC; i++)
        leveldb_writeoptions_destroy(it->writes[i]);
    leveldb_readoptions_destroy(it->scans);
    leveldb_readoptions_destroy(it->lookups);
    leveldb_options_destroy(it->options);
    leveldb_filterpolicy_destroy(it->filter);
    leveldb_cache_destroy(it->cache);
    free(it);
}

static void close_engine(struct engine *engine)
{
    struct leveldb_engine *it = self(engine);

    if (it == NULL)
        return;
    close_db(it);
    /* A log with a failed write at its end is not one in good order. */
    if (!atomic_load(&it->poisoned))
        wal_check_seal(it->path);
    free_engine(it);
}

static enum kist_status get(struct engine *engine, struct view key,
                            struct blob *out_value)
{
    struct leveldb_engine *it = self(engine);
    char *failure = NULL;
    size_t size;
    char *data =
        leveldb_get(it->db, it->lookups, key.data, key.size, &size, &failure);

    if (failure != NULL)
        return status_of(failure);
    if (data == NULL)
        return KIST_NOT_FOUND;
    /* leveldb_free() is free() here, so the bytes can be a blob's. */
    *out_value = (struct blob){.data = data, .size = size, .capacity = size};
    return KIST_OK;
}

static void fill(leveldb_writebatch_t *into, const struct engine_batch *batch)
{
    struct engine_operation operation;
    size_t offset = 0;

    while (engine_batch_next(batch, &offset, &operation)) {
        struct view key = operation.key, value = operation.value;

        if (operation.is_delete)
            leveldb_writebatch_delete(into, key.data, key.size);
        else
            leveldb_writebatch_put(into, key.data, key.size, value.data,
                                   value.size);
    }
}

static void empty_batch(struct leveldb_engine *it, size_t used)
{
    if (used <= KEPT_BATCH_BYTES) {
        leveldb_writebatch_clear(it->batch);
        return;
    }
    leveldb_writebatch_destroy(it->batch);
    it->batch = leveldb_writebatch_create();
}

static enum kist_status apply(struct engine *engine,
                              const struct engine_batch *batch,
                              enum engine_sync sync)
{
    struct leveldb_engine *it = self(engine);
    char *failure = NULL;

    if (atomic_load(&it->poisoned))
        return KIST_READ_ONLY;
    if (batch->bytes.failed)
        return KIST_NO_MEMORY;

    fill(it->batch, batch);
    leveldb_write(it->db, it->writes[sync], it->batch, &failure);
    empty_batch(it, batch->bytes.size);

    if (failure != NULL)
        atomic_store(&it->poisoned, true);
    return status_of(failure);
}

static enum kist_status iterator_open(struct engine *engine,
                                      struct engine_iterator **out_iterator)
{
    struct leveldb_engine *it = self(engine);
    struct leveldb_scan *scan = malloc(sizeof(*scan));

    if (scan == NULL)
        return KIST_NO_MEMORY;
    *scan = (struct leveldb_scan){
        .base.ops = engine->ops,
        .at = leveldb_create_iterator(it->db, it->scans),
    };
    *out_iterator = &scan->base;
    return KIST_OK;
}

static void iterator_close(struct engine_iterator *iterator)
{
    if (iterator == NULL)
        return;
    leveldb_iter_destroy(scan_of(iterator)->at);
    free(iterator);
}

/* After each step: damage that LevelDB stepped over must not go unseen. */
static void settle(struct leveldb_scan *scan)
{
    char *failure = NULL;

    leveldb_iter_get_error(scan->at, &failure);
    if (scan->status == KIST_OK)
        scan->status = status_of(failure);
    else
        leveldb_free(failure);
    scan->valid = scan->status == KIST_OK && leveldb_iter_valid(scan->at);
}

static void seek(struct engine_iterator *iterator, struct view key)
{
    struct leveldb_scan *scan = scan_of(iterator);

    leveldb_iter_seek(scan->at, key.data, key.size);
    settle(scan);
}

static void seek_before(struct engine_iterator *iterator, struct view key)
{
    struct leveldb_scan *scan = scan_of(iterator);

    leveldb_iter_seek(scan->at, key.data, key.size);
    if (leveldb_iter_valid(scan->at))
        leveldb_iter_prev(scan->at);
    else
        leveldb_iter_seek_to_last(scan->at);
    settle(scan);
}

static void next(struct engine_iterator *iterator)
{
    struct leveldb_scan *scan = scan_of(iterator);

    assert(scan->valid);
    leveldb_iter_next(scan->at);
    settle(scan);
}

static void previous(struct engine_iterator *iterator)
{
    struct leveldb_scan *scan = scan_of(iterator);

    assert(scan->valid);
    leveldb_iter_prev(scan->at);
    settle(scan);
}

static bool valid(const struct engine_iterator *iterator)
{
    return ((const struct leveldb_scan *)iterator)->valid;
}

static struct view key(const struct engine_iterator *iterator)
{
    const struct leveldb_scan *scan = (const struct leveldb_scan *)iterator;
    struct view view;

    assert(scan->valid);
    view.data = leveldb_iter_key(scan->at, &view.size);
    return view;
}

static struct view value(const struct engine_iterator *iterator)
{
    const struct leveldb_scan *scan = (const struct leveldb_scan *)iterator;
    struct view view;

    assert(scan->valid);
    view.data = leveldb_iter_value(scan->at, &view.size);
    return view;
}

static enum kist_status error(const struct engine_iterator *iterator)
{
    return ((const struct leveldb_scan *)iterator)->status;
}

static uint64_t approximate_size(struct engine *engine, struct view from,
                                 struct view to)
{
    uint64_t size = 0;

    leveldb_approximate_sizes(self(engine)->db, 1, &from.data, &from.size,
                              &to.data, &to.size, &size);
    return size;
}

static uint64_t number_property(struct engine *engine, const char *name)
{
    char *text = leveldb_property_value(self(engine)->db, name);
    uint64_t number = 0;

    if (text == NULL || !view_to_u64(view_of(text), &number))
        number = 0;
    leveldb_free(text);
    return number;
}

static unsigned backlog(struct engine *engine)
{
    return (unsigned)number_property(engine, "leveldb.num-files-at-level0");
}

static uint64_t memory(struct engine *engine)
{
    return number_property(engine, "leveldb.approximate-memory-usage");
}

/*
 * LevelDB has no call for it, but begins every compaction of a range by
 * writing its memory out. No key of ours is in this range, so the rest of the
 * compaction finds nothing to do, at most waits for one under way.
 */
static void flush(struct engine *engine)
{
    struct leveldb_engine *it = self(engine);
    const struct view nowhere = VIEW_LITERAL("\xff\xff");

    if (!atomic_load(&it->poisoned))
        leveldb_compact_range(it->db, nowhere.data, nowhere.size, nowhere.data,
                              nowhere.size);
}

static void compact(struct engine *engine)
{
    leveldb_compact_range(self(engine)->db, NULL, 0, NULL, 0);
}

static const struct engine_ops leveldb_ops = {
    .name = "leveldb",
    .close = close_engine,
    .get = get,
    .apply = apply,
    .iterator_open = iterator_open,
    .iterator_close = iterator_close,
    .seek = seek,
    .seek_before = seek_before,
    .next = next,
    .previous = previous,
    .valid = valid,
    .key = key,
    .value = value,
    .error = error,
    .approximate_size = approximate_size,
    .backlog = backlog,
    .memory = memory,
    .flush = flush,
    .compact = compact,
};

static leveldb_readoptions_t *new_reads(bool fill_cache)
{
    leveldb_readoptions_t *reads = leveldb_readoptions_create();

    leveldb_readoptions_set_verify_checksums(reads, 1);
    leveldb_readoptions_set_fill_cache(reads, fill_cache);
    return reads;
}

static void set_options(struct leveldb_engine *it,
                        const struct engine_options *options)
{
    size_t buffer = options->write_buffer_bytes;
    size_t cache = options->block_cache_bytes;
    unsigned files = options->max_open_files;

    it->cache = leveldb_cache_create_lru(cache ? cache : ENGINE_BLOCK_CACHE);
    it->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS_PER_KEY);

    it->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(it->options, 1);
    leveldb_options_set_paranoid_checks(it->options, 1);
    leveldb_options_set_cache(it->options, it->cache);
    leveldb_options_set_filter_policy(it->options, it->filter);
    leveldb_options_set_write_buffer_size(
        it->options, buffer ? buffer : ENGINE_WRITE_BUFFER);
    leveldb_options_set_max_file_size(it->options, MAX_FILE_BYTES);
    if (files > 0)
        leveldb_options_set_max_open_files(
            it->options, files < INT_MAX ? (int)files : INT_MAX);
}

static struct leveldb_engine *new_engine(const struct engine_options *options)
{
    size_t room = strlen(options->path) + 1;
    struct leveldb_engine *it = calloc(1, sizeof(*it) + room);

    if (it == NULL)
        return NULL;
    memcpy(it->path, options->path, room);
    it->base.ops = &leveldb_ops;
    set_options(it, options);
    it->lookups = new_reads(true);
    it->scans = new_reads(false);
    for (size_t i = 0; i <= ENGINE_SYNC; i++)
        it->writes[i] = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(it->writes[ENGINE_SYNC], 1);
    it->batch = leveldb_writebatch_create();
    return it;
}

/*
 * Recovery takes a short read for the end of the log, so no signal may
 * interrupt it. Threads born in here keep the mask.
 */
static leveldb_t *open_undisturbed(const struct leveldb_engine *it,
                                   const char *path, char **failure)
{
    sigset_t all, before;
    leveldb_t *db;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    db = leveldb_open(it->options, path, failure);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return db;
}

static enum kist_status open_db(struct leveldb_engine *it,
                                struct engine_fault *out_fault)
{
    char *failure = NULL;

    it->db = open_undisturbed(it, it->path, &failure);
    if (failure != NULL)
        engine_fault_set(out_fault, "LevelDB cannot open %s: %s%s", it->path,
                         failure,
                         leveldb_failure_status(failure) == KIST_CORRUPT
                             ? "; restore a backup"
                             : "");
    return status_of(failure);
}

/*
 * Once without paranoid_checks, so that recovery drops what the check has
 * found and writes the rest into tables; then as always.
 */
static enum kist_status open_dropping(struct leveldb_engine *it,
                                      struct engine_fault *out_fault)
{
    enum kist_status status;

    leveldb_options_set_paranoid_checks(it->options, 0);
    status = open_db(it, out_fault);
    leveldb_options_set_paranoid_checks(it->options, 1);
    if (status != KIST_OK)
        return status;
    close_db(it);
    return open_db(it, out_fault);
}

static bool may_open(const struct wal_verdict *verdict, bool accept_data_loss)
{
    switch (verdict->damage) {
    case WAL_WHOLE:
    case WAL_TORN_TAIL:
        return true;
    case WAL_DATA_LOST:
        return accept_data_loss;
    case WAL_UNREADABLE:
        return false;
    }
    return false;
}

static enum kist_status open_checked(struct leveldb_engine *it,
                                     bool accept_data_loss,
                                     struct engine_fault *out_fault)
{
    struct wal_verdict verdict;
    enum kist_status status = wal_check(it->path, &verdict);

    if (status != KIST_OK) {
        engine_fault_set(out_fault, "cannot check the logs in %s: %s", it->path,
                         kist_status_name(status));
        return status;
    }
    if (!may_open(&verdict, accept_data_loss)) {
        *out_fault = verdict.fault;
        return KIST_CORRUPT;
    }
    status = open_db(it, out_fault);
    /* Most torn tails LevelDB takes as they are; some it calls corruption. */
    if (status == KIST_CORRUPT && verdict.damage != WAL_WHOLE)
        status = open_dropping(it, out_fault);
    if (status == KIST_OK)
        *out_fault = verdict.fault;
    return status;
}

/* LevelDB renames CURRENT without syncing the directory behind it. */
static enum kist_status sync_names(const struct leveldb_engine *it,
                                   struct engine_fault *out_fault)
{
    int directory = open(it->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum kist_status status = KIST_IO;

    if (directory >= 0 && fsync(directory) == 0)
        status = small_file_sync_parent(directory);
    if (status != KIST_OK)
        engine_fault_set(out_fault, "cannot sync the directory %s: %s",
                         it->path, strerror(errno));
    if (directory >= 0)
        close(directory);
    return status;
}

enum kist_status engine_leveldb_open(const struct engine_options *options,
                                     struct engine_fault *out_fault,
                                     struct engine **out_engine)
{
    struct leveldb_engine *it;
    enum kist_status status;

    out_fault->text[0] = '\0';
    if (mkdir(options->path, 0700) != 0 && errno != EEXIST) {
        int error = errno;

        engine_fault_set(out_fault, "cannot create %s: %s", options->path,
                         strerror(error));
        return error == ENOSPC || error == EDQUOT ? KIST_DISK_FULL : KIST_IO;
    }
    it = new_engine(options);
    if (it == NULL)
        return KIST_NO_MEMORY;

    status = open_checked(it, options->accept_data_loss, out_fault);
    if (status == KIST_OK)
        status = sync_names(it, out_fault);
    if (status != KIST_OK) {
        free_engine(it);
        return status;
    }
    *out_engine = &it->base;
    return KIST_OK;
}
