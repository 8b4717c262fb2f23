#include "replication/join.h"

#include "base/owner.h"

#include <assert.h>

static void rest(struct join *join)
{
    struct env *env = join->seat->env;

    if (!join->is_stopped && join->seat->ring->epoch == 0)
        env->ops->timer_set(env, &join->timer, join->period_ms);
}

static void show(struct join *join, bool is_reached)
{
    if (join->is_told && join->is_reached == is_reached)
        return;
    join->is_told = true;
    join->is_reached = is_reached;
    if (join->moved != NULL)
        join->moved(join, join->call.address, is_reached);
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct join *join = OWNER(call, struct join, call);
    struct frame frame;
    struct view ring;
    bool is_answer = frame_decode(answer, &frame) == KIST_OK && frame.answer &&
                     frame.kind == FRAME_RING && frame.status == FRAME_OK;

    (void)outcome; /* Without an answer there are no bytes. */
    join->is_asking = false;
    if (join->is_stopped)
        return;
    show(join, is_answer);
    if (is_answer && frame.items == 1 &&
        frame_next_ring(&frame.body, &ring) == KIST_OK)
        join->heard(join, ring);
    rest(join);
}

static void ask(struct join *join)
{
    struct seat *seat = join->seat;
    struct frame head = seat_head(seat, FRAME_RING, 0);

    head.budget_ms = (uint32_t)join->timeout_ms;
    blob_clear(&join->message);
    frame_begin(&head, &join->message);
    frame_seal(0, &join->message);
    if (join->message.failed) {
        rest(join);
        return;
    }
    join->is_asking = true;
    join->call = (struct env_call){
        .address = join->addresses[join->turn++ % join->count],
        .message = blob_view(&join->message),
        .timeout_ms = join->timeout_ms,
        .done = on_answer,
    };
    seat->env->ops->send(seat->env, &join->call);
}

static void on_timer(struct env_timer *timer)
{
    struct join *join = OWNER(timer, struct join, timer);

    if (join->seat->ring->epoch == 0)
        ask(join);
}

void join_start(struct join *join)
{
    struct env *env = join->seat->env;

    if (join->count == 0 || join->seat->ring->epoch > 0)
        return;
    join->timer = (struct env_timer){.fire = on_timer};
    env->ops->timer_set(env, &join->timer, 0);
}

void join_stop(struct join *join)
{
    struct env *env = join->seat->env;

    join->is_stopped = true;
    env->ops->timer_stop(env, &join->timer);
}

void join_clear(struct join *join)
{
    assert(!join->is_asking);
    blob_free(&join->message);
}
