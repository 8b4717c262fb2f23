#include "replication/outbox.h"

void outbox_init(struct outbox *outbox, size_t limit_bytes)
{
    outbox->limit_bytes = limit_bytes;
    outbox->bytes = 0;
    outbox->expired = 0;
    for (unsigned i = 0; i < OUTBOX_LANES; i++) {
        outbox->lanes[i].first = NULL;
        outbox->lanes[i].last = &outbox->lanes[i].first;
    }
}

static enum outbox_lane lane_of(const struct env_call *call)
{
    switch (parcel_kind_of(call)) {
    case FRAME_PUSH:
        return OUTBOX_PUSHES;
    case FRAME_FETCH:
        return OUTBOX_FETCHES;
    case FRAME_SUMS:
    case FRAME_LIST:
    case FRAME_SCAN:
        return OUTBOX_READS;
    case FRAME_BEAT:
    case FRAME_RING:
    case FRAME_ADOPT:
    case FRAME_PREPARE:
    case FRAME_ACCEPT:
    case FRAME_MOVES:
    case FRAME_FLOOR:
        break;
    }
    return OUTBOX_MEMBERS;
}

static void append(struct outbox *outbox, enum outbox_lane lane,
                   struct env_call *call)
{
    struct outbox_queue *queue = &outbox->lanes[lane];

    call->next = NULL;
    *queue->last = call;
    queue->last = &call->next;
    outbox->bytes += call->message.size;
}

bool outbox_add(struct outbox *outbox, struct env_call *call, uint64_t now_ms)
{
    enum outbox_lane lane = lane_of(call);

    /* A message of any size may wait alone, else it never could. */
    if (outbox->bytes > 0 && lane != OUTBOX_MEMBERS &&
        outbox->bytes + call->message.size > outbox->limit_bytes)
        return false;
    call->deadline_ms = now_ms + call->timeout_ms;
    append(outbox, lane, call);
    return true;
}

void outbox_take(struct outbox *outbox, enum outbox_lane lane,
                 struct parcel *parcel)
{
    struct outbox_queue *queue = &outbox->lanes[lane];

    while (queue->first != NULL && parcel->count < FRAME_ITEMS_MAX) {
        struct env_call *call = queue->first;
        struct env_call *next = call->next;

        if (!parcel_add(parcel, call))
            return;
        queue->first = next;
        if (next == NULL)
            queue->last = &queue->first;
        outbox->bytes -= call->message.size;
    }
}

/* Those of a lane whose time is over are told; the others wait on. */
static uint64_t expire_lane(struct outbox *outbox, enum outbox_lane lane,
                            uint64_t now_ms)
{
    struct outbox_queue *queue = &outbox->lanes[lane];
    struct env_call *call = queue->first;
    uint64_t earliest_ms = UINT64_MAX;

    queue->first = NULL;
    queue->last = &queue->first;
    while (call != NULL) {
        struct env_call *next = call->next;

        outbox->bytes -= call->message.size;
        if (call->deadline_ms <= now_ms) {
            outbox->expired++;
            call->done(call, ENV_NOT_SENT, (struct view){0});
        } else {
            append(outbox, lane, call);
            if (call->deadline_ms < earliest_ms)
                earliest_ms = call->deadline_ms;
        }
        call = next;
    }
    return earliest_ms;
}

uint64_t outbox_expire(struct outbox *outbox, uint64_t now_ms)
{
    uint64_t earliest_ms = UINT64_MAX;

    for (unsigned lane = 0; lane < OUTBOX_LANES; lane++) {
        uint64_t of_lane_ms = expire_lane(outbox, lane, now_ms);

        if (of_lane_ms < earliest_ms)
            earliest_ms = of_lane_ms;
    }
    return earliest_ms;
}
