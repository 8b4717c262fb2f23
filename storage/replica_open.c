/*
 * Each step that writes goes through the engine in pages of its own batch,
 * synced (an unsynced tail of a log that is then left would look like a loss),
 * with an iterator of its own, so that a large directory pins no old files.
 */
#include "storage/replica_open.h"

#include "storage/key_hash.h"
#include "storage/replica_index.h"

#include <inttypes.h>
#include <string.h>

#define MARK_KEY VIEW_LITERAL("mreplica")

enum {
    MARK_FORMAT = 1,
    MARK_SIZE = 11,
    PAGE_BYTES = 1 << 20,
    PATIENCE_MS = 60000, /* Nobody is served before this is done. */
};

enum mark_state {
    MARK_NONE,     /* A node's alone. */
    MARK_MAKING,   /* The index is being made for the first time. */
    MARK_WHOLE,    /* The index is as good as the records. */
    MARK_REMAKING, /* It was whole, and is being made again. */
};

struct mark {
    enum mark_state state;
    unsigned bits;
    uint64_t cluster;
};

static enum kist_status read_mark(struct engine *engine, struct mark *out)
{
    struct blob value = BLOB_EMPTY;
    enum kist_status status = engine_get(engine, MARK_KEY, &value);

    *out = (struct mark){MARK_NONE, 0, 0};
    if (status == KIST_NOT_FOUND)
        return KIST_OK;
    if (status == KIST_OK &&
        (value.size != MARK_SIZE || value.data[0] != MARK_FORMAT ||
         value.data[1] < MARK_MAKING || value.data[1] > MARK_REMAKING))
        status = KIST_CORRUPT;
    if (status == KIST_OK)
        *out = (struct mark){
            .state = (enum mark_state)(unsigned char)value.data[1],
            .bits = (unsigned char)value.data[2],
            .cluster = read_u64(value.data + 3),
        };
    blob_free(&value);
    return status;
}

static enum kist_status apply(struct engine *engine, struct engine_batch *batch)
{
    enum kist_status status = KIST_NO_MEMORY;

    if (!batch->bytes.failed)
        status = engine_apply(engine, batch, ENGINE_SYNC, PATIENCE_MS);
    engine_batch_clear(batch);
    return status;
}

/* MARK_NONE: takes it away. */
static enum kist_status write_mark(struct engine *engine,
                                   const struct mark *mark)
{
    struct engine_batch batch = {0};
    struct blob value = BLOB_EMPTY;
    enum kist_status status;

    blob_append_byte(&value, MARK_FORMAT);
    blob_append_byte(&value, (char)mark->state);
    blob_append_byte(&value, (char)mark->bits);
    blob_append_u64(&value, mark->cluster);
    if (mark->state == MARK_NONE)
        engine_batch_delete(&batch, MARK_KEY);
    else
        engine_batch_put(&batch, MARK_KEY, blob_view(&value));
    status = value.failed ? KIST_NO_MEMORY : apply(engine, &batch);
    engine_batch_free(&batch);
    blob_free(&value);
    return status;
}

/* A walk over a space of the engine, from behind a key on. */

struct walk {
    struct engine *engine;
    char space;
    struct blob from; /* The engine's key to begin at. */
    struct engine_batch batch;
    bool done;
    void *ctx;
    /* What a key, without its space, and its value do; into batch. */
    enum kist_status (*visit)(struct walk *walk, struct view key,
                              struct view value);
};

static enum kist_status visit_page(struct walk *walk,
                                   struct engine_iterator *at)
{
    const struct engine_ops *ops = walk->engine->ops;
    enum kist_status status = KIST_OK;

    for (ops->seek(at, blob_view(&walk->from)); ops->valid(at); ops->next(at)) {
        struct view key = ops->key(at);

        if (key.size == 0 || key.data[0] != walk->space)
            break;
        if (walk->batch.bytes.size >= PAGE_BYTES) {
            blob_clear(&walk->from);
            blob_append(&walk->from, key);
            return KIST_OK;
        }
        status = walk->visit(walk, view_from(key, 1), ops->value(at));
        if (status != KIST_OK)
            return status;
    }
    walk->done = true;
    return ops->error(at);
}

