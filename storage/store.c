/*
 * One engine, guarded by a read-write lock: readers and the commit hold it
 * shared, a reopen holds it alone. State changes happen under a mutex of their
 * own; the state itself is atomic, because every request looks at it.
 */
#include "storage/store.h"

#include "base/clock.h"
#include "storage/cache.h"
#include "storage/data_dir.h"
#include "storage/disk.h"
#include "storage/large_entry.h"
#include "storage/replica_open.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SPACE_RECORDS  STORE_SPACE_RECORDS
#define SPACE_EXPIRIES 'x'

#define IDENTITY_KEY VIEW_LITERAL("midentity")
#define LEASE_KEY    VIEW_LITERAL("mlease")
#define CANARY_KEY   VIEW_LITERAL("mcanary")

#define IDLE_BACKLOG 4 /* From here on engines compact level 0. */

/*
 * How long a write waits for a busy engine: of a client, and where nobody is
 * served before it is done.
 */
enum { WRITE_PATIENCE_MS = 500, OPEN_PATIENCE_MS = 60000 };

#define LOW_SPACE "free disk space is below the reserve"

struct store {
    /* Set by store_open(), then read-only. */
    struct store_options options;
    struct store_hooks hooks;
    struct data_dir *data_dir;
    struct cache *cache; /* NULL: there is none. */

    pthread_mutex_t disk_lock; /* The commit and store_check() both look. */
    struct disk *disk;

    struct large *large;

    pthread_rwlock_t engine_lock;   /* Shared: use; alone: replace. */
    struct engine *engine;          /* NULL while DOWN. */
    struct bucket_sums *sums;       /* NULL: a node alone. */
    _Atomic uint64_t opening;       /* Of the engine. */
    atomic_bool has_pin;            /* Somebody is between pin and unpin; */
    struct engine_iterator *pinned; /* theirs, or NULL. */

    pthread_mutex_t state_lock; /* Orders changes of state. */
    _Atomic int state;          /* enum store_state */
    atomic_bool poisoned;       /* A write failed since the engine opened. */

    bool was_busy; /* The thread in store_apply(): of its last write. */

    struct hlc clock;
    struct store_stats stats;
};

#define TO(state) (1u << (state))
static const unsigned may_move[] = {
    [STORE_READ_WRITE] = TO(STORE_READ_ONLY) | TO(STORE_DOWN),
    [STORE_READ_ONLY] = TO(STORE_READ_WRITE) | TO(STORE_DOWN),
    [STORE_DOWN] = TO(STORE_READ_WRITE) | TO(STORE_READ_ONLY),
};

const char *store_state_name(enum store_state state)
{
    switch (state) {
    case STORE_READ_WRITE:
        return "read_write";
    case STORE_READ_ONLY:
        return "read_only";
    case STORE_DOWN:
        return "down";
    }
    return "invalid_state";
}

enum store_state store_state(const struct store *store)
{
    return (enum store_state)atomic_load(&((struct store *)store)->state);
}

static void move(struct store *store, enum store_state to, const char *why)
{
    enum store_state from;

    pthread_mutex_lock(&store->state_lock);
    from = store_state(store);
    if (from != to) {
        assert(may_move[from] & TO(to));
        atomic_store(&store->state, to);
    }
    pthread_mutex_unlock(&store->state_lock);
    if (from != to && store->hooks.moved != NULL)
        store->hooks.moved(store->hooks.ctx, from, to, why);
}

struct hlc *store_clock(struct store *store)
{
    return &store->clock;
}

struct bucket_sums *store_sums(const struct store *store)
{
    return store->sums;
}

struct store_stats *store_stats(struct store *store)
{
    return &store->stats;
}

struct cache *store_cache(struct store *store)
{
    return store->cache;
}

/* Identity and clock: 8 bytes each; a new directory gets its own. */

static enum kist_status get_u64(struct engine *engine, struct view key,
                                uint64_t *out_number)
{
    struct blob value = BLOB_EMPTY;
    enum kist_status status = engine_get(engine, key, &value);

    if (status == KIST_OK) {
        if (value.size == 8)
            *out_number = read_u64(value.data);
        else
            status = KIST_CORRUPT;
    }
    blob_free(&value);
    return status;
}

