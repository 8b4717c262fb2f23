/*
 * Member after member is a source: one exchange with each brings over all
 * that it has of the partitions that are not done. What a look at a partition
 * found missing is looked at again, until a look finds nothing or has been
 * repeated often enough: new writes can keep two busy owners apart for ever,
 * and one whole look after the barrier is what safety needs.
 */
#include "replication/transfer.h"

#include "base/owner.h"
#include "replication/ring_plan.h"

#include <stdlib.h>

enum { LOOKS_MAX = 3 };

struct transfer_part {
    bool moves_here;
    bool is_done;
    uint8_t from;    /* Its place among the owners: who loses it. */
    uint8_t sources; /* Places of those that we have all of: bits. */
    uint8_t looks;   /* At the source at hand. */
};

static void rest(struct transfer *transfer, uint64_t delay_ms)
{
    struct env *env = transfer->seat->env;

    if (!transfer->is_stopped && !transfer->is_busy)
        env->ops->timer_set(env, &transfer->timer, delay_ms);
}

/* The member's place among the current owners, or -1. */
static int place_of(const struct ring *ring, unsigned partition,
                    unsigned member)
{
    const uint16_t *owners = ring_owners_of(ring, partition);

    for (unsigned i = 0; i < ring->copies; i++)
        if (owners[i] == member)
            return (int)i;
    return -1;
}

/* So many owners have one in common with every majority of them. */
static unsigned needed(const struct ring *ring)
{
    return ring->copies - ring->copies / 2;
}

static unsigned count_bits(unsigned bits)
{
    unsigned count = 0;

    for (; bits != 0; bits &= bits - 1)
        count++;
    return count;
}

static void show(struct transfer *transfer)
{
    gauge_set(&transfer->stats.total, transfer->total);
    gauge_set(&transfer->stats.done, transfer->done);
}

/* What the exchange has fetched since it was asked last. */
static void note_fetched(struct transfer *transfer)
{
    const struct exchange *exchange = &transfer->exchange;
    uint64_t records = exchange->fetched - transfer->noted;
    uint64_t bytes = exchange->bytes - transfer->noted_bytes;

    transfer->noted = exchange->fetched;
    transfer->noted_bytes = exchange->bytes;
    transfer->fetched += records;
    transfer->bytes += bytes;
    counter_add(&transfer->stats.fetched, records);
    counter_add(&transfer->stats.bytes, bytes);
}

/* Fetching. */

static bool is_wanted(const struct transfer *transfer, unsigned partition,
                      unsigned member)
{
    const struct transfer_part *part = &transfer->parts[partition];
    int place;

    if (!part->moves_here || part->is_done)
        return false;
    place = place_of(transfer->ring, partition, member);
    return place >= 0 && (part->sources & 1u << place) == 0;
}

static bool wants(struct exchange *exchange, unsigned partition)
{
    struct transfer *transfer = OWNER(exchange, struct transfer, exchange);

    return is_wanted(transfer, partition, transfer->source);
}

static void judge(struct transfer *transfer, unsigned partition);

static void has(struct exchange *exchange, unsigned partition, unsigned fetched)
{
    struct transfer *transfer = OWNER(exchange, struct transfer, exchange);
    struct transfer_part *part = &transfer->parts[partition];
    int place = place_of(transfer->ring, partition, transfer->source);

    note_fetched(transfer);
    if (fetched > 0 && ++part->looks < LOOKS_MAX)
        return;
    part->sources |= (uint8_t)(1u << place);
    part->looks = 0;
    transfer->looks++;
    counter_add(&transfer->stats.looks, 1);
    judge(transfer, partition);
}

static bool is_any_wanted(const struct transfer *transfer, unsigned member)
{
    for (unsigned p = 0; p < ring_partitions(transfer->ring); p++)
        if (is_wanted(transfer, p, member))
            return true;
    return false;
}

static void judge(struct transfer *transfer, unsigned partition)
{
    struct transfer_part *part = &transfer->parts[partition];
    unsigned loser = ring_owners_of(transfer->ring, partition)[part->from];

    if (!part->moves_here || part->is_done ||
        count_bits(part->sources) < needed(transfer->ring) ||
        ((part->sources & 1u << part->from) == 0 && !transfer->deaf[loser]))
        return;
    part->is_done = true;
    transfer->done++;
    show(transfer);
}

static void on_done(struct exchange *exchange)
{
    struct transfer *transfer = OWNER(exchange, struct transfer, exchange);

    transfer->is_busy = false;
    note_fetched(transfer);
    counter_add(&transfer->stats.failures, exchange->status != KIST_OK);
    if (transfer->ring == NULL || transfer->ring != transfer->seat->ring) {
        rest(transfer, 0);
        return;
    }
    transfer->deaf[transfer->source] =
        exchange->status == KIST_IO || exchange->status == KIST_NOT_FOUND;
    for (unsigned p = 0; p < ring_partitions(transfer->ring); p++)
        judge(transfer, p);
    if (exchange->status != KIST_OK)
        transfer->source++;
    rest(transfer, 0);
}

