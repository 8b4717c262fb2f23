/*
 * One message is on its way at a time, and each answer decides the next step,
 * so a step is: ask, or wait, or be over.
 */
#include "replication/exchange.h"

#include "base/owner.h"
#include "replication/exchange_internal.h"
#include "replication/listing.h"

#include <assert.h>
#include <stdlib.h>

enum { FILES_MS = 100 }; /* Between looks whether they are there. */

static void next_batch(struct exchange *exchange);

void exchange_finish(struct exchange *exchange, enum kist_status status)
{
    exchange->state = EXCHANGE_OVER;
    exchange->status = status;
    free(exchange->differs);
    exchange->differs = NULL;
    ring_free(exchange->ring);
    blob_free(&exchange->after);
    blob_free(&exchange->here);
    blob_free(&exchange->there);
    blob_free(&exchange->records);
    blob_free(&exchange->message);
    exchange->done(exchange);
}

bool exchange_is_outdated(const struct exchange *exchange)
{
    return exchange->ring != exchange->seat->ring;
}

/* Messages. */

void exchange_begin_message(struct exchange *exchange, enum frame_kind kind)
{
    struct frame head = seat_head(exchange->seat, kind, exchange->peer);

    head.budget_ms = (uint32_t)exchange->timeout_ms;
    blob_clear(&exchange->message);
    frame_begin(&head, &exchange->message);
}

/* As what on_answer() is for the answer. */
void exchange_send(struct exchange *exchange, enum exchange_state state,
                   unsigned items)
{
    struct seat *seat = exchange->seat;
    const struct ring *ring = exchange->ring;
    int member = ring_find_incarnation(ring, exchange->peer);

    frame_seal(items, &exchange->message);
    if (exchange->message.failed || member < 0) {
        exchange_finish(exchange, member < 0 ? KIST_INVALID : KIST_NO_MEMORY);
        return;
    }
    exchange->state = state;
    exchange->call.to = exchange->peer;
    exchange->call.address = ring->members[member].address;
    exchange->call.message = blob_view(&exchange->message);
    exchange->call.timeout_ms = exchange->timeout_ms;
    seat->env->ops->send(seat->env, &exchange->call);
}

/* Partitions. */

static bool is_owner(const struct exchange *exchange, unsigned partition,
                     uint64_t incarnation)
{
    const struct ring *ring = exchange->ring;

    return (ring_rows_of(ring, partition, ring->copies, incarnation) &
            RING_NOW) != 0;
}

static bool is_compared(struct exchange *exchange, unsigned partition)
{
    if (exchange->wants != NULL)
        return exchange->wants(exchange, partition);
    return is_owner(exchange, partition, exchange->seat->env->self) &&
           is_owner(exchange, partition, exchange->peer);
}

static void ask_roots(struct exchange *exchange)
{
    const struct ring *ring = exchange->ring;
    unsigned items = 0;

    exchange_begin_message(exchange, FRAME_SUMS);
    for (unsigned p = exchange->partition;
         p < ring_partitions(ring) && items < FRAME_ITEMS_MAX; p++)
        if (is_compared(exchange, p)) {
            frame_add_sums((struct env_part){p, ENV_ALL_LEAVES},
                           &exchange->message);
            items++;
        }
    if (items > 0) {
        exchange_send(exchange, EXCHANGE_ROOTS, items);
        return;
    }
    if (exchange->differed == 0) {
        exchange_finish(exchange, KIST_OK);
        return;
    }
    /* What a new owner lacks is not on its way to it. */
    exchange->state = EXCHANGE_SETTLING;
    exchange->seat->env->ops->timer_set(
        exchange->seat->env, &exchange->timer,
        exchange->wants != NULL ? 0 : exchange->settle_ms);
}

static enum kist_status compare_sum(struct exchange *exchange,
                                    struct env_part part, struct view *body,
                                    bool *out_differs)
{
    struct env *env = exchange->seat->env;
    struct bucket_sum there;
    enum kist_status status = frame_next_summed(body, &there);

    if (status == KIST_OK)
        *out_differs = !bucket_sum_equal(there, env->ops->sum(env, part));
    return status;
}

static enum kist_status read_roots(struct exchange *exchange,
                                   const struct frame *frame)
{
    struct view body = frame->body;
    unsigned left = frame->items;
    bool differs;

    for (; left > 0; exchange->partition++) {
        struct env_part part = {exchange->partition, ENV_ALL_LEAVES};

        if (part.partition >= ring_partitions(exchange->ring))
            return KIST_CORRUPT;
        if (!is_compared(exchange, part.partition))
            continue;
        if (compare_sum(exchange, part, &body, &differs) != KIST_OK)
            return KIST_CORRUPT;
        exchange->differs[part.partition] = differs;
        exchange->differed += differs;
        exchange->compared++;
        left--;
        if (!differs && exchange->has != NULL)
            exchange->has(exchange, part.partition, 0);
    }
    return KIST_OK;
}

