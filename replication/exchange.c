/*
 * One message is on its way at a time, and each answer decides the next step,
 * so a step is: ask, or wait, or be over. Keys are compared page by page in
 * the order that both sides list them in: by hash, then by bytes. Of two pages
 * only what lies within both can be compared; the next pages go on there.
 */
#include "replication/exchange.h"

#include "base/owner.h"
#include "replication/bring.h"
#include "storage/merge.h"

#include <assert.h>
#include <stdlib.h>

enum { FILES_MS = 100 }; /* Between looks whether they are there. */

static void next_partition(struct exchange *exchange);
static void next_leaf(struct exchange *exchange);
static void next_page(struct exchange *exchange);
static void push(struct exchange *exchange);
static void push_first(struct exchange *exchange);
static void keep_again(struct exchange *exchange);

static void finish(struct exchange *exchange, enum kist_status status)
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

/* Sums of another ring's partitions would be compared with ours. */
static bool is_outdated(struct exchange *exchange)
{
    return exchange->ring != exchange->seat->ring;
}

/* Messages. */

static void begin_message(struct exchange *exchange, enum frame_kind kind)
{
    struct frame head = seat_head(exchange->seat, kind, exchange->peer);

    head.budget_ms = (uint32_t)exchange->timeout_ms;
    blob_clear(&exchange->message);
    frame_begin(&head, &exchange->message);
}

