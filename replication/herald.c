#include "replication/herald.h"

#include "base/owner.h"

#include <assert.h>
#include <stdlib.h>

struct herald_errand {
    struct herald_errand *next;
    struct herald *herald;
    uint64_t to;
    uint64_t epoch; /* Of the ring that it brings; 0: it asks for one. */
    const struct ring *ring; /* A share: has the address. */
    struct env_call call;
    struct blob message;
    struct env_timer stay;
};

static void errand_free(struct herald_errand *errand)
{
    struct herald_errand **link = &errand->herald->errands;

    while (*link != errand)
        link = &(*link)->next;
    *link = errand->next;
    ring_free(errand->ring);
    blob_free(&errand->message);
    free(errand);
}

static void on_stayed(struct env_timer *timer)
{
    errand_free(OWNER(timer, struct herald_errand, stay));
}

static void on_errand(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct herald_errand *errand = OWNER(call, struct herald_errand, call);
    struct herald *herald = errand->herald;
    struct env *env = herald->seat->env;
    struct frame frame;
    struct view ring;

    if (outcome == ENV_ANSWERED && errand->epoch == 0 &&
        frame_decode(answer, &frame) == KIST_OK && frame.answer &&
        frame.kind == FRAME_RING && frame.status == FRAME_OK &&
        frame.items == 1 && frame_next_ring(&frame.body, &ring) == KIST_OK)
        herald->heard(herald, ring);
    if (herald->is_stopped)
        errand_free(errand);
    else
        env->ops->timer_set(env, &errand->stay, herald->stay_ms);
}

static bool is_out(const struct herald *herald, uint64_t to, uint64_t epoch)
{
    const struct herald_errand *errand = herald->errands;

    while (errand != NULL && (errand->to != to || errand->epoch != epoch))
        errand = errand->next;
    return errand != NULL;
}

static void write_errand(struct herald_errand *errand, struct view bytes)
{
    struct herald *herald = errand->herald;
    bool is_asking = errand->epoch == 0;
    struct frame head = seat_head(
        herald->seat, is_asking ? FRAME_RING : FRAME_ADOPT, errand->to);

    head.budget_ms = (uint32_t)herald->timeout_ms;
    frame_begin(&head, &errand->message);
    if (!is_asking)
        frame_add_ring(bytes, &errand->message);
    frame_seal(!is_asking, &errand->message);
}

static void send(struct herald *herald, const struct ring *ring, uint64_t to,
                 uint64_t epoch, struct view bytes)
{
    int member = ring_find_incarnation(ring, to);
    struct herald_errand *errand;

    if (member < 0 || to == herald->seat->env->self || herald->is_stopped ||
        is_out(herald, to, epoch))
        return;
    errand = calloc(1, sizeof(*errand));
    if (errand == NULL)
        return;
    *errand = (struct herald_errand){.next = herald->errands,
                                     .herald = herald,
                                     .to = to,
                                     .epoch = epoch,
                                     .ring = ring_share(ring),
                                     .stay.fire = on_stayed};
    herald->errands = errand;
    write_errand(errand, bytes);
    if (errand->message.failed) {
        errand_free(errand);
        return;
    }
    errand->call = (struct env_call){
        .to = to,
        .address = ring->members[member].address,
        .message = blob_view(&errand->message),
        .timeout_ms = herald->timeout_ms,
        .done = on_errand,
    };
    herald->seat->env->ops->send(herald->seat->env, &errand->call);
}

void herald_tell(struct herald *herald, const struct ring *ring, uint64_t to,
                 uint64_t epoch, struct view bytes)
{
    send(herald, ring, to, epoch, bytes);
}

void herald_ask(struct herald *herald, uint64_t to)
{
    send(herald, herald->seat->ring, to, 0, (struct view){0});
}

void herald_stop(struct herald *herald)
{
    struct env *env = herald->seat->env;
    struct herald_errand *next;

    herald->is_stopped = true;
    for (struct herald_errand *e = herald->errands; e != NULL; e = next) {
        next = e->next;
        if (e->stay.own == NULL)
            continue; /* Under way: it ends by itself. */
        env->ops->timer_stop(env, &e->stay);
        errand_free(e);
    }
}

void herald_clear(struct herald *herald)
{
    assert(herald->errands == NULL);
    herald->is_stopped = false;
}