/* Batches. */

static void list_page(struct exchange *exchange)
{
    const struct batch *batch = &exchange->batch;
    struct view after = blob_view(&exchange->after);

    exchange_begin_message(exchange, FRAME_LIST);
    for (unsigned i = batch->at; i < batch->part_count; i++) {
        frame_add_list(batch->parts[i], after, &exchange->message);
        after = (struct view){0};
    }
    exchange_send(exchange, EXCHANGE_LISTING, batch->part_count - batch->at);
}

static void end_batch(struct exchange *exchange)
{
    const struct batch *batch = &exchange->batch;

    for (unsigned i = 0; exchange->has != NULL && i < batch->count; i++)
        if (!batch->shares[i].lacks_file)
            exchange->has(exchange, batch->shares[i].partition,
                          batch->shares[i].fetched);
    next_batch(exchange);
}

static void list_first(struct exchange *exchange)
{
    blob_clear(&exchange->after);
    if (exchange->batch.part_count > 0)
        list_page(exchange);
    else
        end_batch(exchange); /* They have caught up meanwhile. */
}

static bool is_empty_here(struct exchange *exchange, unsigned partition)
{
    struct env *env = exchange->seat->env;
    struct env_part all = {partition, ENV_ALL_LEAVES};

    return bucket_sum_equal(env->ops->sum(env, all), (struct bucket_sum){0});
}

static void fill_batch(struct exchange *exchange)
{
    unsigned partitions = ring_partitions(exchange->ring);

    batch_clear(&exchange->batch);
    for (; exchange->partition < partitions; exchange->partition++)
        if (exchange->differs[exchange->partition] &&
            !batch_add(&exchange->batch, exchange->partition,
                       is_empty_here(exchange, exchange->partition)))
            return;
}

static void next_batch(struct exchange *exchange)
{
    unsigned items;

    fill_batch(exchange);
    if (exchange->batch.count == 0) {
        exchange_finish(exchange,
                        exchange->lacks_files ? KIST_CONFLICT : KIST_OK);
        return;
    }
    exchange_begin_message(exchange, FRAME_SUMS);
    items = batch_add_sums(&exchange->batch, &exchange->message);
    if (items > 0)
        exchange_send(exchange, EXCHANGE_LEAVES, items);
    else if (batch_read_sums(&exchange->batch, exchange->seat->env, NULL,
                             &exchange->differed) == KIST_OK)
        list_first(exchange);
}

/* Pages of keys. */

static void need_here(void *ctx, struct view key)
{
    struct exchange *exchange = ctx;

    assert(exchange->fetch_count < FRAME_PAGE_MAX);
    exchange->fetch[exchange->fetch_count++].key = key;
}

static void need_there(void *ctx, struct view key)
{
    struct exchange *exchange = ctx;

    if (exchange->wants != NULL)
        return;
    assert(exchange->push_count < FRAME_PAGE_MAX);
    exchange->push[exchange->push_count++] = key;
}

static void compare_pages(struct exchange *exchange, struct listing_page *here,
                          struct listing_page *there)
{
    struct listing_visitor visitor = {exchange, need_there, need_here};
    struct view end;

    exchange->fetch_count = exchange->push_count = 0;
    exchange->fetch_at = exchange->push_at = 0;
    exchange->is_last_page = !listing_cut(here, there, &end);
    if (!exchange->is_last_page) {
        blob_clear(&exchange->after);
        blob_append(&exchange->after, end);
        batch_go_behind(&exchange->batch, exchange->ring, end);
    }
    listing_compare(here, there, &visitor);
}

/* The parts that the peer was asked for. */
static enum kist_status list_here(struct exchange *exchange,
                                  unsigned *out_count)
{
    const struct batch *batch = &exchange->batch;
    struct view after = blob_view(&exchange->after);
    enum kist_status status = KIST_OK;

    *out_count = 0;
    blob_clear(&exchange->here);
    for (unsigned i = batch->at; status == KIST_OK && i < batch->part_count;
         i++) {
        status = listing_add(exchange->seat->env, batch->parts[i], after,
                             &exchange->here, out_count);
        after = (struct view){0};
    }
    return status;
}

static enum kist_status read_listing(struct exchange *exchange,
                                     const struct frame *frame)
{
    struct listing_page here, there;
    unsigned count;
    enum kist_status status = list_here(exchange, &count);

    blob_clear(&exchange->there);
    blob_append(&exchange->there, frame->body);
    if (exchange->here.failed || exchange->there.failed)
        status = KIST_NO_MEMORY;
    if (status == KIST_OK)
        status = listing_read(blob_view(&exchange->here), count, &here);
    if (status == KIST_OK)
        status =
            listing_read(blob_view(&exchange->there), frame->items, &there);
    if (status == KIST_OK)
        compare_pages(exchange, &here, &there);
    return exchange->after.failed ? KIST_NO_MEMORY : status;
}

void exchange_next_page(struct exchange *exchange)
{
    if (exchange->is_last_page)
        end_batch(exchange);
    else
        list_page(exchange);
}