static enum kist_status put_u64(struct engine *engine, struct view key,
                                uint64_t number)
{
    struct engine_batch batch = {0};
    struct blob value = BLOB_EMPTY;
    enum kist_status status = KIST_NO_MEMORY;

    blob_append_u64(&value, number);
    engine_batch_put(&batch, key, blob_view(&value));
    if (!value.failed && !batch.bytes.failed)
        status = engine_apply(engine, &batch, ENGINE_SYNC, OPEN_PATIENCE_MS);
    engine_batch_free(&batch);
    blob_free(&value);
    return status;
}

static enum kist_status read_identity(struct store *store)
{
    uint64_t incarnation = 0, lease_ms = 0;
    enum kist_status status =
        get_u64(store->engine, IDENTITY_KEY, &incarnation);

    if (status ==
        KIST_NOT_FOUND) { /* An empty node: who it is, first of all. */
        if (getrandom(&incarnation, sizeof(incarnation), 0) !=
            sizeof(incarnation))
            return KIST_IO;
        status = put_u64(store->engine, IDENTITY_KEY, incarnation);
    }
    if (status != KIST_OK)
        return status;

    status = get_u64(store->engine, LEASE_KEY, &lease_ms);
    if (status == KIST_NOT_FOUND)
        status = KIST_OK;
    if (status == KIST_OK)
        hlc_init(&store->clock, incarnation, lease_ms);
    return status;
}

static enum kist_status open_engine(struct store *store,
                                    struct engine_fault *out_fault)
{
    struct engine_options options = store->options.engine;

    options.path = data_dir_engine_path(store->data_dir);
    atomic_store(&store->poisoned, false);
    return engine_kind_open(store->options.kind, &options, out_fault,
                            &store->engine);
}

/*
 * Recovery writes a table, and the disk may be full. Without its ballast it is
 * low, and the node serves reads until there is room again.
 */
static enum kist_status open_engine_on_any_disk(struct store *store,
                                                struct engine_fault *out_fault)
{
    enum kist_status status = open_engine(store, out_fault);

    if (status != KIST_DISK_FULL)
        return status;
    disk_release_ballast(store->disk);
    return open_engine(store, out_fault);
}

static enum kist_status is_writable(void *ctx)
{
    return store_writable(ctx);
}

/* The same goes for the directories of an old node that has none yet. */
static enum kist_status open_large(struct store *store,
                                   struct engine_fault *out_fault)
{
    struct large_options options = {
        .directory = store->options.path,
        .reserve_bytes = disk_reserve_bytes(store->disk),
        .writable = is_writable,
        .ctx = store,
    };
    enum kist_status status = large_open(&options, out_fault, &store->large);

    if (status != KIST_DISK_FULL)
        return status;
    disk_release_ballast(store->disk);
    return large_open(&options, out_fault, &store->large);
}

static enum kist_status open_parts(struct store *store,
                                   struct engine_fault *out_fault)
{
    struct disk_options disk = {
        .directory = store->options.path,
        .ballast_bytes = store->options.ballast_bytes,
        .reserve_bytes = store->options.reserve_bytes,
        .write_buffers = engine_kind_buffers(store->options.kind),
        .write_buffer_bytes = store->options.engine.write_buffer_bytes,
    };
    enum kist_status status;

    status = engine_kind_check(store->options.kind, out_fault);
    if (status == KIST_OK)
        status = data_dir_open(store->options.path,
                               engine_kind_name(store->options.kind), out_fault,
                               &store->data_dir);
    if (status == KIST_OK && store->options.cache_bytes > 0)
        status = cache_open(store->options.cache_bytes, SPACE_RECORDS,
                            &store->cache);
    if (status == KIST_OK)
        status = disk_open(&disk, out_fault, &store->disk);
    if (status == KIST_OK)
        status = open_large(store, out_fault);
    if (status == KIST_OK)
        status = open_engine_on_any_disk(store, out_fault);
    if (status != KIST_OK)
        return status;

