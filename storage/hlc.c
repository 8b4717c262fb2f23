#include "storage/hlc.h"

void hlc_init(struct hlc *hlc, uint64_t incarnation, uint64_t lease_ms)
{
    hlc->incarnation = incarnation;
    atomic_init(&hlc->lease_ms, lease_ms);
    atomic_init(&hlc->last, lease_ms << 16);
}

/* last = max(last, at least floor), and at least one more if step. */
static uint64_t advance(struct hlc *hlc, uint64_t floor, uint64_t step)
{
    uint64_t last = atomic_load(&hlc->last);
    uint64_t next;

    do {
        next = last + step > floor ? last + step : floor;
    } while (!atomic_compare_exchange_weak(&hlc->last, &last, next));
    return next;
}

struct version hlc_next(struct hlc *hlc, uint64_t wall_ms)
{
    /* A full counter carries into the milliseconds: never a repeat. */
    return (struct version){advance(hlc, wall_ms << 16, 1), hlc->incarnation};
}

bool hlc_observe(struct hlc *hlc, struct version seen, uint64_t wall_ms)
{
    if (version_ms(seen) > wall_ms + HLC_FUTURE_MS)
        return false;
    advance(hlc, seen.hlc, 0);
    return true;
}

uint64_t hlc_lease_ms(const struct hlc *hlc)
{
    return atomic_load(&((struct hlc *)hlc)->lease_ms);
}

uint64_t hlc_lease_due(const struct hlc *hlc, struct version stamped)
{
    if (version_ms(stamped) < hlc_lease_ms(hlc))
        return 0;
    return version_ms(stamped) + HLC_LEASE_MS;
}

void hlc_lease_written(struct hlc *hlc, uint64_t lease_ms)
{
    uint64_t known = atomic_load(&hlc->lease_ms);

    while (known < lease_ms &&
           !atomic_compare_exchange_weak(&hlc->lease_ms, &known, lease_ms))
        ;
}

uint64_t hlc_ahead_ms(const struct hlc *hlc, uint64_t wall_ms)
{
    uint64_t last_ms = atomic_load(&((struct hlc *)hlc)->last) >> 16;

    return last_ms > wall_ms ? last_ms - wall_ms : 0;
}
