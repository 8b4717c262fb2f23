/*
 * RocksDB 7.8 behind the seam: what is not as in LevelDB.
 *
 * - A write never waits inside RocksDB. Where it would have to, because too
 *   many tables wait at level 0 or memory is not yet written out, it is
 *   refused with nothing tried (no_slowdown), and the caller decides how long
 *   a client waits. Before that comes to pass writes are slowed down here, a
 *   little more with each table, as LevelDB does.
 * - It writes no log about itself. Debian's build has its assertions on, and
 *   that log is written with them: on a full or failing disk its second line
 *   would abort the process, where the write itself fails as it should.
 * - Filters and indexes live in the block cache, in parts, so that memory has
 *   a bound whatever the data.
 */
#include <rocksdb/c.h>

#define LSM(name) rocksdb_##name

#include "storage/engine_lsm.h"
#include "storage/engine_lsm_open.h"

#include "base/clock.h"

#include <limits.h>

enum {
    BLOOM_BITS_PER_KEY = 10,
    WRITE_BUFFERS = 3, /* One being filled, two being written out. */
    SLOW_TABLES = 12,  /* At level 0: from here on writes are slowed down, */
    STOP_TABLES = 24,  /* and from here on refused. */
    SYNCED_BYTES = 1 << 20,
    KEPT_LOGS = 1,
    LOG_NOTHING = 5, /* A header, which it does not write at this level. */
    TOLERATE_TORN_TAILS = 0, /* rocksdb::WALRecoveryMode. */
    STOP_AT_DAMAGE = 2,
    THREADS_MAX = 8, /* If nobody says how many. */
    BLOCK_BYTES = 4096,
    HELD_LEAST = 32 << 10,
    HELD_PART = 4, /* A fourth of the cache. */
};

/*
 * Blocks that are held. An answer to a slow client may outlive the engine, but
 * all that a block needs is the cache that it lies in: so that goes with the
 * last of both. And slow clients must not take the cache from all others, so
 * only a part of it is held, and only where that saves more than it costs; the
 * rest is copied.
 */
struct blocks {
    atomic_uint users; /* The engine and what is held. */
    atomic_size_t held;
    size_t most; /* That held may be. */
    rocksdb_cache_t *cache;
};

struct held_block {
    struct blocks *blocks;
    size_t size; /* At most. */
    rocksdb_pinnableslice_t *pinned;
};

/* NULL: no memory. Takes the cache otherwise. */
static struct blocks *new_blocks(rocksdb_cache_t *cache, size_t cache_bytes)
{
    struct blocks *blocks = calloc(1, sizeof(*blocks));

    if (blocks == NULL)
        return NULL;
    blocks->users = 1;
    blocks->most = cache_bytes / HELD_PART;
    blocks->cache = cache;
    return blocks;
}

static void leave_blocks(struct blocks *blocks)
{
    if (atomic_fetch_sub(&blocks->users, 1) > 1)
        return;
    rocksdb_cache_destroy(blocks->cache);
    free(blocks);
}

static void release_block(void *memory)
{
    struct held_block *block = memory;

    rocksdb_pinnableslice_destroy(block->pinned);
    atomic_fetch_sub(&block->blocks->held, block->size);
    leave_blocks(block->blocks);
    free(block);
}

/* Takes pinned, or false: it has to be copied. */
static bool hold_block(struct blocks *blocks, rocksdb_pinnableslice_t *pinned,
                       size_t value_size, struct hold *out_hold)
{
    size_t size = value_size + BLOCK_BYTES; /* It ends with such a value. */
    struct held_block *block;

    if (blocks == NULL || value_size < HELD_LEAST)
        return false;
    if (atomic_fetch_add(&blocks->held, size) + size > blocks->most ||
        (block = malloc(sizeof(*block))) == NULL) {
        atomic_fetch_sub(&blocks->held, size);
        return false;
    }
    *block = (struct held_block){blocks, size, pinned};
    atomic_fetch_add(&blocks->users, 1);
    *out_hold = (struct hold){block, size, release_block};
    return true;
}

