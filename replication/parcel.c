#include "replication/parcel.h"

#include <assert.h>
#include <string.h>

/* In a frame's head (replication/frame.h). */
enum {
    AT_KIND = 3,
    AT_ITEMS = 6,
    AT_CLUSTER = 8,
    AT_WALL = 48,
    AT_BUDGET = 56,
    CHECKSUM_SIZE = 8,
};

enum frame_kind parcel_kind_of(const struct env_call *call)
{
    return (enum frame_kind)call->message.data[AT_KIND];
}

static unsigned most_items(enum frame_kind kind)
{
    switch (kind) {
    case FRAME_PUSH:
        return FRAME_ITEMS_MAX;
    case FRAME_FETCH:
        return FRAME_FETCHED_MIN; /* Every one of them is answered. */
    case FRAME_SUMS:
    case FRAME_LIST:
    case FRAME_SCAN:
    case FRAME_BEAT:
    case FRAME_RING:
    case FRAME_ADOPT:
    case FRAME_PREPARE:
    case FRAME_ACCEPT:
    case FRAME_MOVES:
    case FRAME_FLOOR:
        break;
    }
    return 0; /* It goes alone. */
}

/* The same kind, the same ring, from and to the same. */
static bool is_alike(const char *a, const char *b)
{
    return memcmp(a, b, AT_ITEMS) == 0 &&
           memcmp(a + AT_CLUSTER, b + AT_CLUSTER, AT_WALL - AT_CLUSTER) == 0;
}

bool parcel_add(struct parcel *parcel, struct env_call *call)
{
    struct view message = call->message;
    unsigned items = read_u16(message.data + AT_ITEMS);

    assert(message.size >= FRAME_HEAD_SIZE + CHECKSUM_SIZE);
    if (parcel->count > 0 &&
        (!is_alike(parcel->body.data, message.data) ||
         parcel->items + items > most_items(parcel_kind_of(call)) ||
         parcel->body.size + message.size > PARCEL_BYTES))
        return false;
    if (parcel->count == 0)
        blob_append(&parcel->body,
                    (struct view){message.data, FRAME_HEAD_SIZE});
    blob_append(&parcel->body,
                (struct view){message.data + FRAME_HEAD_SIZE,
                              message.size - FRAME_HEAD_SIZE - CHECKSUM_SIZE});
    parcel->parts[parcel->count++] = (struct parcel_part){call, items};
    parcel->items += items;
    parcel->waiting++;
    return true;
}

enum kist_status parcel_seal(struct parcel *parcel, uint64_t now_ms)
{
    uint64_t budget_ms = 1;

    for (unsigned i = 0; i < parcel->count; i++) {
        uint64_t deadline_ms = parcel->parts[i].call->deadline_ms;

        if (deadline_ms > now_ms + budget_ms)
            budget_ms = deadline_ms - now_ms;
    }
    if (parcel->body.failed)
        return KIST_NO_MEMORY;
    if (budget_ms > UINT32_MAX)
        budget_ms = UINT32_MAX;
    for (unsigned i = 0; i < 4; i++)
        parcel->body.data[AT_BUDGET + i] = (char)(budget_ms >> (24 - 8 * i));
    frame_seal(parcel->items, &parcel->body);
    return parcel->body.failed ? KIST_NO_MEMORY : KIST_OK;
}

/* Telling. */

static void tell(struct parcel *parcel, unsigned part, enum env_outcome outcome,
                 struct view answer)
{
    struct env_call *call = parcel->parts[part].call;

    if (call == NULL)
        return;
    parcel->parts[part].call = NULL;
    parcel->waiting--;
    call->done(call, outcome, answer);
}

static void tell_all(struct parcel *parcel, enum env_outcome outcome,
                     struct view answer)
{
    for (unsigned i = 0; i < parcel->count; i++)
        tell(parcel, i, outcome, answer);
}

/* Each part gets a frame with its own items. */
static void tell_apart(struct parcel *parcel, const struct frame *frame)
{
    struct blob part = BLOB_EMPTY;
    struct view body = frame->body, items;

    for (unsigned i = 0; i < parcel->count; i++) {
        enum env_outcome outcome = ENV_LOST;

        blob_clear(&part);
        if (frame_next_answers(frame->kind, &body, parcel->parts[i].items,
                               &items) == KIST_OK) {
            frame_begin(frame, &part);
            blob_append(&part, items);
            frame_seal(parcel->parts[i].items, &part);
            outcome = part.failed ? ENV_LOST : ENV_ANSWERED;
        } else {
            body.size = 0; /* Nor is anything behind it to be found. */
        }
        tell(parcel, i, outcome,
             outcome == ENV_ANSWERED ? blob_view(&part) : (struct view){0});
    }
    blob_free(&part);
}

void parcel_finish(struct parcel *parcel, enum env_outcome outcome,
                   struct view answer)
{
    struct frame frame;

    if (outcome != ENV_ANSWERED)
        tell_all(parcel, outcome, (struct view){0});
    else if (parcel->count == 1)
        tell(parcel, 0, ENV_ANSWERED, answer);
    else if (frame_decode(answer, &frame) != KIST_OK || !frame.answer)
        tell_all(parcel, ENV_LOST, (struct view){0});
    else if (frame.status != FRAME_OK && frame.items == 0)
        tell_all(parcel, ENV_ANSWERED, answer); /* Refused as a whole. */
    else if (frame.items != parcel->items)
        tell_all(parcel, ENV_LOST, (struct view){0});
    else
        tell_apart(parcel, &frame);
    assert(parcel->waiting == 0);
    parcel->count = parcel->items = 0;
    blob_clear(&parcel->body);
}

uint64_t parcel_expire(struct parcel *parcel, uint64_t now_ms,
                       enum env_outcome outcome)
{
    uint64_t earliest_ms = UINT64_MAX;

    for (unsigned i = 0; i < parcel->count; i++) {
        const struct env_call *call = parcel->parts[i].call;

        if (call == NULL)
            continue;
        if (call->deadline_ms <= now_ms)
            tell(parcel, i, outcome, (struct view){0});
        else if (call->deadline_ms < earliest_ms)
            earliest_ms = call->deadline_ms;
    }
    return earliest_ms;
}