/* As what on_answer() is for the answer. */
static void send(struct exchange *exchange, enum exchange_state state,
                 unsigned items)
{
    struct seat *seat = exchange->seat;
    const struct ring *ring = exchange->ring;
    int member = ring_find_incarnation(ring, exchange->peer);

    frame_seal(items, &exchange->message);
    if (exchange->message.failed || member < 0) {
        finish(exchange, member < 0 ? KIST_INVALID : KIST_NO_MEMORY);
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

    begin_message(exchange, FRAME_SUMS);
    for (unsigned p = exchange->partition;
         p < ring_partitions(ring) && items < FRAME_ITEMS_MAX; p++)
        if (is_compared(exchange, p)) {
            frame_add_sums((struct env_part){p, ENV_ALL_LEAVES},
                           &exchange->message);
            items++;
        }
    if (items > 0) {
        send(exchange, EXCHANGE_ROOTS, items);
        return;
    }
    if (exchange->differed == 0) {
        finish(exchange, KIST_OK);
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

static void on_timer(struct env_timer *timer)
{
    struct exchange *exchange = OWNER(timer, struct exchange, timer);

    if (is_outdated(exchange)) {
        finish(exchange, KIST_CONFLICT);
    } else if (exchange->state == EXCHANGE_ROOTS) {
        ask_roots(exchange);
    } else if (exchange->state == EXCHANGE_PACING) {
        next_page(exchange);
    } else if (exchange->state == EXCHANGE_BRINGING) {
        keep_again(exchange);
    } else if (exchange->state == EXCHANGE_LENDING) {
        push(exchange);
    } else {
        assert(exchange->state == EXCHANGE_SETTLING);
        exchange->partition = 0;
        exchange->differed = 0; /* Counts leaves from here on. */
        next_partition(exchange);
    }
}

/* Leaves. */

static void ask_page(struct exchange *exchange)
{
    begin_message(exchange, FRAME_LIST);
    frame_add_list(exchange->part, blob_view(&exchange->after),
                   &exchange->message);
    send(exchange, EXCHANGE_LISTING, 1);
}

static bool is_empty_here(struct exchange *exchange)
{
    struct env *env = exchange->seat->env;
    struct env_part all = {exchange->part.partition, ENV_ALL_LEAVES};

    return bucket_sum_equal(env->ops->sum(env, all), (struct bucket_sum){0});
}

/* All leaves at once, as if they were one. */
static void list_all(struct exchange *exchange)
{
    exchange->leaves = 0;
    exchange->part.leaf = ENV_ALL_LEAVES;
    blob_clear(&exchange->after);
    ask_page(exchange);
}

static void next_partition(struct exchange *exchange)
{
    unsigned partitions = ring_partitions(exchange->ring);

    while (exchange->partition < partitions &&
           !exchange->differs[exchange->partition])
        exchange->partition++;
    if (exchange->partition == partitions) {
        finish(exchange, exchange->lacks_files ? KIST_CONFLICT : KIST_OK);
        return;
    }
    exchange->part.partition = exchange->partition++;
    exchange->lacks_file = false;
    exchange->had = exchange->fetched;
    if (is_empty_here(exchange)) {
        exchange->differed++;
        list_all(exchange);
        return;
    }
    begin_message(exchange, FRAME_SUMS);
    for (unsigned leaf = 0; leaf < RING_LEAVES; leaf++)
        frame_add_sums((struct env_part){exchange->part.partition, leaf},
                       &exchange->message);
    send(exchange, EXCHANGE_LEAVES, RING_LEAVES);
}

static enum kist_status read_leaves(struct exchange *exchange,
                                    const struct frame *frame)
{
    struct view body = frame->body;
    bool differs;

    exchange->leaves = 0;
    if (frame->items != RING_LEAVES)
        return KIST_CORRUPT;
    for (unsigned leaf = 0; leaf < RING_LEAVES; leaf++) {
        struct env_part part = {exchange->part.partition, leaf};

        if (compare_sum(exchange, part, &body, &differs) != KIST_OK)
            return KIST_CORRUPT;
        if (differs)
            exchange->leaves |= UINT64_C(1) << leaf;
        exchange->differed += differs;
    }
    return KIST_OK;
}

/*
 * Each leaf that is listed takes a page at least. If one of them has fewer keys
 * than there are such leaves, all keys of the partition are fewer pages.
 */
static bool is_quicker_whole(struct exchange *exchange)
{
    struct env *env = exchange->seat->env;
    struct env_part first = exchange->part;
    unsigned leaves = 0, keys;

    for (unsigned leaf = RING_LEAVES; leaf-- > 0;)
        if ((exchange->leaves & (UINT64_C(1) << leaf)) != 0) {
            first.leaf = leaf;
            leaves++;
        }
    blob_clear(&exchange->here);
    return leaves > 1 &&
           env->ops->list(env, first, (struct view){0}, &exchange->here,
                          &keys) == KIST_OK &&
           keys < leaves;
}

/* Keys. */

static void next_leaf(struct exchange *exchange)
{
    for (unsigned leaf = 0; leaf < RING_LEAVES; leaf++) {
        uint64_t bit = UINT64_C(1) << leaf;

        if ((exchange->leaves & bit) == 0)
            continue;
        exchange->leaves &= ~bit;
        exchange->part.leaf = leaf;
        blob_clear(&exchange->after);
        ask_page(exchange);
        return;
    }
    if (exchange->has != NULL && !exchange->lacks_file)
        exchange->has(exchange, exchange->part.partition,
                      exchange->fetched - exchange->had);
    next_partition(exchange);
}

static void next_page(struct exchange *exchange)
{
    if (exchange->is_last_page)
        next_leaf(exchange);
    else
        ask_page(exchange);
}

static int order(struct view a, struct view b)
{
    uint64_t x = ring_hash(a), y = ring_hash(b);

    return x != y ? (x < y ? -1 : 1) : view_compare(a, b);
}

struct page {
    struct frame_entry entries[FRAME_PAGE_MAX];
    unsigned count;
};

static enum kist_status read_page(struct view bytes, unsigned count,
                                  struct page *out_page)
{
    if (count > FRAME_PAGE_MAX)
        return KIST_CORRUPT;
    out_page->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct frame_entry *entry = &out_page->entries[i];

        if (frame_next_entry(&bytes, entry) != KIST_OK ||
            (i > 0 && order(entry[-1].key, entry->key) >= 0))
            return KIST_CORRUPT;
    }
    return bytes.size == 0 ? KIST_OK : KIST_CORRUPT;
}

/* What lies behind the end of a full page cannot be judged yet. */
static void cut(struct page *page, struct view end)
{
    while (page->count > 0 &&
           order(page->entries[page->count - 1].key, end) > 0)
        page->count--;
}

static void cut_to_both(struct exchange *exchange, struct page *here,
                        struct page *there)
{
    bool here_goes_on = here->count == FRAME_PAGE_MAX;
    bool there_goes_on = there->count == FRAME_PAGE_MAX;
    struct view end = {0};

    exchange->is_last_page = !here_goes_on && !there_goes_on;
    if (exchange->is_last_page)
        return;
    if (here_goes_on)
        end = here->entries[FRAME_PAGE_MAX - 1].key;
    if (there_goes_on &&
        (!here_goes_on ||
         order(there->entries[FRAME_PAGE_MAX - 1].key, end) < 0))
        end = there->entries[FRAME_PAGE_MAX - 1].key;
    cut(here, end);
    cut(there, end);
    blob_clear(&exchange->after);
    blob_append(&exchange->after, end);
}

static void need(struct exchange_need *needs, unsigned *count, struct view key)
{
    assert(*count < FRAME_PAGE_MAX);
    needs[(*count)++].key = key;
}

static void compare_pages(struct exchange *exchange, const struct page *here,
                          const struct page *there)
{
    unsigned i = 0, j = 0;

    exchange->fetch_count = exchange->push_count = 0;
    while (i < here->count || j < there->count) {
        const struct frame_entry *a = &here->entries[i];
        const struct frame_entry *b = &there->entries[j];
        int side = i == here->count    ? 1
                   : j == there->count ? -1
                                       : order(a->key, b->key);
        int newer = side != 0 ? -side : version_compare(a->version, b->version);

        if (newer > 0 && exchange->wants == NULL)
            need(exchange->push, &exchange->push_count, a->key);
        else if (newer < 0)
            need(exchange->fetch, &exchange->fetch_count, b->key);
        i += side <= 0;
        j += side >= 0;
    }
}

static enum kist_status read_listing(struct exchange *exchange,
                                     const struct frame *frame)
{
    struct env *env = exchange->seat->env;
    struct page here, there;
    unsigned count;
    enum kist_status status;

    blob_clear(&exchange->here);
    blob_clear(&exchange->there);
    blob_append(&exchange->there, frame->body);
    status = env->ops->list(env, exchange->part, blob_view(&exchange->after),
                            &exchange->here, &count);
    if (exchange->here.failed || exchange->there.failed)
        status = KIST_NO_MEMORY;
    if (status == KIST_OK)
        status = read_page(blob_view(&exchange->here), count, &here);
    if (status == KIST_OK)
        status = read_page(blob_view(&exchange->there), frame->items, &there);
    if (status != KIST_OK)
        return status;
    cut_to_both(exchange, &here, &there);
    compare_pages(exchange, &here, &there);
    return exchange->after.failed ? KIST_NO_MEMORY : KIST_OK;
}

/* Files of large values, ours or the peer's. */

static uint64_t now_ms(const struct exchange *exchange)
{
    struct env *env = exchange->seat->env;

    return env->ops->mono_ms(env);
}

/* It is over if nothing came for as long as a message may take. */
static void wait_for_files(struct exchange *exchange, enum exchange_state state,
                           uint64_t progress)
{
    struct env *env = exchange->seat->env;

    if (progress != exchange->progress)
        exchange->moved_ms = now_ms(exchange);
    exchange->progress = progress;
    if (now_ms(exchange) - exchange->moved_ms > exchange->timeout_ms) {
        finish(exchange, KIST_CONFLICT); /* As if it were busy. */
        return;
    }
    exchange->state = state;
    env->ops->timer_set(env, &exchange->timer, FILES_MS);
}

/* Records that we lack. */

static void fetch(struct exchange *exchange)
{
    exchange->moved_ms = now_ms(exchange);
    if (exchange->fetch_count == 0) {
        push_first(exchange);
        return;
    }
    begin_message(exchange, FRAME_FETCH);
    for (unsigned i = 0; i < exchange->fetch_count; i++)
        frame_add_fetch(exchange->fetch[i].key, &exchange->message);
    send(exchange, EXCHANGE_FETCHING, exchange->fetch_count);
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
    exchange->lacks_file = exchange->lacks_files = true;
    return false;
}

/* What all of them came to. */
static void kept_all(struct exchange *exchange)
{
    uint64_t progress = 0;
    bool is_any_coming = false;

    for (unsigned i = 0; i < exchange->fetch_count; i++) {
        struct exchange_need *kept = &exchange->fetch[i];

        if (kept->is_coming)
            kept->is_coming = is_file_coming(kept, &progress);
        is_any_coming |= kept->is_coming;
    }
    if (is_outdated(exchange))
        finish(exchange, KIST_CONFLICT);
    else if (exchange->status != KIST_OK)
        finish(exchange, exchange->status);
    else if (is_any_coming)
        wait_for_files(exchange, EXCHANGE_BRINGING, progress);
    else
        push_first(exchange);
}

static void on_kept(struct env_apply *apply)
{
    struct exchange_need *kept = OWNER(apply, struct exchange_need, apply);
    struct exchange *exchange = kept->exchange;

    exchange->fetched += apply->status == KIST_OK;
    kept->is_coming = apply->status == KIST_NOT_FOUND;
    if (apply->status != KIST_OK && !kept->is_coming)
        exchange->status = apply->status;
    if (--exchange->waiting == 0)
        kept_all(exchange);
}

static void keep_again(struct exchange *exchange)
{
    struct env *env = exchange->seat->env;

    exchange->state = EXCHANGE_KEEPING;
    for (unsigned i = 0; i < exchange->fetch_count; i++)
        exchange->waiting += exchange->fetch[i].is_coming;
    for (unsigned i = 0; i < exchange->fetch_count; i++)
        if (exchange->fetch[i].is_coming)
            env->ops->apply(env, &exchange->fetch[i].apply);
}

/* *out: done is set where there is something to keep. */
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

static enum kist_status keep(struct exchange *exchange,
                             const struct frame *frame)
{
    struct env *env = exchange->seat->env;
    struct view body;

    if (frame->items != exchange->fetch_count)
        return KIST_CORRUPT;
    blob_clear(&exchange->records);
    blob_append(&exchange->records, frame->body);
    if (exchange->records.failed)
        return KIST_NO_MEMORY;
    exchange->bytes += exchange->records.size;
    body = blob_view(&exchange->records);
    exchange->waiting = 0;
    exchange->file_bytes = 0;
    for (unsigned i = 0; i < exchange->fetch_count; i++)
        if (read_record(exchange, &exchange->fetch[i], &body) != KIST_OK)
            return KIST_CORRUPT;

    exchange->state = EXCHANGE_KEEPING;
    for (unsigned i = 0; i < exchange->fetch_count; i++)
        if (exchange->fetch[i].apply.done != NULL)
            env->ops->apply(env, &exchange->fetch[i].apply);
    if (exchange->waiting == 0)
        push_first(exchange);
    return KIST_OK;
}

/* Records that the peer lacks. */

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

/* As long as what was fetched should have taken. */
static void pace(struct exchange *exchange)
{
    struct env *env = exchange->seat->env;
    uint64_t delay_ms = 0;

    if (exchange->fetch_count > 0 && exchange->bytes_per_s > 0)
        delay_ms = (exchange->records.size + exchange->file_bytes) * 1000 /
                   exchange->bytes_per_s;
    exchange->state = EXCHANGE_PACING;
    env->ops->timer_set(env, &exchange->timer, delay_ms);
}

static void push(struct exchange *exchange)
{
    unsigned items = 0;

    if (exchange->wants != NULL) {
        pace(exchange);
        return;
    }
    begin_message(exchange, FRAME_PUSH);
    for (unsigned i = 0; i < exchange->push_count; i++)
        items += add_record(exchange, exchange->push[i].key);
    if (items > 0)
        send(exchange, EXCHANGE_PUSHING, items);
    else
        next_page(exchange);
}

/* Goes on by itself: with the next page, or with this one again. */
static enum kist_status read_pushed(struct exchange *exchange,
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
        wait_for_files(exchange, EXCHANGE_LENDING, progress);
        return KIST_OK;
    }
    exchange->pushed += frame->items;
    next_page(exchange);
    return KIST_OK;
}

/* The same page may have to be pushed again: push() alone. */
static void push_first(struct exchange *exchange)
{
    exchange->moved_ms = now_ms(exchange);
    push(exchange);
}

/* Steps. */

static void on_frame(struct exchange *exchange, const struct frame *frame)
{
    enum exchange_state state = exchange->state;
    enum kist_status status = KIST_CORRUPT;

    switch (state) {
    case EXCHANGE_ROOTS:
        status = read_roots(exchange, frame);
        break;
    case EXCHANGE_LEAVES:
        status = read_leaves(exchange, frame);
        break;
    case EXCHANGE_LISTING:
        status = read_listing(exchange, frame);
        break;
    case EXCHANGE_FETCHING:
        status = keep(exchange, frame); /* Goes on by itself. */
        break;
    case EXCHANGE_PUSHING:
        status = read_pushed(exchange, frame); /* As well. */
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
        finish(exchange, status);
    else if (state == EXCHANGE_ROOTS)
        ask_roots(exchange);
    else if (state == EXCHANGE_LEAVES && is_quicker_whole(exchange))
        list_all(exchange);
    else if (state == EXCHANGE_LEAVES)
        next_leaf(exchange);
    else if (state == EXCHANGE_LISTING)
        fetch(exchange);
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct exchange *exchange = OWNER(call, struct exchange, call);
    struct frame frame;

    if (outcome != ENV_ANSWERED) {
        finish(exchange, KIST_IO);
        return;
    }
    if (frame_decode(answer, &frame) != KIST_OK || !frame.answer) {
        finish(exchange, KIST_CORRUPT);
        return;
    }
    if (frame.status == FRAME_NOT_ME || frame.from != exchange->peer) {
        finish(exchange, KIST_NOT_FOUND);
        return;
    }
    seat_notice(exchange->seat, &frame);
    if (frame.status != FRAME_OK || is_outdated(exchange)) {
        finish(exchange, KIST_CONFLICT);
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
    exchange->lacks_file = exchange->lacks_files = false;
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
