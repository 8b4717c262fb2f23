#include "storage/decide.h"

#include "base/clock.h"
#include "storage/large_entry.h"

/* Memory that a batch may leave behind for the next one. */
#define KEPT_BYTES (1u << 20)

/* What one batch may hold, and read to come about, before it is written. */
#define BATCH_BYTES (8u << 20)
#define BATCH_WORK  (64u << 20)

void decision_begin(struct decision *decision)
{
    engine_batch_clear(&decision->batch);
    decision->work = 0;
    decision->writes = 0;
    decision->drops = 0;
    decision->now_ms = clock_wall_ms();
    decision->newest = VERSION_NONE;
    decision->lease_ms = 0;
}

/*
 * The stored or pending record of the write's key. Gives *out_item; what is
 * pending lies in the batch until that grows.
 */
static enum kist_status find_current(struct decision *decision,
                                     struct write *write, struct item *out_item)
{
    struct engine_place place;
    struct view pending;

    write->on_pending = overlay_find(&decision->overlay, write->key, &place);
    if (!write->on_pending)
        return store_peek(decision->store, write->key, out_item);
    if (place.size == 0)
        return KIST_NOT_FOUND;
    *out_item = (struct item){0};
    pending = engine_batch_at(&decision->batch, place);
    return record_decode(write->key, pending, &out_item->record);
}

/* If memory ran out since mark, half an operation may lie in the batch. */
static enum kist_status keep_whole(struct decision *decision,
                                   struct engine_mark mark)
{
    if (!decision->batch.bytes.failed)
        return KIST_OK;
    engine_batch_rewind(&decision->batch, mark);
    decision->batch.bytes.failed = false;
    return KIST_NO_MEMORY;
}

/* Whether the record, if there is one, has a file, and which. */
static bool get_file(const struct record *record, struct large_reference *out)
{
    return record != NULL && record->large && !record->tombstone &&
           large_reference_decode(record->value, out) == KIST_OK;
}

/*
 * The files' entries. Where the same file goes on its entry is written again,
 * so that no record is ever without one, whatever of the log is lost. old and
 * next are read before the batch grows.
 */
static void enter_files(struct decision *decision, struct view key,
                        const struct record *old, const struct record *next)
{
    struct large_reference was, is;
    bool had = get_file(old, &was), has = get_file(next, &is);

    if (had && !(has && large_reference_same(&was, &is))) {
        large_entry_delete(&decision->batch, &was);
        decision->drops++;
    }
    if (has)
        large_entry_put(&decision->batch, &is, key);
}

/*
 * Enter the outcome into batch and overlay, or leave no trace of it. next may
 * have bytes of old, which may lie in the batch: it is encoded before that
 * grows.
 */
static enum kist_status enter(struct decision *decision, struct write *write,
                              const struct record *old,
                              const struct record *next)
{
    struct engine_mark mark = engine_batch_mark(&decision->batch);
    struct engine_place place = {0};
    size_t drops = decision->drops;
    bool erased = next == NULL || next->tombstone;
    enum kist_status status;

    blob_clear(&decision->encoded);
    if (!erased)
        record_encode(write->key, next, &decision->encoded);
    if (decision->encoded.failed)
        return KIST_NO_MEMORY;

    enter_files(decision, write->key, old, next);
    if (old != NULL && old->expiry_ms != 0)
        store_batch_unexpire(&decision->batch, write->key, old->expiry_ms);
    if (erased)
        store_batch_erase(&decision->batch, write->key);
    else
        place = store_batch_put(&decision->batch, write->key,
                                blob_view(&decision->encoded), next->expiry_ms);
    decision->work += place.size;
    status = keep_whole(decision, mark);
    if (status == KIST_OK)
        status = overlay_set(&decision->overlay, write->key, place);
    if (status != KIST_OK) {
        engine_batch_rewind(&decision->batch, mark);
        decision->drops = drops;
        return status;
    }
    decision->writes++;
    return KIST_OK;
}

/*
 * The sweep found an entry that says "key ends at next.expiry_ms". The record
 * may be another one by now: then only the entry goes.
 */
static enum kist_status expire(struct decision *decision, struct write *write,
                               const struct record *old)
{
    struct engine_mark mark = engine_batch_mark(&decision->batch);
    uint64_t entry_ms = write->next.expiry_ms;
    enum kist_status status;

    if (old != NULL && record_is_dead(old, decision->now_ms))
        return enter(decision, write, old, NULL);
    if (old == NULL || old->expiry_ms != entry_ms)
        store_batch_unexpire(&decision->batch, write->key, entry_ms);
    status = keep_whole(decision, mark);
    return status == KIST_OK ? KIST_NOT_FOUND : status;
}

/*
 * What the edit makes of the current record, or of none. It may borrow from
 * *loaded, where a large value is brought into memory.
 */
static enum kist_status edit(struct decision *decision, struct write *write,
                             const struct record *live, struct item *loaded,
                             struct record *out_next)
{
    enum kist_status status;

    if (live == NULL)
        return write->edit(write, NULL, out_next);
    if (write->load_limit == 0 || !live->large) {
        *out_next = *live;
        return write->edit(write, live, out_next);
    }
    loaded->record = *live; /* Somebody else's bytes, until it is loaded. */
    status = store_load(decision->store, write->key, loaded, write->load_limit);
    if (status == KIST_NOT_FOUND)
        return KIST_CORRUPT; /* Nobody but us replaces it. */
    if (status != KIST_OK)
        return status;
    decision->work += loaded->record.value.size;
    *out_next = loaded->record;
    return write->edit(write, &loaded->record, out_next);
}

