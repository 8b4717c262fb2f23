/*
 * Records that the peer lacks, in messages that it takes. Who fetches as a new
 * owner lists none.
 */
#include "replication/exchange_internal.h"

#include "storage/merge.h"

/* A message ends behind the first record with which it has so much. */
enum { PUSH_BYTES = 1 << 20 };

static bool add_record(struct exchange *exchange, struct view key)
{
    struct env *env = exchange->seat->env;
    struct item item = {0};
    bool found = env->ops->get(env, key, &item) == KIST_OK &&
                 !merge_may_purge(&item.record, exchange->seat->floor);

    if (found) {
        struct frame_push pushed = {FRAME_EXCHANGE, ENGINE_SYNC, key,
                                    item.record};

        frame_add_push(&pushed, &exchange->message);
    }
    item_free(&item);
    return found;
}

/* The same ones may have to be pushed again. */
void exchange_push_again(struct exchange *exchange)
{
    unsigned items = 0, at = exchange->push_at;

    exchange_begin_message(exchange, FRAME_PUSH);
    for (; at < exchange->push_count && exchange->message.size < PUSH_BYTES;
         at++)
        items += add_record(exchange, exchange->push[at]);
    exchange->at_hand = at - exchange->push_at;
    if (items > 0)
        exchange_send(exchange, EXCHANGE_PUSHING, items);
    else
        exchange_next_page(exchange); /* Nothing is left of them. */
}

void exchange_push(struct exchange *exchange)
{
    exchange_files_begin(exchange);
    if (exchange->push_at < exchange->push_count)
        exchange_push_again(exchange);
    else
        exchange_next_page(exchange);
}

enum kist_status exchange_push_read(struct exchange *exchange,
                                    const struct frame *frame)
{
    struct view body = frame->body;
    uint64_t progress = 0;
    unsigned coming = 0;

    for (unsigned i = 0; i < frame->items; i++) {
        struct frame_pushed pushed;

        if (frame_next_pushed(&body, &pushed) != KIST_OK)
            return KIST_CORRUPT;
        if (pushed.result != FRAME_DURABLE && pushed.result != FRAME_COMING)
            return KIST_READ_ONLY;
        coming += pushed.result == FRAME_COMING;
        progress += pushed.progress;
    }
    if (coming > 0) {
        exchange_files_wait(exchange, EXCHANGE_LENDING, progress);
        return KIST_OK;
    }
    exchange->pushed += frame->items;
    exchange->push_at += exchange->at_hand;
    exchange_push(exchange);
    return KIST_OK;
}
