#include "replication/fence.h"

#include "base/owner.h"

#include <assert.h>
#include <stdlib.h>

#define TICK_MS 200

const char *fence_state_name(enum fence_state state)
{
    switch (state) {
    case FENCE_OPEN:
        return "open";
    case FENCE_UNCONFIRMED:
        return "unconfirmed";
    case FENCE_JUMPED:
        return "jumped";
    case FENCE_APART:
        return "apart";
    case FENCE_BEHIND:
        return "behind";
    }
    assert(false);
    return "";
}

static void publish(struct fence *fence)
{
    uint64_t wall_ms = fence->env->ops->wall_ms(fence->env);
    uint64_t lead_ms = hlc_ahead_ms(fence->hlc, wall_ms);
    enum fence_state from = fence_state(fence), to = fence->verdict;

    if (to == FENCE_OPEN && lead_ms > FENCE_BEHIND_MS)
        to = FENCE_BEHIND;
    gauge_set(&fence->stats.lead_ms, (int64_t)lead_ms);
    if (from == to)
        return;
    counter_add(&fence->stats.closed, from == FENCE_OPEN);
    atomic_store(&fence->state, to);
    if (fence->moved != NULL)
        fence->moved(fence->ctx, from, to);
}

static bool has_jumped(const struct fence *fence, int64_t apart_ms)
{
    int64_t was_ms = atomic_load(&((struct fence *)fence)->apart_ms);

    return llabs(apart_ms - was_ms) > FENCE_JUMP_MS;
}

/* The wall clock, as the monotonic one would have it, but for a constant. */
static int64_t clocks_apart_ms(const struct fence *fence)
{
    struct env *env = fence->env;

    return (int64_t)(env->ops->wall_ms(env) - env->ops->mono_ms(env));
}

static void on_tick(struct env_timer *timer)
{
    struct fence *fence = OWNER(timer, struct fence, tick);
    int64_t apart_ms = clocks_apart_ms(fence);

    if (has_jumped(fence, apart_ms)) {
        counter_add(&fence->stats.jumps, 1);
        fence->jumped_at_ms = fence->env->ops->mono_ms(fence->env);
        fence->verdict = FENCE_JUMPED;
    }
    publish(fence);
    atomic_store(&fence->apart_ms, apart_ms); /* Now that it is closed. */
    fence->env->ops->timer_set(fence->env, timer, TICK_MS);
}

void fence_start(struct fence *fence)
{
    fence->verdict = FENCE_UNCONFIRMED;
    fence->jumped_at_ms = 0;
    atomic_store(&fence->state, FENCE_UNCONFIRMED);
    atomic_store(&fence->apart_ms, clocks_apart_ms(fence));
    fence->tick = (struct env_timer){.fire = on_tick};
    fence->env->ops->timer_set(fence->env, &fence->tick, TICK_MS);
}

void fence_stop(struct fence *fence)
{
    fence->env->ops->timer_stop(fence->env, &fence->tick);
}

enum fence_state fence_state(const struct fence *fence)
{
    return (enum fence_state)atomic_load(&((struct fence *)fence)->state);
}

bool fence_is_open(const struct fence *fence, uint64_t wall_ms,
                   uint64_t mono_ms)
{
    return fence_state(fence) == FENCE_OPEN &&
           !has_jumped(fence, (int64_t)(wall_ms - mono_ms));
}

uint64_t fence_valid_from_ms(const struct fence *fence)
{
    return fence->jumped_at_ms;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* How many of the others are farther off than the limit, to which side. */
struct tally {
    unsigned alike, ahead, behind;
};

static struct tally tally_of(const struct fence *fence, const int64_t *ahead_ms,
                             unsigned count)
{
    int64_t limit_ms = (int64_t)fence->limit_ms;
    struct tally tally = {0};

    for (unsigned i = 0; i < count; i++) {
        tally.ahead += ahead_ms[i] > limit_ms;
        tally.behind += ahead_ms[i] < -limit_ms;
    }
    tally.alike = count - tally.ahead - tally.behind;
    return tally;
}

void fence_judge(struct fence *fence, int64_t *ahead_ms, unsigned count,
                 unsigned members)
{
    unsigned majority = members / 2 + 1, heard = count + 1;
    struct tally tally = tally_of(fence, ahead_ms, count);

    if (heard < majority)
        return;
    if (count > 0) {
        qsort(ahead_ms, count, sizeof(*ahead_ms), by_number);
        gauge_set(&fence->stats.ahead_ms, -ahead_ms[count / 2]);
    }
    if (tally.alike + 1 >= majority)
        fence->verdict = FENCE_OPEN;
    else if (2 * tally.ahead > heard || 2 * tally.behind > heard)
        fence->verdict = FENCE_APART;
    publish(fence);
}
