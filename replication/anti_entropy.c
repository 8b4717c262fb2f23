#include "replication/anti_entropy.h"

#include "base/owner.h"

/* Between half and one and a half of the mean: rounds must not keep step. */
static void rest(struct anti_entropy *entropy)
{
    struct env *env = entropy->seat->env;
    uint64_t mean_ms = entropy->period_ms / entropy->seat->ring->member_count;
    uint64_t delay_ms = mean_ms / 2 + env->ops->random(env) % (mean_ms + 1);

    if (entropy->returned != 0)
        delay_ms = env->ops->random(env) % (entropy->settle_ms + 1);
    if (!entropy->is_stopped)
        env->ops->timer_set(env, &entropy->timer, delay_ms);
}

static void on_done(struct exchange *exchange)
{
    struct anti_entropy *entropy =
        OWNER(exchange, struct anti_entropy, exchange);
    struct env *env = entropy->seat->env;

    entropy->is_busy = false;
    counter_add(&entropy->stats.exchanges, 1);
    counter_add(&entropy->stats.failures, exchange->status != KIST_OK);
    counter_add(&entropy->stats.leaves, exchange->differed);
    counter_add(&entropy->stats.fetched, exchange->fetched);
    counter_add(&entropy->stats.pushed, exchange->pushed);
    if (exchange->status == KIST_OK)
        gauge_set(&entropy->stats.good_ms, (int64_t)env->ops->wall_ms(env));
    if (exchange->status == KIST_OK && entropy->compared != NULL)
        entropy->compared(entropy, exchange->peer, entropy->began_ms);
    rest(entropy);
}

static uint64_t next_peer(struct anti_entropy *entropy)
{
    const struct ring *ring = entropy->seat->ring;
    uint64_t self = entropy->seat->env->self, peer = entropy->returned;

    entropy->returned = 0;
    if (peer != 0 && seat_expects(entropy->seat, peer))
        return peer;
    for (unsigned i = 0; i < ring->member_count; i++) {
        entropy->turn = (entropy->turn + 1) % ring->member_count;
        peer = ring->members[entropy->turn].incarnation;
        if (peer != 0 && peer != self && seat_expects(entropy->seat, peer))
            return peer;
    }
    return 0;
}

static void on_timer(struct env_timer *timer)
{
    struct anti_entropy *entropy = OWNER(timer, struct anti_entropy, timer);
    struct env *env = entropy->seat->env;

    entropy->exchange = (struct exchange){
        .peer = next_peer(entropy),
        .timeout_ms = entropy->timeout_ms,
        .settle_ms = entropy->settle_ms,
        .done = on_done,
    };
    entropy->began_ms = env->ops->mono_ms(env);
    if (exchange_start(&entropy->exchange, entropy->seat) == KIST_OK)
        entropy->is_busy = true;
    else
        rest(entropy);
}

void anti_entropy_start(struct anti_entropy *entropy)
{
    struct env *env = entropy->seat->env;

    entropy->timer = (struct env_timer){.fire = on_timer};
    entropy->is_busy = entropy->is_stopped = false;
    entropy->returned = 0;
    entropy->turn =
        (unsigned)(env->ops->random(env) % entropy->seat->ring->member_count);
    rest(entropy);
}

void anti_entropy_expect(struct anti_entropy *entropy, uint64_t peer)
{
    entropy->returned = peer;
    if (!entropy->is_busy)
        rest(entropy);
}

void anti_entropy_stop(struct anti_entropy *entropy)
{
    struct env *env = entropy->seat->env;

    entropy->is_stopped = true;
    env->ops->timer_stop(env, &entropy->timer);
}
