/*
 * LevelDB 1.23 behind the seam: what is not as in RocksDB.
 *
 * No snapshots: with 1.23 they can bring deleted keys back in compaction. An
 * iterator is a consistent view by itself.
 */
#include <leveldb/c.h>

#define LSM(name) leveldb_##name

#include "storage/engine_lsm.h"
#include "storage/engine_lsm_open.h"

#include <limits.h>

enum {
    BLOOM_BITS_PER_KEY = 10, /* Fixed for the life of the data. */
    MAX_FILE_BYTES = 8 << 20,
};

static enum kist_status get(struct engine *engine, struct view key,
                            struct view *out_value, struct hold *out_hold)
{
    struct lsm *it = self(engine);
    char *failure = NULL;
    size_t size;
    char *data =
        leveldb_get(it->db, it->lookups, key.data, key.size, &size, &failure);

    if (failure != NULL)
        return status_of(failure);
    if (data == NULL)
        return KIST_NOT_FOUND;
    *out_value = (struct view){data, size};
    *out_hold = (struct hold){data, size, leveldb_free};
    return KIST_OK;
}

static uint64_t approximate_size(struct engine *engine, struct view from,
                                 struct view to)
{
    uint64_t size = 0;

    leveldb_approximate_sizes(self(engine)->db, 1, &from.data, &from.size,
                              &to.data, &to.size, &size);
    return size;
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
    struct lsm *it = self(engine);
    const struct view nowhere = VIEW_LITERAL("\xff\xff");

    if (!atomic_load(&it->poisoned))
        leveldb_compact_range(it->db, nowhere.data, nowhere.size, nowhere.data,
                              nowhere.size);
}

static void free_cache(struct lsm *it)
{
    leveldb_cache_destroy(it->cache);
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

static void set_options(struct lsm *it, const struct engine_options *options)
{
    size_t buffer = options->write_buffer_bytes;
    size_t cache = options->block_cache_bytes;
    unsigned files = options->max_open_files;

    it->owner = WAL_OF_LEVELDB;
    it->name = "LevelDB";
    it->cache = leveldb_cache_create_lru(cache ? cache : ENGINE_BLOCK_CACHE);
    it->filter = leveldb_filterpolicy_create_bloom(BLOOM_BITS_PER_KEY);

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

static void set_dropping(struct lsm *it, bool dropping)
{
    leveldb_options_set_paranoid_checks(it->options, !dropping);
}

enum kist_status engine_leveldb_open(const struct engine_options *options,
                                     struct engine_fault *out_fault,
                                     struct engine **out_engine)
{
    return open_lsm(&leveldb_ops, options, out_fault, out_engine);
}
