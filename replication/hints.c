/*
 * A target has a queue of hints and at most one delivery under way, of as many
 * as fit into a message. What is out stays where it is until the answer, which
 * is about exactly those: one that is replaced meanwhile is gone, and the one
 * in its place waits for the next.
 */
#include "replication/hints.h"

#include "base/owner.h"
#include "replication/hint_queue.h"

#include <assert.h>
#include <stdlib.h>

enum {
    MESSAGE_BYTES = 1 << 20,
    MESSAGE_HINTS = 256,
    WAIT_MAX = 32, /* Times retry_ms. */
};

struct hints_target {
    struct hints_target *next;
    struct hints *hints;
    uint64_t incarnation;
    struct hint_queue queue;
    struct hint *sent[MESSAGE_HINTS]; /* An item each; NULL: it is gone. */
    unsigned sent_count;              /* 0: nothing is under way. */
    struct blob message;
    const struct ring *ring; /* A share, while it is out: has the address. */
    struct env_call call;
    struct env_timer timer;
    unsigned wait; /* Times retry_ms, after the next failure. */
};

static uint64_t now_ms(const struct hints *hints)
{
    return hints->seat->env->ops->mono_ms(hints->seat->env);
}

static void note_oldest(struct hints *hints)
{
    uint64_t oldest_ms = UINT64_MAX;

    for (const struct hints_target *target = hints->targets; target != NULL;
         target = target->next)
        if (target->queue.oldest != NULL &&
            target->queue.oldest->born_ms < oldest_ms)
            oldest_ms = target->queue.oldest->born_ms;
    gauge_set(&hints->stats.oldest_ms,
              oldest_ms == UINT64_MAX ? 0 : (int64_t)oldest_ms);
}

static void account(struct hints *hints, const struct hint *hint, int sign)
{
    int64_t cost = (int64_t)hint_cost(hint) * sign;

    hints->bytes = (size_t)((int64_t)hints->bytes + cost);
    gauge_add(&hints->stats.bytes, cost);
    gauge_add(&hints->stats.pending, sign);
    note_oldest(hints);
}

/* Take it out; the answer of a delivery that has it finds nothing. */
static void forget(struct hints_target *target, struct hint *hint)
{
    for (unsigned i = 0; i < target->sent_count; i++)
        if (target->sent[i] == hint)
            target->sent[i] = NULL;
    hint_queue_remove(&target->queue, hint);
    account(target->hints, hint, -1);
    hint_free(hint);
}

/* Takes the hint. */
static void enter(struct hints_target *target, struct hint *hint)
{
    struct hints *hints = target->hints;
    struct hint *old = hint_queue_find(&target->queue, hint->key);
    size_t freed = old != NULL ? hint_cost(old) : 0;

    if (old != NULL && version_compare(old->version, hint->version) >= 0) {
        hint_free(hint);
        return;
    }
    if (hints->bytes - freed + hint_cost(hint) > hints->limit_bytes) {
        counter_add(&hints->stats.dropped, 1);
        hint_free(hint);
        return;
    }
    if (old != NULL)
        forget(target, old);
    if (hint_queue_add(&target->queue, hint) != KIST_OK) {
        counter_add(&hints->stats.dropped, 1);
        hint_free(hint);
        return;
    }
    account(hints, hint, 1);
    counter_add(&hints->stats.added, 1);
}

/* Targets: as many as members that ever missed something. */

static void deliver(struct hints_target *target);

static void on_timer(struct env_timer *timer)
{
    deliver(OWNER(timer, struct hints_target, timer));
}

static struct hints_target *target_of(struct hints *hints, uint64_t incarnation)
{
    struct hints_target *target = hints->targets;

    while (target != NULL && target->incarnation != incarnation)
        target = target->next;
    if (target != NULL)
        return target;
    target = calloc(1, sizeof(*target));
    if (target == NULL)
        return NULL;
    *target = (struct hints_target){.next = hints->targets,
                                    .hints = hints,
                                    .incarnation = incarnation,
                                    .timer.fire = on_timer,
                                    .wait = 1};
    hints->targets = target;
    return target;
}

/* Nothing to do until then; a delivery that is under way sets it anew. */
static void rest(struct hints_target *target, uint64_t delay_ms)
{
    struct env *env = target->hints->seat->env;

    if (target->queue.count > 0 && target->sent_count == 0 &&
        !target->hints->is_stopped)
        env->ops->timer_set(env, &target->timer, delay_ms);
}

/* Delivering. */

/* The ring has changed: whoever owns the key now is to get it. */
static void readdress(struct hints_target *target, struct hint *hint,
                      unsigned partition)
{
    struct hints *hints = target->hints;
    const struct ring *ring = hints->seat->ring;
    const uint16_t *owners = ring_next_of(ring, partition);
    struct record record = hint_record(hint);

    for (unsigned i = 0; i < ring->copies; i++) {
        uint64_t owner = ring->members[owners[i]].incarnation;

        if (owner != hints->seat->env->self)
            hints_add(hints, owner, hint->key, &record);
    }
    counter_add(&hints->stats.moved, 1);
    forget(target, hint);
}

