#include "replication/seat.h"

#include <assert.h>

static void settle(struct seat *seat)
{
    if (seat->all != NULL && seat->storing_before == 0)
        seats_settle(seat->all, seat->number, seat->phase);
}

/* What it changes is changed already. */
static void begin_phase(struct seat *seat, uint64_t phase)
{
    assert(phase >= seat->phase);
    seat->phase = phase;
    seat->storing_before += seat->storing;
    seat->storing = 0;
    settle(seat);
}

static void take_ring(struct seat *seat, const struct ring *ring,
                      uint64_t digest)
{
    ring_free(seat->ring);
    seat->ring = ring;
    seat->digest = digest;
    seat->is_member = ring != NULL && ring->epoch > 0 &&
                      ring_find_incarnation(ring, seat->env->self) >= 0;
}

void seat_adopt(struct seat *seat, const struct ring *ring, uint64_t digest)
{
    take_ring(seat, ring, digest);
    begin_phase(seat, seat->phase + 1);
}

void seat_hold(struct seat *seat, struct version fence, struct version floor)
{
    seat->fence = fence;
    seat->floor = floor;
    begin_phase(seat, seat->phase + 1);
}

struct seat_orders seat_orders_of(const struct seat *seat)
{
    bool has_ring = seat->ring != NULL && seat->ring->epoch > 0;

    return (struct seat_orders){
        .phase = seat->phase,
        .ring = has_ring ? ring_share(seat->ring) : NULL,
        .digest = seat->digest,
        .fence = seat->fence,
        .floor = seat->floor,
    };
}

void seat_follow(struct seat *seat, const struct seat_orders *orders)
{
    take_ring(seat, orders->ring, orders->digest);
    seat->fence = orders->fence;
    seat->floor = orders->floor;
    begin_phase(seat, orders->phase);
}

bool seat_expects(const struct seat *seat, uint64_t incarnation)
{
    return seat->is_alive == NULL || seat->is_alive(seat->ctx, incarnation);
}

bool seat_expects_write(const struct seat *seat, uint64_t incarnation)
{
    return seat->takes_writes == NULL ||
           seat->takes_writes(seat->ctx, incarnation);
}

void seat_notice(const struct seat *seat, const struct frame *frame)
{
    if (seat->differs != NULL && seat->ring != NULL &&
        frame->cluster == seat->ring->cluster &&
        frame->epoch != seat->ring->epoch)
        seat->differs(seat->ctx, frame->from, frame->epoch);
}

uint64_t seat_begin_storing(struct seat *seat)
{
    seat->storing++;
    return seat->phase;
}

void seat_end_storing(struct seat *seat, uint64_t phase)
{
    unsigned *storing =
        phase == seat->phase ? &seat->storing : &seat->storing_before;

    assert(*storing > 0);
    (*storing)--;
    if (phase != seat->phase)
        settle(seat);
}

bool seat_is_drained(const struct seat *seat)
{
    return seat->storing_before == 0 &&
           (seat->all == NULL || seats_are_settled(seat->all, seat->phase));
}

struct frame seat_head(const struct seat *seat, enum frame_kind kind,
                       uint64_t to)
{
    struct frame head = {
        .kind = kind,
        .from = seat->env->self,
        .to = to,
        .wall_ms = seat->env->ops->wall_ms(seat->env),
    };

    if (seat->ring != NULL) {
        head.cluster = seat->ring->cluster;
        head.epoch = seat->ring->epoch;
        head.digest = seat->digest;
    }
    return head;
}
