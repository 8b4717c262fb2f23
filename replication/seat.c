#include "replication/seat.h"

#include <assert.h>

void seat_adopt(struct seat *seat, const struct ring *ring, uint64_t digest)
{
    ring_free(seat->ring);
    seat->ring = ring;
    seat->digest = digest;
    seat->is_member =
        ring->epoch > 0 && ring_find_incarnation(ring, seat->env->self) >= 0;
    seat->storing_before += seat->storing;
    seat->storing = 0;
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
    return seat->ring->epoch;
}

void seat_end_storing(struct seat *seat, uint64_t epoch)
{
    unsigned *storing =
        epoch == seat->ring->epoch ? &seat->storing : &seat->storing_before;

    assert(*storing > 0);
    (*storing)--;
}

bool seat_is_drained(const struct seat *seat)
{
    return seat->storing_before == 0;
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