    status = read_identity(store);
    if (status != KIST_OK)
        snprintf(out_fault->text, sizeof(out_fault->text),
                 "%s: the node's identity cannot be read or written (%s); "
                 "check the disk, or restore a backup",
                 store->options.path, kist_status_name(status));
    if (status == KIST_OK)
        status = replica_open(store->options.replicated, store->engine,
                              out_fault, &store->sums);
    store->options.replicated = NULL; /* The caller's, and read. */
    return status;
}

static void init_locks(struct store *store)
{
    pthread_rwlockattr_t attributes;

    /*
     * A reopen must not wait for ever, so it goes before readers who come
     * later: who may have the lock already must not wait for it again, see
     * store_try_borrow_engine().
     */
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&store->engine_lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&store->state_lock, NULL);
    pthread_mutex_init(&store->disk_lock, NULL);
}

enum kist_status store_open(const struct store_options *options,
                            const struct store_hooks *hooks,
                            struct engine_fault *out_fault,
                            struct store **out_store)
{
    struct store *store = calloc(1, sizeof(*store));
    enum kist_status status;

    if (store == NULL)
        return KIST_NO_MEMORY;
    init_locks(store);
    store->options = *options;
    store->hooks = *hooks;
    out_fault->text[0] = '\0';
    status = open_parts(store, out_fault);
    if (status != KIST_OK)
        goto fail;
    store_check(store);
    *out_store = store;
    return KIST_OK;

fail:
    store_close(store);
    return status;
}

/*
 * Writing a table now is faster than replaying its log at the next start, in
 * which nobody is served. But a stop shall be quick: with compactions under
 * way the flush would wait for one, and without space it would fail.
 */
static void flush_before_close(struct store *store)
{
    const struct engine_ops *ops = store->engine->ops;

    if (store_state(store) == STORE_READ_WRITE &&
        !atomic_load(&store->poisoned) &&
        ops->backlog(store->engine) < IDLE_BACKLOG)
        ops->flush(store->engine);
}

static void close_pinned(struct store *store)
{
    if (store->pinned != NULL)
        store->pinned->ops->iterator_close(store->pinned);
    store->pinned = NULL;
}

static void close_engine(struct store *store)
{
    close_pinned(store);
    if (store->engine != NULL)
        store->engine->ops->close(store->engine);
    store->engine = NULL;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    if (store->engine != NULL)
        flush_before_close(store);
    close_engine(store);
    bucket_sums_free(store->sums);
    large_close(store->large);
    cache_close(store->cache);
    disk_close(store->disk);
    data_dir_close(store->data_dir);
    pthread_mutex_destroy(&store->disk_lock);
    pthread_mutex_destroy(&store->state_lock);
    pthread_rwlock_destroy(&store->engine_lock);
    free(store);
}

struct engine *store_borrow_engine(struct store *store)
{
    struct engine *engine;

    pthread_rwlock_rdlock(&store->engine_lock);
    engine = store->engine;
    if (engine == NULL)
        pthread_rwlock_unlock(&store->engine_lock);
    return engine;
}

struct engine *store_try_borrow_engine(struct store *store)
{
    struct engine *engine;

    if (pthread_rwlock_tryrdlock(&store->engine_lock) != 0)
        return NULL;
    engine = store->engine;
    if (engine == NULL)
        pthread_rwlock_unlock(&store->engine_lock);
    return engine;
}

void store_return_engine(struct store *store)
{
    pthread_rwlock_unlock(&store->engine_lock);
}

enum kist_status store_pin(struct store *store)
{
    enum kist_status status = KIST_READ_ONLY;
    struct engine *engine;

    if (atomic_exchange(&store->has_pin, true))
        return KIST_BUSY;
    engine = store_try_borrow_engine(store);
    if (engine != NULL) {
        status = engine->ops->iterator_open(engine, &store->pinned);
        store_return_engine(store);
    }
    if (status != KIST_OK)
        atomic_store(&store->has_pin, false);
    return status;
}

