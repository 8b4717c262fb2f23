#include "replication/seat.h"

bool seat_expects(const struct seat *seat, uint64_t incarnation)
{
    return seat->is_alive == NULL || seat->is_alive(seat->ctx, incarnation);
}

struct frame seat_head(const struct seat *seat, enum frame_kind kind,
                       uint64_t to)
{
    return (struct frame){
        .kind = kind,
        .cluster = seat->ring->cluster,
        .epoch = seat->ring->epoch,
        .digest = seat->digest,
        .from = seat->env->self,
        .to = to,
        .wall_ms = seat->env->ops->wall_ms(seat->env),
    };
}