static enum kist_status copy_block(rocksdb_pinnableslice_t *pinned,
                                   struct view *value, struct hold *out_hold)
{
    struct blob copy = BLOB_EMPTY;

    blob_append(&copy, *value);
    rocksdb_pinnableslice_destroy(pinned);
    if (copy.failed)
        return KIST_NO_MEMORY;
    *value = blob_view(&copy);
    *out_hold = hold_blob(&copy);
    return KIST_OK;
}

static enum kist_status get(struct engine *engine, struct view key,
                            struct view *out_value, struct hold *out_hold)
{
    struct lsm *it = self(engine);
    char *failure = NULL;
    rocksdb_pinnableslice_t *pinned =
        rocksdb_get_pinned(it->db, it->lookups, key.data, key.size, &failure);

    if (failure != NULL)
        return status_of(failure);
    if (pinned == NULL)
        return KIST_NOT_FOUND;
    out_value->data = rocksdb_pinnableslice_value(pinned, &out_value->size);
    if (hold_block(it->blocks, pinned, out_value->size, out_hold))
        return KIST_OK;
    return copy_block(pinned, out_value, out_hold);
}

/* What is held keeps its blocks, and none of the others. */
static void free_cache(struct lsm *it)
{
    if (it->blocks == NULL) {
        rocksdb_cache_destroy(it->cache);
        return;
    }
    rocksdb_cache_set_capacity(it->cache, 0);
    leave_blocks(it->blocks);
}

static uint64_t approximate_size(struct engine *engine, struct view from,
                                 struct view to)
{
    char *failure = NULL;
    uint64_t size = 0;

    rocksdb_approximate_sizes(self(engine)->db, 1, &from.data, &from.size,
                              &to.data, &to.size, &size, &failure);
    return status_of(failure) == KIST_OK ? size : 0;
}

static unsigned backlog(struct engine *engine)
{
    return (unsigned)number_property(engine, "rocksdb.num-files-at-level0");
}

static uint64_t memory(struct engine *engine)
{
    return number_property(engine, "rocksdb.cur-size-all-mem-tables") +
           number_property(engine, "rocksdb.block-cache-usage") +
           number_property(engine, "rocksdb.estimate-table-readers-mem");
}

static void slow_down(struct engine *engine)
{
    unsigned tables = backlog(engine);

    if (tables >= SLOW_TABLES)
        clock_pause_ms(tables - SLOW_TABLES + 1);
}

static enum kist_status apply_paced(struct engine *engine,
                                    const struct engine_batch *batch,
                                    enum engine_sync sync)
{
    slow_down(engine);
    return apply(engine, batch, sync);
}

static void flush(struct engine *engine)
{
    struct lsm *it = self(engine);
    rocksdb_flushoptions_t *options;
    char *failure = NULL;

    if (atomic_load(&it->poisoned))
        return;
    options = rocksdb_flushoptions_create();
    rocksdb_flush(it->db, options, &failure);
    rocksdb_flushoptions_destroy(options);
    rocksdb_free(failure); /* Then it is in the log, as it was. */
}