void store_unpin(struct store *store)
{
    assert(atomic_load(&store->has_pin));
    pthread_rwlock_rdlock(&store->engine_lock); /* A reopen closes it, too. */
    close_pinned(store);
    pthread_rwlock_unlock(&store->engine_lock);
    atomic_store(&store->has_pin, false);
}

struct engine_iterator *store_borrow_pinned(struct store *store)
{
    struct engine_iterator *pinned;

    pthread_rwlock_rdlock(&store->engine_lock);
    pinned = store->pinned;
    if (pinned == NULL)
        pthread_rwlock_unlock(&store->engine_lock);
    return pinned;
}

/* Keys of the engine. */

struct space_key {
    char bytes[1 + 8 + STORE_KEY_MAX + 1];
    size_t size;
};

static struct view space_key(struct space_key *out, char space, struct view key)
{
    assert(key.size < sizeof(out->bytes));
    out->bytes[0] = space;
    if (key.size > 0)
        memcpy(out->bytes + 1, key.data, key.size);
    out->size = key.size + 1;
    return (struct view){out->bytes, out->size};
}

struct large *store_large(struct store *store)
{
    return store->large;
}

enum kist_status store_large_key(struct store *store,
                                 const struct large_reference *reference,
                                 struct blob *out_key)
{
    char entry[LARGE_ENTRY_KEY_SIZE];
    enum kist_status status = KIST_READ_ONLY;

    large_entry_key(reference, entry);
    pthread_rwlock_rdlock(&store->engine_lock);
    if (store->engine != NULL)
        status = engine_get(store->engine, (struct view){entry, sizeof(entry)},
                            out_key);
    pthread_rwlock_unlock(&store->engine_lock);
    return status;
}

/* Is the record that has lost its file still the key's? */
static enum kist_status judge_missing(struct store *store, struct view key,
                                      struct version version)
{
    struct item now;
    enum kist_status status = store_get_under_cursor(store, key, &now);

    if (status != KIST_OK)
        return status;
    if (version_equal(now.record.version, version))
        status = KIST_CORRUPT;
    else
        status = KIST_NOT_FOUND;
    item_free(&now);
    return status;
}

enum kist_status store_load(struct store *store, struct view key,
                            struct item *item, uint64_t limit)
{
    struct large_reference reference;
    struct blob loaded = BLOB_EMPTY;
    enum kist_status status;

    if (!item->record.large)
        return KIST_OK;
    status = large_reference_decode(item->record.value, &reference);
    if (status == KIST_OK && reference.size > limit)
        status = KIST_TOO_LARGE;
    if (status != KIST_OK)
        return status;
    blob_append(&loaded, item->record.media_type);
    status = large_read(store->large, &reference, &loaded);
    if (status == KIST_NOT_FOUND)
        status = judge_missing(store, key, item->record.version);
    if (status == KIST_OK)
        item_hold_value(item, &loaded);
    else
        blob_free(&loaded);
    return status;
}

/* Writing. */

static struct view expiry_key(struct space_key *out, struct view key,
                              uint64_t expiry_ms)
{
    out->bytes[0] = SPACE_EXPIRIES;
    for (int i = 0; i < 8; i++)
        out->bytes[1 + i] = (char)(expiry_ms >> (56 - 8 * i));
    assert(key.size <= STORE_KEY_MAX);
    memcpy(out->bytes + 9, key.data, key.size);
    out->size = 9 + key.size;
    return (struct view){out->bytes, out->size};
}

struct engine_place store_batch_put(struct engine_batch *batch, struct view key,
                                    struct view encoded, uint64_t expiry_ms)
{
    struct space_key space;
    struct engine_place place =
        engine_batch_put(batch, space_key(&space, SPACE_RECORDS, key), encoded);

    if (expiry_ms != 0)
        engine_batch_put(batch, expiry_key(&space, key, expiry_ms),
                         (struct view){0});
    return place;
}

void store_batch_unexpire(struct engine_batch *batch, struct view key,
                          uint64_t expiry_ms)
{
    struct space_key space;

    engine_batch_delete(batch, expiry_key(&space, key, expiry_ms));
}