/* Files of large values, ours or the peer's. */

static uint64_t now_ms(const struct exchange *exchange)
{
    struct env *env = exchange->seat->env;

    return env->ops->mono_ms(env);
}

void exchange_files_begin(struct exchange *exchange)
{
    exchange->moved_ms = now_ms(exchange);
}

void exchange_files_wait(struct exchange *exchange, enum exchange_state state,
                         uint64_t progress)
{
    struct env *env = exchange->seat->env;

    if (progress != exchange->progress)
        exchange->moved_ms = now_ms(exchange);
    exchange->progress = progress;
    if (now_ms(exchange) - exchange->moved_ms > exchange->timeout_ms) {
        exchange_finish(exchange, KIST_CONFLICT); /* As if it were busy. */
        return;
    }
    exchange->state = state;
    env->ops->timer_set(env, &exchange->timer, FILES_MS);
}

/* Steps. */

static void on_timer(struct env_timer *timer)
{
    struct exchange *exchange = OWNER(timer, struct exchange, timer);

    if (exchange_is_outdated(exchange)) {
        exchange_finish(exchange, KIST_CONFLICT);
    } else if (exchange->state == EXCHANGE_ROOTS) {
        ask_roots(exchange);
    } else if (exchange->state == EXCHANGE_PACING) {
        exchange_fetch(exchange);
    } else if (exchange->state == EXCHANGE_BRINGING) {
        exchange_fetch_again(exchange);
    } else if (exchange->state == EXCHANGE_LENDING) {
        exchange_push_again(exchange);
    } else {
        assert(exchange->state == EXCHANGE_SETTLING);
        exchange->partition = 0;
        exchange->differed = 0; /* Counts leaves from here on. */
        next_batch(exchange);
    }
}

static void on_frame(struct exchange *exchange, const struct frame *frame)
{
    enum exchange_state state = exchange->state;
    enum kist_status status = KIST_CORRUPT;

    switch (state) {
    case EXCHANGE_ROOTS:
        status = read_roots(exchange, frame);
        break;
    case EXCHANGE_LEAVES:
        status = batch_read_sums(&exchange->batch, exchange->seat->env, frame,
                                 &exchange->differed);
        break;
    case EXCHANGE_LISTING:
        status = read_listing(exchange, frame);
        break;
    case EXCHANGE_FETCHING:
        status = exchange_fetch_read(exchange, frame); /* Goes on by itself. */
        break;
    case EXCHANGE_PUSHING:
        status = exchange_push_read(exchange, frame); /* As well. */
        break;
    case EXCHANGE_SETTLING:
    case EXCHANGE_KEEPING:
    case EXCHANGE_BRINGING:
    case EXCHANGE_LENDING:
    case EXCHANGE_PACING:
    case EXCHANGE_OVER:
        break; /* No message is out then. */
    }
    if (status != KIST_OK)
        exchange_finish(exchange, status);
    else if (state == EXCHANGE_ROOTS)
        ask_roots(exchange);
    else if (state == EXCHANGE_LEAVES)
        list_first(exchange);
    else if (state == EXCHANGE_LISTING)
        exchange_fetch(exchange);
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct exchange *exchange = OWNER(call, struct exchange, call);
    struct frame frame;

    if (outcome != ENV_ANSWERED) {
        exchange_finish(exchange, KIST_IO);
        return;
    }
    if (frame_decode(answer, &frame) != KIST_OK || !frame.answer) {
        exchange_finish(exchange, KIST_CORRUPT);
        return;
    }
    if (frame.status == FRAME_NOT_ME || frame.from != exchange->peer) {
        exchange_finish(exchange, KIST_NOT_FOUND);
        return;
    }
    seat_notice(exchange->seat, &frame);
    if (frame.status != FRAME_OK || exchange_is_outdated(exchange)) {
        exchange_finish(exchange, KIST_CONFLICT);
        return;
    }
    on_frame(exchange, &frame);
}

enum kist_status exchange_start(struct exchange *exchange, struct seat *seat)
{
    if (ring_find_incarnation(seat->ring, exchange->peer) < 0)
        return KIST_INVALID;
    exchange->differs = calloc(ring_partitions(seat->ring), 1);
    if (exchange->differs == NULL)
        return KIST_NO_MEMORY;
    exchange->seat = seat;
    exchange->ring = ring_share(seat->ring);
    exchange->status = KIST_OK;
    exchange->compared = exchange->differed = 0;
    exchange->lacks_files = false;
    exchange->fetched = exchange->pushed = 0;
    exchange->bytes = 0;
    exchange->partition = 0;
    exchange->call.done = on_answer;

    /* The first step is the timer's: nothing is called back within this. */
    exchange->state = EXCHANGE_ROOTS;
    exchange->timer.fire = on_timer;
    seat->env->ops->timer_set(seat->env, &exchange->timer, 0);
    return KIST_OK;
}