static const struct engine_ops rocksdb_ops = {
    .name = "rocksdb",
    .close = close_engine,
    .get = get,
    .apply = apply_paced,
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

static void set_tables(struct lsm *it, size_t cache_bytes)
{
    rocksdb_block_based_table_options_t *tables =
        rocksdb_block_based_options_create();

    it->cache = rocksdb_cache_create_lru(cache_bytes);
    it->blocks = new_blocks(it->cache, cache_bytes);
    rocksdb_block_based_options_set_block_cache(tables, it->cache);
    rocksdb_block_based_options_set_block_size(tables, BLOCK_BYTES);
    /* Theirs from here on; it->filter stays NULL. */
    rocksdb_block_based_options_set_filter_policy(
        tables, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
    rocksdb_block_based_options_set_index_type(
        tables, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(tables, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(tables, 1);
    rocksdb_block_based_options_set_pin_top_level_index_and_filter(tables, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(
        tables, 1);
    rocksdb_options_set_block_based_table_factory(it->options, tables);
    rocksdb_block_based_options_destroy(tables);
}

/* One thread for every two cores compacts, and one more writes memory out. */
static void set_threads(struct lsm *it, unsigned threads)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (threads == 0)
        threads = cores / 2 > THREADS_MAX ? THREADS_MAX
                  : cores / 2 > 0         ? (unsigned)(cores / 2)
                                          : 1;
    rocksdb_options_set_max_background_jobs(it->options, (int)threads + 1);
    rocksdb_options_set_max_subcompactions(it->options, threads);
}

static void set_writes(struct lsm *it)
{
    for (size_t i = 0; i <= ENGINE_SYNC; i++)
        rocksdb_writeoptions_set_no_slowdown(it->writes[i], 1);
    rocksdb_options_set_max_write_buffer_number(it->options, WRITE_BUFFERS);
    /* Only one threshold: between two of them every write would be refused. */
    rocksdb_options_set_level0_slowdown_writes_trigger(it->options,
                                                       STOP_TABLES);
    rocksdb_options_set_level0_stop_writes_trigger(it->options, STOP_TABLES);
    rocksdb_options_set_soft_pending_compaction_bytes_limit(it->options, 0);
    rocksdb_options_set_hard_pending_compaction_bytes_limit(it->options, 0);
    rocksdb_options_set_bytes_per_sync(it->options, SYNCED_BYTES);
}

static void set_quiet(struct lsm *it)
{
    rocksdb_options_set_info_log_level(it->options, LOG_NOTHING);
    rocksdb_options_set_keep_log_file_num(it->options, KEPT_LOGS);
    rocksdb_options_set_stats_dump_period_sec(it->options, 0);
    rocksdb_options_set_stats_persist_period_sec(it->options, 0);
}

/*
 * Iterators of 7.8 step over a damaged table without a word when they look
 * for deleted ranges, which are never used here (facebook/rocksdb#11783).
 */
static void set_reads(struct lsm *it)
{
    rocksdb_readoptions_set_ignore_range_deletions(it->lookups, 1);
    rocksdb_readoptions_set_ignore_range_deletions(it->scans, 1);
}

static void set_options(struct lsm *it, const struct engine_options *options)
{
    size_t buffer = options->write_buffer_bytes;
    size_t cache = options->block_cache_bytes;
    unsigned files = options->max_open_files;

    it->owner = WAL_OF_ROCKSDB;
    it->name = "RocksDB";
    rocksdb_options_set_create_if_missing(it->options, 1);
    rocksdb_options_set_paranoid_checks(it->options, 1);
    rocksdb_options_set_wal_recovery_mode(it->options, TOLERATE_TORN_TAILS);
    rocksdb_options_set_write_buffer_size(
        it->options, buffer ? buffer : ENGINE_WRITE_BUFFER);
    rocksdb_options_set_compression(it->options, rocksdb_lz4_compression);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(it->options, 1);
    if (files > 0)
        rocksdb_options_set_max_open_files(
            it->options, files < INT_MAX ? (int)files : INT_MAX);
    set_tables(it, cache ? cache : ENGINE_BLOCK_CACHE);
    set_threads(it, options->threads);
    set_reads(it);
    set_writes(it);
    set_quiet(it);
}

static void set_dropping(struct lsm *it, bool dropping)
{
    rocksdb_options_set_wal_recovery_mode(
        it->options, dropping ? STOP_AT_DAMAGE : TOLERATE_TORN_TAILS);
}

enum kist_status engine_rocksdb_open(const struct engine_options *options,
                                     struct engine_fault *out_fault,
                                     struct engine **out_engine)
{
    return open_lsm(&rocksdb_ops, options, out_fault, out_engine);
}