void store_batch_erase(struct engine_batch *batch, struct view key)
{
    struct space_key space;

    engine_batch_delete(batch, space_key(&space, SPACE_RECORDS, key));
}

void store_batch_lease(struct engine_batch *batch, uint64_t lease_ms)
{
    struct blob value = BLOB_EMPTY;

    blob_append_u64(&value, lease_ms);
    if (value.failed)
        batch->bytes.failed = true;
    engine_batch_put(batch, LEASE_KEY, blob_view(&value));
    blob_free(&value);
}

static enum disk_space check_disk(struct store *store)
{
    enum disk_space space;

    pthread_mutex_lock(&store->disk_lock);
    space = disk_check(store->disk);
    pthread_mutex_unlock(&store->disk_lock);
    return space;
}

/*
 * Others fill disks, too, and faster than once a second: a look before every
 * batch costs a microsecond and makes a half-failed write a rarity.
 */
static void check_before_write(struct store *store)
{
    if (store_state(store) == STORE_READ_WRITE && check_disk(store) == DISK_LOW)
        move(store, STORE_READ_ONLY, LOW_SPACE);
}

static enum kist_status write_failed(struct store *store,
                                     enum kist_status status)
{
    counter_add(&store->stats.write_errors, 1);
    if (status == KIST_READ_ONLY || status == KIST_NO_MEMORY ||
        status == KIST_BUSY) /* Nothing was tried. */
        return status;

    atomic_store(&store->poisoned, true);
    if (status == KIST_DISK_FULL) {
        move(store, STORE_READ_ONLY, "the disk is full");
        return KIST_UNKNOWN;
    }
    move(store, STORE_DOWN, "a write failed");
    if (store->hooks.failed != NULL)
        store->hooks.failed(store->hooks.ctx,
                            "a write or sync failed; only recovery at the "
                            "next start can tell what is on disk");
    return KIST_UNKNOWN;
}

enum kist_status store_writable(const struct store *store)
{
    switch (store_state(store)) {
    case STORE_READ_WRITE:
        return KIST_OK;
    case STORE_READ_ONLY:
        return KIST_DISK_FULL;
    case STORE_DOWN:
        return KIST_READ_ONLY;
    }
    return KIST_READ_ONLY;
}

/*
 * A queue full of writes does not wait for a busy engine one after the other:
 * once one has waited in vain, the next are tried once each.
 */
static enum kist_status apply(struct store *store,
                              const struct engine_batch *batch,
                              enum engine_sync sync)
{
    enum kist_status status = engine_apply(
        store->engine, batch, sync, store->was_busy ? 0 : WRITE_PATIENCE_MS);

    store->was_busy = status == KIST_BUSY;
    return status;
}

/* Under the engine's lock, so that a reopen forgets before or after it. */
static enum kist_status apply_through_cache(struct store *store,
                                            const struct engine_batch *batch,
                                            enum engine_sync sync)
{
    enum kist_status status;

    if (store->cache == NULL)
        return apply(store, batch, sync);
    cache_write_begin(store->cache, batch);
    status = apply(store, batch, sync);
    cache_write_end(store->cache, batch,
                    status == KIST_OK ? CACHE_APPLIED : CACHE_FAILED);
    return status;
}

uint64_t store_opening(const struct store *store)
{
    return atomic_load(&store->opening);
}

enum kist_status store_apply(struct store *store,
                             const struct engine_batch *batch, uint64_t opening,
                             enum engine_sync sync)
{
    uint64_t started_ns = clock_mono_ns();
    enum kist_status status;

    if (batch->bytes.failed)
        return KIST_NO_MEMORY;
    check_before_write(store);

    pthread_rwlock_rdlock(&store->engine_lock);
    status = store_writable(store);
    if (status == KIST_OK && opening != store_opening(store))
        status = KIST_READ_ONLY;
    if (status != KIST_OK) {
        pthread_rwlock_unlock(&store->engine_lock);
        return status;
    }
    status = apply_through_cache(store, batch, sync);
    pthread_rwlock_unlock(&store->engine_lock);