/*
 * old: the record that lies there, dead or not; live: the same if alive.
 * *loaded is empty, and the caller's to free.
 */
static enum kist_status decide(struct decision *decision, struct write *write,
                               const struct record *old,
                               const struct record *live, struct item *loaded)
{
    struct record next = write->next;
    enum kist_status status;

    if (write->expire)
        return expire(decision, write, old);
    if (!condition_holds(&write->condition, live))
        return KIST_CONFLICT;

    if (write->edit != NULL) {
        next = (struct record){0};
        status = edit(decision, write, live, loaded, &next);
        if (status != KIST_OK || write->unchanged)
            return status;
    }
    if (next.tombstone && live == NULL)
        return KIST_NOT_FOUND;

    next.version = hlc_next(store_clock(decision->store), decision->now_ms);
    next.created_ms = live != NULL ? live->created_ms : decision->now_ms;
    status = enter(decision, write, old, &next);
    if (status == KIST_OK) {
        decision->newest = next.version;
        write->version = next.version;
        write->created = live == NULL;
        write->expiry_ms = next.expiry_ms;
    }
    return status;
}

static void decide_write(struct decision *decision, struct write *write)
{
    struct item item = {0}, loaded = {0};
    const struct record *old = NULL, *live = NULL;

    write->version = VERSION_NONE;
    write->created = false;
    write->expiry_ms = 0;
    write->status = find_current(decision, write, &item);
    if (write->status == KIST_OK) {
        old = &item.record;
        decision->work += old->value.size;
    } else if (write->status != KIST_NOT_FOUND) {
        return; /* Unreadable: nothing may be decided on top of it. */
    }
    if (old != NULL && !record_is_dead(old, decision->now_ms))
        live = old;
    if (live != NULL)
        write->version = live->version;

    write->status = decide(decision, write, old, live, &loaded);
    item_free(&loaded);
    item_free(&item);
}

/* One key may be read and made again by every write of a large group. */
static void decide_in_group(struct decision *decision,
                            struct commit_group *group, struct write *write)
{
    uint64_t before = decision->work;

    if (group->work_limit != 0 && group->work >= group->work_limit) {
        write->status = KIST_TOO_LARGE;
        return;
    }
    decide_write(decision, write);
    group->work += decision->work - before;
}

void decision_add(struct decision *decision, struct commit_group *group)
{
    struct engine_mark mark = engine_batch_mark(&decision->batch);
    size_t entries = decision->overlay.count, writes = decision->writes;
    size_t drops = decision->drops;

    group->failed = group->count;
    group->work = 0;
    for (size_t i = 0; i < group->count; i++) {
        decide_in_group(decision, group, &group->writes[i]);
        if (!group->atomic || group->writes[i].status == KIST_OK)
            continue;

        /* All or nothing: what the writes before it did is taken back. */
        engine_batch_rewind(&decision->batch, mark);
        overlay_rewind(&decision->overlay, entries);
        decision->writes = writes;
        decision->drops = drops;
        group->failed = i;
        return;
    }
}

bool decision_is_full(const struct decision *decision)
{
    return decision->batch.bytes.size >= BATCH_BYTES ||
           decision->work >= BATCH_WORK;
}

void decision_seal(struct decision *decision)
{
    struct hlc *clock = store_clock(decision->store);

    if (version_is_none(decision->newest))
        return;
    decision->lease_ms = hlc_lease_due(clock, decision->newest);
    if (decision->lease_ms != 0)
        store_batch_lease(&decision->batch, decision->lease_ms);
}

enum engine_sync decision_sync(const struct decision *decision)
{
    return decision->drops > 0 ? ENGINE_SYNC : ENGINE_ASYNC;
}

void decision_applied(struct decision *decision)
{
    if (decision->drops > 0)
        large_entry_drop_deleted(&decision->batch,
                                 store_large(decision->store));
    if (decision->lease_ms != 0)
        hlc_lease_written(store_clock(decision->store), decision->lease_ms);
}

void decision_end(struct decision *decision)
{
    overlay_clear(&decision->overlay);
    if (decision->batch.bytes.capacity > KEPT_BYTES)
        engine_batch_free(&decision->batch);
    if (decision->encoded.capacity > KEPT_BYTES)
        blob_free(&decision->encoded);
}

void decision_free(struct decision *decision)
{
    overlay_free(&decision->overlay);
    engine_batch_free(&decision->batch);
    blob_free(&decision->encoded);
}

static void fail_write(struct write *write, enum kist_status status)
{
    if (write->status == KIST_OK)
        write->status = status;
    else if (write->on_pending)
        write->status = status == KIST_UNKNOWN ? KIST_READ_ONLY : status;
}

void decision_fail(struct commit_group *group, enum kist_status status)
{
    if (group->atomic && group->failed < group->count) {
        /* Nothing of it was tried; only why may have been untrue. */
        fail_write(&group->writes[group->failed], status);
        return;
    }
    for (size_t i = 0; i < group->count; i++)
        fail_write(&group->writes[i], status);
}