/* After a page, what it did is applied; settle may be NULL. */
static enum kist_status walk_over(struct walk *walk,
                                  void (*settle)(struct walk *walk))
{
    struct engine_iterator *at;
    enum kist_status status = KIST_OK;

    blob_append_byte(&walk->from, walk->space);
    while (!walk->done && status == KIST_OK && !walk->from.failed) {
        status = walk->engine->ops->iterator_open(walk->engine, &at);
        if (status != KIST_OK)
            break;
        status = visit_page(walk, at);
        walk->engine->ops->iterator_close(at);
        if (status == KIST_OK && walk->batch.count > 0)
            status = apply(walk->engine, &walk->batch);
        if (status == KIST_OK && settle != NULL)
            settle(walk);
    }
    if (status == KIST_OK && walk->from.failed)
        status = KIST_NO_MEMORY;
    engine_batch_free(&walk->batch);
    blob_free(&walk->from);
    return status;
}

/* What there is. */

static enum kist_status load(struct walk *walk, struct view key,
                             struct view value)
{
    return bucket_sums_load(walk->ctx, walk->space, key, value);
}

enum kist_status replica_open_again(struct engine *engine,
                                    struct bucket_sums *sums)
{
    struct walk blocks = {.engine = engine,
                          .space = BUCKET_SUMS_SPACE,
                          .ctx = sums,
                          .visit = load};
    struct walk entries = {.engine = engine,
                           .space = BUCKET_SUMS_LOG_SPACE,
                           .ctx = sums,
                           .visit = load};
    enum kist_status status;

    bucket_sums_clear(sums);
    status = walk_over(&blocks, NULL);
    return status == KIST_OK ? walk_over(&entries, NULL) : status;
}

static enum kist_status note_any(struct walk *walk, struct view key,
                                 struct view value)
{
    bool *any = walk->ctx;

    (void)key;
    (void)value;
    *any = true;
    walk->done = true;
    return KIST_NOT_FOUND; /* Seen enough. */
}

static enum kist_status has_entries(struct engine *engine, bool *out_any)
{
    struct walk walk = {.engine = engine,
                        .space = REPLICA_INDEX_SPACE,
                        .ctx = out_any,
                        .visit = note_any};
    enum kist_status status;

    *out_any = false;
    status = walk_over(&walk, NULL);
    return status == KIST_NOT_FOUND ? KIST_OK : status;
}

/* Making it. */

static enum kist_status erase(struct walk *walk, struct view key,
                              struct view value)
{
    struct blob *whole = walk->ctx;

    (void)value;
    blob_clear(whole);
    blob_append_byte(whole, walk->space);
    blob_append(whole, key);
    engine_batch_delete(&walk->batch, blob_view(whole));
    return whole->failed ? KIST_NO_MEMORY : KIST_OK;
}

static enum kist_status erase_space(struct engine *engine, char space)
{
    struct blob whole = BLOB_EMPTY;
    struct walk walk = {
        .engine = engine, .space = space, .ctx = &whole, .visit = erase};
    enum kist_status status = walk_over(&walk, NULL);

    blob_free(&whole);
    return status;
}

struct making {
    struct bucket_sums *sums;
    struct bucket_changes changes;
    struct engine_fault *fault;
};

static enum kist_status enter(struct walk *walk, struct view key,
                              struct view value)
{
    struct making *making = walk->ctx;
    struct record record;
    enum kist_status status = record_decode(key, value, &record);

    if (status != KIST_OK) {
        engine_fault_set(making->fault,
                         "the record of the key \"%.*s\" is damaged, so this "
                         "directory cannot join a cluster; restore a backup",
                         (int)key.size, key.data);
        return status;
    }
    return replica_index_enter(making->sums, &making->changes, &walk->batch,
                               key, NULL, &record);
}

static void settle(struct walk *walk)
{
    struct making *making = walk->ctx;

    bucket_sums_applied(making->sums, &making->changes);
    bucket_changes_end(&making->changes);
}

static enum kist_status enter_records(struct engine *engine,
                                      struct bucket_sums *sums,
                                      struct engine_fault *out_fault)
{
    struct making making = {.sums = sums, .fault = out_fault};
    struct walk walk = {.engine = engine,
                        .space = STORE_SPACE_RECORDS,
                        .ctx = &making,
                        .visit = enter};
    enum kist_status status = walk_over(&walk, settle);

    bucket_changes_free(&making.changes);
    return status;
}

static enum kist_status settle_sums(struct engine *engine,
                                    struct bucket_sums *sums)
{
    struct engine_batch batch = {0};
    unsigned partition = 0;
    enum kist_status status = KIST_OK;

    do {
        bucket_sums_put_behind(sums, &partition, PAGE_BYTES, &batch);
        if (batch.count == 0)
            break;
        status = apply(engine, &batch);
    } while (status == KIST_OK);
    engine_batch_free(&batch);
    if (status == KIST_OK)
        status = erase_space(engine, BUCKET_SUMS_LOG_SPACE);
    if (status == KIST_OK)
        bucket_sums_settled(sums);
    return status;
}