    histogram_observe(&store->stats.write_time, clock_mono_ns() - started_ns);
    return status == KIST_OK ? KIST_OK : write_failed(store, status);
}

/* The way back to READ_WRITE. */

static enum kist_status prove(struct engine *engine)
{
    uint64_t token = clock_mono_ns(), found = 0;
    enum kist_status status = put_u64(engine, CANARY_KEY, token);

    if (status == KIST_OK)
        status = get_u64(engine, CANARY_KEY, &found);
    if (status == KIST_OK && found != token)
        status = KIST_CORRUPT;
    return status;
}

static enum kist_status replace_engine(struct store *store,
                                       struct engine_fault *out_fault)
{
    enum kist_status status;

    pthread_rwlock_wrlock(&store->engine_lock);
    /* A write of unknown outcome may be there, after all, in the next one. */
    if (store->cache != NULL)
        cache_clear(store->cache);
    close_engine(store);
    atomic_fetch_add(&store->opening, 1);
    status = open_engine(store, out_fault);
    if (status == KIST_OK) {
        status = prove(store->engine);
        if (status != KIST_OK)
            snprintf(out_fault->text, sizeof(out_fault->text),
                     "the reopened engine failed its canary");
    }
    if (status == KIST_OK && store->sums != NULL) {
        status = replica_open_again(store->engine, store->sums);
        if (status != KIST_OK)
            engine_fault_set(out_fault, "the reopened engine's sums of the "
                                        "cluster's records cannot be read");
    }
    pthread_rwlock_unlock(&store->engine_lock);
    return status;
}

/*
 * Recovery writes the log into a table, which takes room: the ballast gives
 * way for it and comes back after. The log begins anew, so the write that
 * failed can no longer shift what follows it.
 */
static void reopen(struct store *store)
{
    struct engine_fault fault = {{0}};
    enum kist_status status, ballast;

    pthread_mutex_lock(&store->disk_lock);
    disk_release_ballast(store->disk);
    status = replace_engine(store, &fault);
    ballast = disk_restore_ballast(store->disk);
    pthread_mutex_unlock(&store->disk_lock);

    counter_add(&store->stats.reopens, 1);
    if (status != KIST_OK) {
        atomic_store(&store->poisoned, true);
        move(store, STORE_DOWN, fault.text);
    } else if (ballast != KIST_OK) {
        move(store, STORE_READ_ONLY, "no room for the ballast file yet");
    } else {
        move(store, STORE_READ_WRITE,
             fault.text[0] != '\0' ? fault.text
                                   : "space is back, the engine reopened");
    }
}

void store_check(struct store *store)
{
    enum disk_space space = check_disk(store);

    switch (store_state(store)) {
    case STORE_READ_WRITE:
        if (space == DISK_LOW)
            move(store, STORE_READ_ONLY, LOW_SPACE);
        break;
    case STORE_READ_ONLY:
        if (space == DISK_LOW)
            break;
        if (atomic_load(&store->poisoned))
            reopen(store);
        else
            move(store, STORE_READ_WRITE, "space is back");
        break;
    case STORE_DOWN:
        if (space == DISK_OK)
            reopen(store);
        break;
    }
}

void store_gauges(struct store *store, struct store_gauges *out_gauges)
{
    struct view records = VIEW_LITERAL("k"), after = VIEW_LITERAL("l");

    *out_gauges = (struct store_gauges){
        .disk_free = disk_free_bytes(store->disk),
        .disk_reserve = disk_reserve_bytes(store->disk),
    };
    pthread_rwlock_rdlock(&store->engine_lock);
    if (store->engine != NULL) {
        const struct engine_ops *ops = store->engine->ops;

        out_gauges->engine_memory = ops->memory(store->engine);
        out_gauges->backlog = ops->backlog(store->engine);
        out_gauges->records_size =
            ops->approximate_size(store->engine, records, after);
    }
    pthread_rwlock_unlock(&store->engine_lock);
}
