/*
 * Records that this node lacks: asked for, and stored as those of any other
 * write are. An answer may end before all that was asked for (the peer has
 * others to serve): then the rest is asked for again.
 */
#include "replication/exchange_internal.h"

#include "base/owner.h"
#include "replication/bring.h"
#include "storage/merge.h"

void exchange_fetch(struct exchange *exchange)
{
    exchange_files_begin(exchange);
    if (exchange->fetch_at == exchange->fetch_count) {
        exchange_push(exchange);
        return;
    }
    exchange_begin_message(exchange, FRAME_FETCH);
    for (unsigned i = exchange->fetch_at; i < exchange->fetch_count; i++)
        frame_add_fetch(exchange->fetch[i].key, &exchange->message);
    exchange_send(exchange, EXCHANGE_FETCHING,
                  exchange->fetch_count - exchange->fetch_at);
}

/* As long as what was fetched should have taken. */
static void pace(struct exchange *exchange)
{
    struct env *env = exchange->seat->env;
    uint64_t delay_ms = 0;

    if (exchange->bytes_per_s > 0)
        delay_ms = (exchange->records.size + exchange->file_bytes) * 1000 /
                   exchange->bytes_per_s;
    exchange->state = EXCHANGE_PACING;
    env->ops->timer_set(env, &exchange->timer, delay_ms);
}

static struct batch_share *share_of(const struct exchange_need *kept)
{
    struct exchange *exchange = kept->exchange;

    return batch_share_of(&exchange->batch,
                          ring_partition_of(exchange->ring, kept->key));
}

static bool is_file_coming(struct exchange_need *kept, uint64_t *progress)
{
    struct exchange *exchange = kept->exchange;
    enum kist_status status;
    uint64_t some;

    status = bring_file(exchange->seat, kept->key, &kept->apply.record,
                        exchange->peer, &some);
    *progress += some;
    if (status == KIST_BUSY)
        return true;
    share_of(kept)->lacks_file = exchange->lacks_files = true;
    return false;
}

/* What all of them came to. */
static void kept_all(struct exchange *exchange)
{
    uint64_t progress = 0;
    bool is_any_coming = false;

    for (unsigned i = 0; i < exchange->at_hand; i++) {
        struct exchange_need *kept = &exchange->fetch[exchange->fetch_at + i];

        if (kept->is_coming)
            kept->is_coming = is_file_coming(kept, &progress);
        is_any_coming |= kept->is_coming;
    }
    if (exchange_is_outdated(exchange)) {
        exchange_finish(exchange, KIST_CONFLICT);
    } else if (exchange->status != KIST_OK) {
        exchange_finish(exchange, exchange->status);
    } else if (is_any_coming) {
        exchange_files_wait(exchange, EXCHANGE_BRINGING, progress);
    } else {
        exchange->fetch_at += exchange->at_hand;
        pace(exchange);
    }
}

static void on_kept(struct env_apply *apply)
{
    struct exchange_need *kept = OWNER(apply, struct exchange_need, apply);
    struct exchange *exchange = kept->exchange;

    if (apply->status == KIST_OK) {
        exchange->fetched++;
        share_of(kept)->fetched++;
    }
    kept->is_coming = apply->status == KIST_NOT_FOUND;
    if (apply->status != KIST_OK && !kept->is_coming)
        exchange->status = apply->status;
    if (--exchange->waiting == 0)
        kept_all(exchange);
}

void exchange_fetch_again(struct exchange *exchange)
{
    struct env *env = exchange->seat->env;
    struct exchange_need *kept = &exchange->fetch[exchange->fetch_at];

    exchange->state = EXCHANGE_KEEPING;
    for (unsigned i = 0; i < exchange->at_hand; i++)
        exchange->waiting += kept[i].is_coming;
    for (unsigned i = 0; i < exchange->at_hand; i++)
        if (kept[i].is_coming)
            env->ops->apply(env, &kept[i].apply);
}

/* apply.done is set where there is something to keep. */
static enum kist_status read_record(struct exchange *exchange,
                                    struct exchange_need *wanted,
                                    struct view *body)
{
    struct version floor = exchange->seat->floor;
    struct record record;
    bool found;
    enum kist_status status =
        frame_next_fetched(body, wanted->key, &found, &record);

    wanted->exchange = exchange;
    wanted->is_coming = false;
    wanted->apply = (struct env_apply){0};
    /* The peer is not done with purging it, and we may be. */
    if (status != KIST_OK || !found || merge_may_purge(&record, floor))
        return status;
    wanted->apply = (struct env_apply){.key = wanted->key,
                                       .record = record,
                                       .sync = ENGINE_SYNC,
                                       .floor = floor,
                                       .done = on_kept};
    /* A new owner gets what is there, of whatever age. */
    if (exchange->wants != NULL)
        wanted->apply.floor = VERSION_NONE;
    exchange->waiting++;
    if (record.large)
        exchange->file_bytes += record_value_size(&record);
    return KIST_OK;
}

static enum kist_status read_records(struct exchange *exchange,
                                     const struct frame *frame)
{
    struct view body;

    if (frame->items == 0 ||
        frame->items > exchange->fetch_count - exchange->fetch_at)
        return KIST_CORRUPT;
    blob_clear(&exchange->records);
    blob_append(&exchange->records, frame->body);
    if (exchange->records.failed)
        return KIST_NO_MEMORY;
    exchange->bytes += exchange->records.size;
    exchange->at_hand = frame->items;
    exchange->waiting = 0;
    exchange->file_bytes = 0;
    body = blob_view(&exchange->records);
    for (unsigned i = 0; i < exchange->at_hand; i++)
        if (read_record(exchange, &exchange->fetch[exchange->fetch_at + i],
                        &body) != KIST_OK)
            return KIST_CORRUPT;
    return KIST_OK;
}

enum kist_status exchange_fetch_read(struct exchange *exchange,
                                     const struct frame *frame)
{
    struct env *env = exchange->seat->env;
    struct exchange_need *kept = &exchange->fetch[exchange->fetch_at];
    enum kist_status status = read_records(exchange, frame);

    if (status != KIST_OK)
        return status;
    exchange->state = EXCHANGE_KEEPING;
    for (unsigned i = 0; i < exchange->at_hand; i++)
        if (kept[i].apply.done != NULL)
            env->ops->apply(env, &kept[i].apply);
    if (exchange->waiting == 0)
        kept_all(exchange);
    return KIST_OK;
}