static enum kist_status make(struct engine *engine, const struct mark *was,
                             struct bucket_sums *sums, struct mark mark,
                             struct engine_fault *out_fault)
{
    enum kist_status status;

    mark.state = was->state == MARK_NONE || was->state == MARK_MAKING
                     ? MARK_MAKING
                     : MARK_REMAKING;
    bucket_sums_clear(sums);
    status = write_mark(engine, &mark);
    if (status == KIST_OK)
        status = erase_space(engine, REPLICA_INDEX_SPACE);
    if (status == KIST_OK)
        status = erase_space(engine, BUCKET_SUMS_SPACE);
    if (status == KIST_OK)
        status = erase_space(engine, BUCKET_SUMS_LOG_SPACE);
    if (status == KIST_OK)
        status = enter_records(engine, sums, out_fault);
    if (status == KIST_OK)
        status = settle_sums(engine, sums);
    mark.state = MARK_WHOLE;
    if (status == KIST_OK)
        status = write_mark(engine, &mark);
    return status;
}

/* Opening. */

/* A node alone, on a directory that may have been part of a cluster. */
static enum kist_status leave(struct engine *engine, const struct mark *was,
                              struct engine_fault *out_fault)
{
    bool any = was->state == MARK_REMAKING;
    enum kist_status status = KIST_OK;

    if (was->state == MARK_NONE)
        return KIST_OK;
    if (was->state == MARK_WHOLE)
        status = has_entries(engine, &any);
    if (status != KIST_OK)
        return status;
    if (any) {
        engine_fault_set(out_fault,
                         "this directory is part of a cluster: a node alone "
                         "would forget what was deleted, and the others would "
                         "bring it back; start it with its peers, or export "
                         "the values from the cluster and use an empty one");
        return KIST_INVALID;
    }
    return write_mark(engine, &(struct mark){MARK_NONE, 0, 0});
}

static bool may_take_over(const struct mark *was, const struct mark *wanted,
                          struct engine_fault *out_fault)
{
    if (wanted->bits > KEY_HASH_BITS_MAX) {
        engine_fault_set(out_fault, "2^%u partitions are too many",
                         wanted->bits);
        return false;
    }
    if (was->state == MARK_NONE || was->state == MARK_MAKING ||
        was->cluster == wanted->cluster)
        return true;
    engine_fault_set(out_fault,
                     "this directory is part of another cluster (%016" PRIx64
                     ", not %016" PRIx64 "); use an empty one",
                     was->cluster, wanted->cluster);
    return false;
}

static enum kist_status take_over(struct engine *engine, const struct mark *was,
                                  const struct mark *wanted,
                                  struct engine_fault *out_fault,
                                  struct bucket_sums *sums)
{
    enum kist_status status;

    if (was->state == MARK_WHOLE && was->bits == wanted->bits) {
        status = replica_open_again(engine, sums);
        if (status != KIST_CORRUPT)
            return status;
    }
    return make(engine, was, sums, *wanted, out_fault);
}

static enum kist_status open_sums(const struct store_replication *replicated,
                                  struct engine *engine,
                                  struct engine_fault *out_fault,
                                  struct bucket_sums **out_sums)
{
    struct mark was, wanted;
    enum kist_status status = read_mark(engine, &was);

    *out_sums = NULL;
    if (status != KIST_OK)
        return status;
    if (replicated == NULL)
        return leave(engine, &was, out_fault);
    wanted = (struct mark){MARK_WHOLE, replicated->bits, replicated->cluster};
    if (!may_take_over(&was, &wanted, out_fault))
        return KIST_INVALID;
    status = bucket_sums_new(replicated->bits, replicated->cluster, out_sums);
    if (status == KIST_OK)
        status = take_over(engine, &was, &wanted, out_fault, *out_sums);
    return status;
}

enum kist_status replica_open(const struct store_replication *replicated,
                              struct engine *engine,
                              struct engine_fault *out_fault,
                              struct bucket_sums **out_sums)
{
    struct engine_fault fault = {{0}};
    struct bucket_sums *sums;
    enum kist_status status = open_sums(replicated, engine, &fault, &sums);

    if (status == KIST_OK) {
        *out_sums = sums;
        return KIST_OK;
    }
    bucket_sums_free(sums);
    if (fault.text[0] == '\0')
        engine_fault_set(&fault,
                         "the index of the cluster's records cannot be read or "
                         "made (%s)",
                         kist_status_name(status));
    *out_fault = fault;
    return status;
}
