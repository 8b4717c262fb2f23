#include "replication/timekeeper.h"

#include "base/owner.h"

#define TICK_MS (HLC_LEASE_MS / 3)

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

/* From the later of wall clock and stamps: either may be ahead. */
static void renew(struct timekeeper *keeper)
{
    uint64_t now_ms = wall_ms(keeper);
    uint64_t from_ms = now_ms + hlc_ahead_ms(keeper->hlc, now_ms);

    if (keeper->renewing || from_ms + HLC_LEASE_MS <= hlc_lease_ms(keeper->hlc))
        return;
    keeper->renewing = true;
    keeper->lease.lease_ms = from_ms + HLC_LEASE_MS;
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
                      struct hlc *hlc)
{
    *keeper = (struct timekeeper){.env = env, .hlc = hlc};
    keeper->tick.fire = on_tick;
    env->ops->timer_set(env, &keeper->tick, 0);
}

void timekeeper_stop(struct timekeeper *keeper)
{
    keeper->env->ops->timer_stop(keeper->env, &keeper->tick);
}

enum kist_status timekeeper_stamp(struct timekeeper *keeper,
                                  struct version *out_version)
{
    struct version version = hlc_next(keeper->hlc, wall_ms(keeper));

    if (version_ms(version) >= hlc_lease_ms(keeper->hlc)) {
        renew(keeper);
        return KIST_BUSY;
    }
    *out_version = version;
    return KIST_OK;
}

bool timekeeper_observe(struct timekeeper *keeper, struct version seen)
{
    return hlc_observe(keeper->hlc, seen, wall_ms(keeper));
}