static enum kist_status fetch(struct transfer *transfer)
{
    transfer->noted = transfer->noted_bytes = 0;
    transfer->exchange = (struct exchange){
        .peer = transfer->ring->members[transfer->source].incarnation,
        .timeout_ms = transfer->timeout_ms,
        .done = on_done,
        .wants = wants,
        .has = has,
        .bytes_per_s = transfer->bytes_per_s,
    };
    return exchange_start(&transfer->exchange, transfer->seat);
}

/* Which partitions. */

static void forget(struct transfer *transfer)
{
    ring_free(transfer->ring);
    free(transfer->parts);
    free(transfer->deaf);
    transfer->ring = NULL;
    transfer->parts = NULL;
    transfer->deaf = NULL;
    transfer->total = transfer->done = transfer->source = 0;
    transfer->looks = 0;
    transfer->fetched = transfer->bytes = 0;
    show(transfer);
}

static void note_moves(struct transfer *transfer)
{
    const struct ring *ring = transfer->ring;
    struct ring_move move;
    unsigned partition = 0;

    while (ring_plan_next_move(ring, &partition, &move)) {
        struct transfer_part *part = &transfer->parts[move.partition];

        if (ring->members[move.to].incarnation != transfer->seat->env->self)
            continue;
        part->moves_here = true;
        part->from = (uint8_t)place_of(ring, move.partition, move.from);
    }
}

static enum kist_status begin(struct transfer *transfer)
{
    const struct ring *ring = transfer->seat->ring;
    struct transfer_part *parts =
        calloc(ring_partitions(ring), sizeof(*transfer->parts));
    bool *deaf = calloc(ring->member_count, sizeof(*transfer->deaf));

    if (parts == NULL || deaf == NULL) {
        free(parts);
        free(deaf);
        return KIST_NO_MEMORY;
    }
    transfer->parts = parts;
    transfer->deaf = deaf;
    transfer->ring = ring_share(ring);
    note_moves(transfer);
    return KIST_OK;
}

/* One source after the other. */

static void on_timer(struct env_timer *timer)
{
    struct transfer *transfer = OWNER(timer, struct transfer, timer);
    const struct ring *ring = transfer->seat->ring;

    if (transfer->done == transfer->total)
        return;
    if (transfer->ring == NULL && begin(transfer) != KIST_OK) {
        rest(transfer, transfer->retry_ms);
        return;
    }
    while (transfer->source < ring->member_count &&
           !is_any_wanted(transfer, transfer->source))
        transfer->source++;
    if (transfer->source == ring->member_count) {
        transfer->source = 0;
        rest(transfer, transfer->retry_ms);
        return;
    }
    transfer->is_busy = fetch(transfer) == KIST_OK;
    if (!transfer->is_busy) {
        transfer->source++;
        rest(transfer, transfer->retry_ms);
    }
}

void transfer_follow(struct transfer *transfer)
{
    struct seat *seat = transfer->seat;

    forget(transfer);
    transfer->total = transfer_count(seat->ring, seat->env->self);
    transfer->began_ms = seat->env->ops->mono_ms(seat->env);
    show(transfer);
    transfer->timer.fire = on_timer;
    if (transfer->total > 0)
        rest(transfer, 0); /* If busy with an older ring: when that is over. */
}

unsigned transfer_count(const struct ring *ring, uint64_t incarnation)
{
    unsigned partition = 0, count = 0;
    struct ring_move move;

    while (ring_plan_next_move(ring, &partition, &move))
        count += ring->members[move.to].incarnation == incarnation;
    return count;
}

/* The loser may have to be asked besides: then there are more looks. */
struct frame_moved transfer_moved(const struct transfer *transfer)
{
    const struct seat *seat = transfer->seat;
    uint64_t looks = (uint64_t)transfer->total * needed(seat->ring);
    uint64_t left = transfer->total - transfer->done;

    if (transfer->looks + left > looks)
        looks = transfer->looks + left;
    return (struct frame_moved){
        .total = transfer->total,
        .done = transfer->done,
        .looks_total = left == 0 ? transfer->looks : looks,
        .looks = transfer->looks,
        .records = transfer->fetched,
        .bytes = transfer->bytes,
        .time_ms = seat->env->ops->mono_ms(seat->env) - transfer->began_ms,
    };
}

void transfer_stop(struct transfer *transfer)
{
    transfer->is_stopped = true;
    transfer->seat->env->ops->timer_stop(transfer->seat->env, &transfer->timer);
}

void transfer_clear(struct transfer *transfer)
{
    forget(transfer);
    transfer->is_stopped = false;
}
