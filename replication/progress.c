#include "replication/progress.h"

#include "base/owner.h"

#include <assert.h>

static void ask_next(struct progress *progress);

/* False: it is not at this ring, as far as its answer goes. */
static bool is_here(const struct progress *progress, struct view answer,
                    struct frame_moved *out_moved)
{
    struct frame frame;

    return frame_decode(answer, &frame) == KIST_OK && frame.answer &&
           frame.kind == FRAME_MOVES && frame.status == FRAME_OK &&
           frame.epoch == progress->ring->epoch && frame.items == 1 &&
           frame_next_moved(&frame.body, out_moved) == KIST_OK;
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct progress *progress = OWNER(call, struct progress, call);
    const struct ring *ring = progress->ring;
    struct frame_moved moved;
    bool is_at_it = is_here(progress, answer, &moved);

    (void)outcome; /* Without an answer there are no bytes. */
    progress->is_asking = false;
    progress->ring = NULL;
    if (ring == progress->seat->ring && is_at_it && moved.done == moved.total) {
        progress->turn++;
        ask_next(progress);
    } else if (ring == progress->seat->ring && !is_at_it) {
        progress->behind(progress, call->to);
    }
    ring_free(ring);
}

static void ask(struct progress *progress, const struct ring_member *member)
{
    struct seat *seat = progress->seat;
    struct frame head = seat_head(seat, FRAME_MOVES, member->incarnation);

    head.budget_ms = (uint32_t)progress->timeout_ms;
    blob_clear(&progress->message);
    frame_begin(&head, &progress->message);
    frame_add_moves(seat->floor.hlc, &progress->message);
    frame_seal(1, &progress->message);
    if (progress->message.failed)
        return;
    progress->is_asking = true;
    progress->ring = ring_share(seat->ring);
    progress->call = (struct env_call){
        .to = member->incarnation,
        .address = member->address,
        .message = blob_view(&progress->message),
        .timeout_ms = progress->timeout_ms,
        .done = on_answer,
    };
    seat->env->ops->send(seat->env, &progress->call);
}

static void ask_next(struct progress *progress)
{
    const struct ring *ring = progress->seat->ring;

    for (; progress->turn < ring->member_count; progress->turn++) {
        const struct ring_member *member = &ring->members[progress->turn];

        if (transfer_count(ring, member->incarnation) == 0)
            continue;
        if (member->incarnation != progress->seat->env->self) {
            ask(progress, member);
            return;
        }
        if (progress->transfer->done < progress->transfer->total)
            return;
    }
    progress->complete(progress);
}

void progress_look(struct progress *progress)
{
    if (progress->is_asking)
        return;
    progress->turn = 0;
    ask_next(progress);
}

void progress_clear(struct progress *progress)
{
    assert(!progress->is_asking);
    blob_free(&progress->message);
}

void progress_receive(struct progress *progress, const struct frame *frame,
                      struct replica_caller *caller)
{
    const struct transfer *transfer = progress->transfer;
    struct frame_moved moved = transfer_moved(transfer);
    struct view body = frame->body;
    struct blob answer = BLOB_EMPTY;
    uint64_t floor;

    if (frame_next_moves(&body, &floor) != KIST_OK) {
        replica_refuse(progress->seat, frame, FRAME_BAD, caller);
        return;
    }
    if (floor > progress->seat->floor.hlc) {
        progress->floor_heard(progress, floor);
        replica_refuse(progress->seat, frame, FRAME_BUSY, caller);
        return;
    }
    if (!seat_is_drained(progress->seat)) {
        replica_refuse(progress->seat, frame, FRAME_BUSY, caller);
        return;
    }
    replica_begin_answer(progress->seat, frame, FRAME_OK, &answer);
    frame_add_moved(moved, &answer);
    replica_send_answer(caller, 1, &answer);
}