/* Whether it is still to be delivered here; if not, it is gone. */
static bool is_due(struct hints_target *target, struct hint *hint)
{
    struct hints *hints = target->hints;
    const struct ring *ring = hints->seat->ring;
    unsigned partition = ring_partition_of(ring, hint->key);

    if (now_ms(hints) - hint->born_ms > hints->age_ms) {
        counter_add(&hints->stats.expired, 1);
        forget(target, hint);
        return false;
    }
    if (ring_is_owner(ring, partition, target->incarnation))
        return true;
    readdress(target, hint, partition);
    return false;
}

static void add_due(struct hints_target *target)
{
    struct hint *newer;

    for (struct hint *hint = target->queue.oldest; hint != NULL; hint = newer) {
        struct frame_push push = {.source = FRAME_HINT, .sync = ENGINE_SYNC};

        newer = hint->newer;
        if (target->sent_count == MESSAGE_HINTS ||
            (target->sent_count > 0 &&
             target->message.size + hint->bytes.size > MESSAGE_BYTES))
            return;
        if (!is_due(target, hint))
            continue;
        push.key = hint->key;
        push.record = hint_record(hint);
        frame_add_push(&push, &target->message);
        target->sent[target->sent_count++] = hint;
    }
}

enum taken { NOT_TAKEN, TAKEN, COMING };

/* Taken: every one of them; coming: but for some whose files it fetches. */
static enum taken read_answer(struct hints_target *target, struct view answer)
{
    struct frame_pushed pushed;
    struct frame frame;
    enum taken taken = TAKEN;

    if (frame_decode(answer, &frame) != KIST_OK || !frame.answer ||
        frame.kind != FRAME_PUSH || frame.status != FRAME_OK ||
        frame.from != target->incarnation || frame.items != target->sent_count)
        return NOT_TAKEN;
    for (unsigned i = 0; i < frame.items; i++) {
        struct hint *hint = target->sent[i];

        if (frame_next_pushed(&frame.body, &pushed) != KIST_OK)
            return NOT_TAKEN;
        if (pushed.result == FRAME_COMING && taken == TAKEN)
            taken = COMING;
        else if (pushed.result != FRAME_DURABLE &&
                 pushed.result != FRAME_COMING)
            taken = NOT_TAKEN;
        if (pushed.result != FRAME_DURABLE)
            continue;
        counter_add(&target->hints->stats.delivered, 1);
        if (hint != NULL)
            forget(target, hint);
    }
    return taken;
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct hints_target *target = OWNER(call, struct hints_target, call);
    enum taken taken =
        outcome == ENV_ANSWERED ? read_answer(target, answer) : NOT_TAKEN;

    ring_free(target->ring);
    target->sent_count = 0;
    blob_free(&target->message);
    if (taken != NOT_TAKEN) {
        target->wait = 1;
        rest(target, taken == TAKEN ? 0 : target->hints->retry_ms);
        return;
    }
    rest(target, target->hints->retry_ms * target->wait);
    if (target->wait < WAIT_MAX)
        target->wait *= 2;
}

static void deliver(struct hints_target *target)
{
    struct seat *seat = target->hints->seat;
    struct frame head = seat_head(seat, FRAME_PUSH, target->incarnation);
    int member = ring_find_incarnation(seat->ring, target->incarnation);

    assert(target->sent_count == 0);
    head.budget_ms = (uint32_t)target->hints->timeout_ms;
    frame_begin(&head, &target->message);
    add_due(target);
    frame_seal(target->sent_count, &target->message);
    if (target->sent_count == 0 || target->message.failed || member < 0) {
        target->sent_count = 0;
        blob_free(&target->message);
        rest(target, target->hints->retry_ms * WAIT_MAX);
        return;
    }
    target->ring = ring_share(seat->ring);
    target->call = (struct env_call){
        .to = target->incarnation,
        .address = seat->ring->members[member].address,
        .message = blob_view(&target->message),
        .timeout_ms = target->hints->timeout_ms,
        .done = on_answer,
    };
    seat->env->ops->send(seat->env, &target->call);
}

void hints_add(struct hints *hints, uint64_t target, struct view key,
               const struct record *record)
{
    struct hints_target *found = target_of(hints, target);
    struct hint *hint =
        found != NULL ? hint_new(key, record, now_ms(hints)) : NULL;

    if (hint == NULL) {
        counter_add(&hints->stats.dropped, 1);
        return;
    }
    enter(found, hint);
    if (found->timer.own == NULL)
        rest(found, hints->retry_ms * found->wait);
}

void hints_wake(struct hints *hints, uint64_t target)
{
    struct hints_target *found = hints->targets;

    while (found != NULL && found->incarnation != target)
        found = found->next;
    if (found == NULL)
        return;
    found->wait = 1;
    rest(found, 0);
}

void hints_stop(struct hints *hints)
{
    struct env *env = hints->seat->env;

    hints->is_stopped = true;
    for (struct hints_target *t = hints->targets; t != NULL; t = t->next)
        env->ops->timer_stop(env, &t->timer);
}

void hints_clear(struct hints *hints)
{
    while (hints->targets != NULL) {
        struct hints_target *target = hints->targets;

        assert(target->sent_count == 0);
        while (target->queue.oldest != NULL)
            forget(target, target->queue.oldest);
        hint_queue_clear(&target->queue);
        hints->targets = target->next;
        free(target);
    }
    hints->is_stopped = false;
}
