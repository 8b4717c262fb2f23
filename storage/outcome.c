#include "storage/outcome.h"

#include "storage/large_entry.h"
#include "storage/replica_index.h"

enum kist_status outcome_keep_whole(struct decision *decision,
                                    struct engine_mark mark)
{
    if (!decision->batch.bytes.failed)
        return KIST_OK;
    engine_batch_rewind(&decision->batch, mark);
    decision->batch.bytes.failed = false;
    return KIST_NO_MEMORY;
}

bool outcome_file(const struct record *record, struct large_reference *out)
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
    bool had = outcome_file(old, &was), has = outcome_file(next, &is);

    if (had && !(has && large_reference_same(&was, &is))) {
        large_entry_delete(&decision->batch, &was);
        decision->drops++;
    }
    if (has)
        large_entry_put(&decision->batch, &is, key);
}

/* The key has next now, and had old, in all that is kept beside records. */
static enum kist_status enter_index(struct decision *decision, struct view key,
                                    const struct record *old,
                                    const struct record *next)
{
    if (!decision_is_replicated(decision))
        return KIST_OK;
    return replica_index_enter(store_sums(decision->store), &decision->changes,
                               &decision->batch, key, old, next);
}

/* In a cluster nothing is swept; but a node alone may have begun. */
static void enter_record(struct decision *decision, struct view key,
                         const struct record *old, const struct record *next,
                         struct engine_place *out_place)
{
    struct engine_batch *batch = &decision->batch;

    if (old != NULL && old->expiry_ms != 0)
        store_batch_unexpire(batch, key, old->expiry_ms);
    if (next == NULL)
        store_batch_erase(batch, key);
    else
        *out_place = store_batch_put(
            batch, key, blob_view(&decision->encoded),
            decision_is_replicated(decision) ? 0 : next->expiry_ms);
}

/* next is encoded before the batch grows, in which its bytes may lie. */
enum kist_status outcome_enter(struct decision *decision, struct write *write,
                               const struct record *old,
                               const struct record *next)
{
    struct engine_mark mark = engine_batch_mark(&decision->batch);
    struct engine_place place = {0};
    size_t drops = decision->drops, changes = decision->changes.count;
    enum kist_status status, indexed;

    if (next != NULL && next->tombstone && !decision_is_replicated(decision))
        next = NULL;
    blob_clear(&decision->encoded);
    if (next != NULL)
        record_encode(write->key, next, &decision->encoded);
    if (decision->encoded.failed)
        return KIST_NO_MEMORY;

    enter_files(decision, write->key, old, next);
    enter_record(decision, write->key, old, next, &place);
    indexed = enter_index(decision, write->key, old, next);
    decision->work += place.size;
    status = outcome_keep_whole(decision, mark);
    if (status == KIST_OK)
        status = indexed;
    if (status == KIST_OK)
        status = overlay_set(&decision->overlay, write->key, place);
    if (status != KIST_OK) {
        engine_batch_rewind(&decision->batch, mark);
        decision->changes.count = changes;
        decision->drops = drops;
        return status;
    }
    decision->writes++;
    return KIST_OK;
}
