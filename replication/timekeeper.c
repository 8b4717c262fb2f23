#include "replication/timekeeper.h"

#include "base/owner.h"

enum {
    TICK_MS = HLC_LEASE_MS / 12,

    /*
     * Versions that are ahead of the wall clock, as they are after a restart,
     * go on by 1/65536 ms each. So a little is enough for them, and a node that
     * crashes every second does not get ahead by a lease each time.
     */
    LEAD_MS = 100,
};

static uint64_t wall_ms(struct timekeeper *keeper)
{
    return keeper->env->ops->wall_ms(keeper->env);
}

static void renewed(struct env_lease *lease, enum kist_status status)
{
    struct timekeeper *keeper = OWNER(lease, struct timekeeper, lease);

    keeper->renewing = false;
    if (status == KIST_OK)
        hlc_lease_written(keeper->hlc, lease->lease_ms);
}

bool timekeeper_is_fenced(const struct timekeeper *keeper)
{
    struct env *env = keeper->env;

    return keeper->fence != NULL &&
           !fence_is_open(keeper->fence, env->ops->wall_ms(env),
                          env->ops->mono_ms(env));
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When a third of it is used up, or half of the little that is ahead. */
static void renew(struct timekeeper *keeper)
{
    uint64_t now_ms = wall_ms(keeper);
    uint64_t last_ms = now_ms + hlc_ahead_ms(keeper->hlc, now_ms);
    uint64_t needed_ms =
        later(now_ms + HLC_LEASE_MS * 2 / 3, last_ms + LEAD_MS / 2);

    if (keeper->renewing || timekeeper_is_fenced(keeper) ||
        needed_ms <= hlc_lease_ms(keeper->hlc))
        return;
    keeper->renewing = true;
    keeper->lease.lease_ms = later(now_ms + HLC_LEASE_MS, last_ms + LEAD_MS);
    keeper->lease.done = renewed;
    keeper->env->ops->lease(keeper->env, &keeper->lease);
}

static void on_tick(struct env_timer *timer)
{
    struct timekeeper *keeper = OWNER(timer, struct timekeeper, tick);

    renew(keeper);
    keeper->env->ops->timer_set(keeper->env, timer, TICK_MS);
}

void timekeeper_start(struct timekeeper *keeper, struct env *env,
                      struct hlc *hlc, struct fence *fence)
{
    *keeper = (struct timekeeper){.env = env, .hlc = hlc, .fence = fence};
    keeper->tick.fire = on_tick;
    env->ops->timer_set(env, &keeper->tick, 0);
}

void timekeeper_wake(struct timekeeper *keeper)
{
    keeper->env->ops->timer_set(keeper->env, &keeper->tick, 0);
}

void timekeeper_stop(struct timekeeper *keeper)
{
    keeper->env->ops->timer_stop(keeper->env, &keeper->tick);
}

enum kist_status timekeeper_stamp(struct timekeeper *keeper,
                                  struct version *out_version)
{
    struct version version;

    if (timekeeper_is_fenced(keeper))
        return KIST_BUSY;
    version = hlc_next(keeper->hlc, wall_ms(keeper));
    if (version_ms(version) >= hlc_lease_ms(keeper->hlc)) {
        renew(keeper);
        return KIST_BUSY;
    }
    *out_version = version;
    return KIST_OK;
}

enum kist_status timekeeper_admit(struct timekeeper *keeper,
                                  struct version given)
{
    if (timekeeper_is_fenced(keeper))
        return KIST_BUSY;
    return timekeeper_observe(keeper, given) ? KIST_OK : KIST_INVALID;
}

bool timekeeper_observe(struct timekeeper *keeper, struct version seen)
{
    if (hlc_observe(keeper->hlc, seen, wall_ms(keeper)))
        return true;
    if (keeper->fence != NULL)
        counter_add(&keeper->fence->stats.too_far, 1);
    return false;
}
