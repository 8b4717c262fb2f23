#include "storage/decide.h"

#include "base/clock.h"
#include "storage/large_entry.h"
#include "storage/merge.h"
#include "storage/outcome.h"
#include "storage/replica_list.h"
#include "storage/replica_meta.h"
#include "storage/resum.h"

#include <assert.h>

/* Memory that a batch may leave behind for the next one. */
#define KEPT_BYTES (1u << 20)

/* What one batch may hold, and read to come about, before it is written. */
#define BATCH_BYTES (8u << 20)
#define BATCH_WORK  (64u << 20)

bool decision_is_replicated(const struct decision *decision)
{
    return store_sums(decision->store) != NULL;
}

void decision_begin(struct decision *decision)
{
    engine_batch_clear(&decision->batch);
    decision->changes.count = 0;
    blob_clear(&decision->losers);
    decision->opening = store_opening(decision->store);
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

    if (old != NULL && record_is_dead(old, decision->now_ms) &&
        !decision_is_replicated(decision))
        return outcome_enter(decision, write, old, NULL);
    if (old == NULL || old->expiry_ms != entry_ms ||
        decision_is_replicated(decision))
        store_batch_unexpire(&decision->batch, write->key, entry_ms);
    status = outcome_keep_whole(decision, mark);
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
 * The lease has to cover what was learnt as well: a start with the wall clock
 * set back must not stamp below what is stored.
 */
static void note_version(struct decision *decision, struct version version)
{
    if (version_compare(version, decision->newest) > 0)
        decision->newest = version;
}

/*
 * The record may be this very one. Unsynced it may still be, and the answer
 * says that it is durable: then it is written once more.
 */
static enum kist_status keep_old(struct decision *decision, struct write *write,
                                 const struct record *old)
{
    write->version = old->version;
    write->unchanged = true;
    if (!decision->has_unsynced || write->on_pending ||
        decision->group_sync == ENGINE_ASYNC)
        return KIST_OK;
    return outcome_enter(decision, write, old, old);
}

/* next has a file that is not also old's. */
static bool brings_file(const struct record *old, const struct record *next,
                        struct large_reference *out)
{
    struct large_reference was;

    return outcome_file(next, out) &&
           !(outcome_file(old, &was) && large_reference_same(&was, out));
}

static void give_up_file(struct decision *decision, const struct record *old,
                         const struct record *next)
{
    struct large_reference file;

    if (brings_file(old, next, &file))
        large_reference_encode(&file, &decision->losers);
}

/* What deleted it may have been purged: it would be alive again. */
static bool is_below_floor(const struct decision *decision,
                           const struct write *write)
{
    struct version floor = write->floor;

    if (version_is_none(floor))
        return false;
    if (version_compare(decision->purged, floor) > 0)
        floor = decision->purged;
    return version_compare(write->next.version, floor) < 0;
}

/* Of the record that cannot be read. */
static bool is_copy(const struct write *write, const struct record *old)
{
    return write->is_unreadable &&
           version_equal(old->version, write->next.version);
}

static bool stays(const struct write *write, const struct record *old)
{
    if (old == NULL || is_copy(write, old))
        return false;
    return merge_compare(old, &write->next) >= 0;
}

/* A node alone keeps no deletions: there is nothing to delete. */
static enum kist_status forget(struct write *write, const struct record *next)
{
    write->version = next->version;
    write->unchanged = true;
    return KIST_OK;
}

static enum kist_status apply(struct decision *decision, struct write *write,
                              const struct record *old)
{
    const struct record *next = &write->next;
    struct large_reference file;
    enum kist_status status;

    write->unchanged = false;
    if (old == NULL && next->tombstone && !decision_is_replicated(decision))
        return forget(write, next);
    if (stays(write, old)) {
        give_up_file(decision, old, next);
        return write->is_unreadable ? KIST_CORRUPT
                                    : keep_old(decision, write, old);
    }
    if (is_below_floor(decision, write) && !is_copy(write, old)) {
        give_up_file(decision, old, next);
        return KIST_CONFLICT;
    }
    if (brings_file(old, next, &file) &&
        !large_claim(store_large(decision->store), &file))
        return KIST_NOT_FOUND;
    status = outcome_enter(decision, write, old, next);
    if (status != KIST_OK)
        return status;
    /* What is not believed is kept, but no clock is set by it. */
    if (hlc_observe(store_clock(decision->store), next->version,
                    decision->now_ms))
        note_version(decision, next->version);
    write->version = next->version;
    write->expiry_ms = next->expiry_ms;
    return KIST_OK;
}

static enum kist_status take_out(struct decision *decision, struct write *write,
                                 const struct record *old)
{
    assert(decision_is_replicated(decision));
    write->unchanged = true;
    if (write->kind == WRITE_PURGE &&
        version_compare(write->floor, decision->purged) > 0)
        decision->purged = write->floor;
    if (old == NULL ||
        (write->kind == WRITE_PURGE && !merge_may_purge(old, write->floor)))
        return KIST_NOT_FOUND;
    return outcome_enter(decision, write, old, NULL);
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

    if (!condition_holds(&write->condition, live))
        return KIST_CONFLICT;

    if (write->edit != NULL) {
        next = (struct record){0};
        status = edit(decision, write, live, loaded, &next);
        if (status != KIST_OK || write->unchanged)
            return status;
    }
    if (next.tombstone && live == NULL && !decision_is_replicated(decision))
        return KIST_NOT_FOUND; /* A copy elsewhere may be older, or alive. */

    next.version = hlc_next(store_clock(decision->store), decision->now_ms);
    if (decision_is_replicated(decision) && old != NULL &&
        merge_compare(old, &next) >= 0)
        return KIST_CONFLICT; /* From a clock that nobody believes. */
    next.created_ms = live != NULL ? live->created_ms : decision->now_ms;
    status = outcome_enter(decision, write, old, &next);
    if (status == KIST_OK) {
        note_version(decision, next.version);
        write->version = next.version;
        write->created = live == NULL;
        write->expiry_ms = next.expiry_ms;
    }
    return status;
}

static enum kist_status decide_kind(struct decision *decision,
                                    struct write *write,
                                    const struct record *old,
                                    const struct record *live)
{
    struct item loaded = {0};
    enum kist_status status = KIST_OK;

    switch (write->kind) {
    case WRITE_CLIENT:
        status = decide(decision, write, old, live, &loaded);
        item_free(&loaded);
        break;
    case WRITE_APPLY:
        status = apply(decision, write, old);
        write->created = live == NULL;
        break;
    case WRITE_EXPIRE:
        status = expire(decision, write, old);
        break;
    case WRITE_PURGE:
    case WRITE_DROP:
        status = take_out(decision, write, old);
        break;
    case WRITE_LEASE:
    case WRITE_META:
    case WRITE_LEFTOVER:
    case WRITE_RESUM:
        break;
    }
    return status;
}

static bool is_beside(const struct write *write)
{
    return write->kind == WRITE_LEASE || write->kind == WRITE_META ||
           write->kind == WRITE_LEFTOVER || write->kind == WRITE_RESUM;
}

/* Writes that are not about a record. */
static enum kist_status decide_beside(struct decision *decision,
                                      const struct write *write)
{
    struct engine_mark mark = engine_batch_mark(&decision->batch);
    enum kist_status status;

    if (write->kind == WRITE_LEASE) {
        if (write->next.expiry_ms > decision->lease_ms)
            decision->lease_ms = write->next.expiry_ms;
        return KIST_OK;
    }
    if (write->kind == WRITE_LEFTOVER) {
        blob_append(&decision->losers, write->next.value);
        return KIST_OK;
    }
    if (write->kind == WRITE_RESUM) {
        assert(decision_is_replicated(decision));
        status = resum_note(decision->store, &decision->changes, write->key);
        decision->writes += status == KIST_OK;
        return status;
    }
    if (write->next.tombstone)
        replica_meta_delete(&decision->batch, write->key);
    else
        replica_meta_put(&decision->batch, write->key, write->next.value);
    status = outcome_keep_whole(decision, mark);
    decision->writes += status == KIST_OK;
    return status;
}

/*
 * In a cluster a record that cannot be read can be had again. What is not its
 * value is in the index, so it can be taken out of all that is kept beside it,
 * but for the entry of a file.
 */
static enum kist_status find_in_index(struct decision *decision,
                                      struct write *write,
                                      struct record *out_record)
{
    struct replica_entry entry;
    enum kist_status status = KIST_CORRUPT;

    if (write->kind == WRITE_APPLY || write->kind == WRITE_PURGE ||
        write->kind == WRITE_DROP)
        status = replica_list_find(decision->store, write->key, &entry);
    if (status != KIST_OK)
        return KIST_CORRUPT;
    write->is_unreadable = true;
    *out_record = (struct record){
        .version = entry.version,
        .tombstone = entry.tombstone,
        .expiry_ms = entry.expiry_ms,
    };
    return KIST_OK;
}

static void decide_write(struct decision *decision, struct write *write)
{
    struct item item = {0};
    const struct record *old = NULL, *live = NULL;

    write->version = VERSION_NONE;
    write->created = false;
    write->expiry_ms = 0;
    if (is_beside(write)) {
        write->unchanged = true;
        write->status = decide_beside(decision, write);
        return;
    }
    write->is_unreadable = false;
    write->status = find_current(decision, write, &item);
    if (write->status == KIST_CORRUPT)
        write->status = find_in_index(decision, write, &item.record);
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

    write->status = decide_kind(decision, write, old, live);
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
    size_t drops = decision->drops, changes = decision->changes.count;

    group->failed = group->count;
    group->work = 0;
    decision->group_sync = group->sync;
    for (size_t i = 0; i < group->count; i++) {
        decide_in_group(decision, group, &group->writes[i]);
        if (!group->atomic || group->writes[i].status == KIST_OK)
            continue;

        /* All or nothing: what the writes before it did is taken back. */
        engine_batch_rewind(&decision->batch, mark);
        overlay_rewind(&decision->overlay, entries);
        decision->changes.count = changes;
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

    if (decision_is_replicated(decision))
        bucket_sums_put(store_sums(decision->store), &decision->changes,
                        &decision->batch);
    /* Never back: another write may ask for less than what is there. */
    if (decision->lease_ms != 0 && decision->lease_ms < clock->lease_ms)
        decision->lease_ms = clock->lease_ms;
    if (!version_is_none(decision->newest) &&
        hlc_lease_due(clock, decision->newest) > decision->lease_ms)
        decision->lease_ms = hlc_lease_due(clock, decision->newest);
    if (decision->lease_ms != 0)
        store_batch_lease(&decision->batch, decision->lease_ms);
}

enum engine_sync decision_sync(const struct decision *decision)
{
    /* In a cluster, versions go out that rely on the lease alone. */
    bool has_lease =
        decision->lease_ms != 0 && decision_is_replicated(decision);

    return decision->drops > 0 || has_lease ? ENGINE_SYNC : ENGINE_ASYNC;
}

/*
 * The files of records that came but were not kept, unless another record of
 * the same key has the same one: that is known for sure once all is applied.
 */
static void drop_losers(struct decision *decision)
{
    struct view rest = blob_view(&decision->losers);

    for (; rest.size >= LARGE_REFERENCE_SIZE;
         rest = view_from(rest, LARGE_REFERENCE_SIZE)) {
        struct view bytes = {rest.data, LARGE_REFERENCE_SIZE};
        struct large_reference file;
        struct blob key = BLOB_EMPTY;

        if (large_reference_decode(bytes, &file) == KIST_OK &&
            store_large_key(decision->store, &file, &key) == KIST_NOT_FOUND &&
            large_claim(store_large(decision->store), &file))
            large_drop(store_large(decision->store), &file);
        blob_free(&key);
    }
}

void decision_applied(struct decision *decision, enum engine_sync sync)
{
    drop_losers(decision);
    if (decision->batch.count > 0 && sync == ENGINE_ASYNC)
        decision->has_unsynced = true;
    if (decision->drops > 0)
        large_entry_drop_deleted(&decision->batch,
                                 store_large(decision->store));
    if (decision->lease_ms != 0)
        hlc_lease_written(store_clock(decision->store), decision->lease_ms);
    if (decision_is_replicated(decision))
        bucket_sums_applied(store_sums(decision->store), &decision->changes);
}

void decision_end(struct decision *decision)
{
    overlay_clear(&decision->overlay);
    bucket_changes_end(&decision->changes);
    if (decision->batch.bytes.capacity > KEPT_BYTES)
        engine_batch_free(&decision->batch);
    if (decision->encoded.capacity > KEPT_BYTES)
        blob_free(&decision->encoded);
    if (decision->losers.capacity > KEPT_BYTES)
        blob_free(&decision->losers);
}

void decision_free(struct decision *decision)
{
    overlay_free(&decision->overlay);
    bucket_changes_free(&decision->changes);
    engine_batch_free(&decision->batch);
    blob_free(&decision->encoded);
    blob_free(&decision->losers);
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
