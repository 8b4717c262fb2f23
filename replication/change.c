#include "replication/change.h"

#include "base/owner.h"
#include "replication/ring_bytes.h"

#include <assert.h>
#include <stdlib.h>

/* How much more seldom each later driver looks than the one before it. */
#define DRIVER_STEP 4

static struct env *env_of(const struct change *change)
{
    return change->seat->env;
}

static void rest(struct change *change);

static void adopt(struct change *change, struct view bytes);

static void on_heard(struct herald *herald, struct view ring)
{
    adopt(OWNER(herald, struct change, herald), ring);
}

void change_notice(struct change *change, uint64_t incarnation, uint64_t epoch)
{
    const struct ring *ring = change->seat->ring;

    if (epoch > ring->epoch && change->coming == NULL)
        herald_ask(&change->herald, incarnation);
    else if (epoch < ring->epoch)
        herald_tell(&change->herald, ring, incarnation, ring->epoch,
                    blob_view(&change->bytes));
}

/* Following. */

static void let_go(struct change *change)
{
    ring_free(change->coming);
    change->coming = NULL;
    blob_clear(&change->coming_bytes);
}

static void go_on(struct change *change)
{
    struct blob bytes = change->bytes;

    seat_adopt(change->seat, change->coming,
               ring_bytes_digest(blob_view(&change->coming_bytes)));
    change->coming = NULL;
    change->bytes = change->coming_bytes;
    change->coming_bytes = bytes;
    transfer_follow(&change->transfer);
    if (change->adopted != NULL)
        change->adopted(change);
    rest(change);
}

static void on_kept(struct env_keep *keep, enum kist_status status)
{
    struct change *change = OWNER(keep, struct change, keep);

    if (status == KIST_OK)
        go_on(change);
    else
        let_go(change); /* Peers will speak of it again. */
}

/* Whether it moves to us, who may have had it before. */
static bool is_to_drop(struct change *change, unsigned partition)
{
    const struct ring *ring = change->coming;
    struct env_part part = {partition, ENV_ALL_LEAVES};
    struct bucket_sum none = {0};

    return ring_rows_of(ring, partition, ring->copies, env_of(change)->self) ==
               RING_NEXT &&
           !bucket_sum_equal(env_of(change)->ops->sum(env_of(change), part),
                             none);
}

static void on_dropped(struct env_drop *drop, enum kist_status status);

static void prepare(struct change *change)
{
    struct env *env = env_of(change);
    unsigned partitions = ring_partitions(change->coming);

    while (change->partition < partitions &&
           !is_to_drop(change, change->partition))
        change->partition++;
    if (change->partition < partitions) {
        change->drop = (struct env_drop){.partition = change->partition++,
                                         .done = on_dropped};
        env->ops->drop(env, &change->drop);
        return;
    }
    change->keep = (struct env_keep){.name = VIEW_LITERAL(CHANGE_NAME),
                                     .bytes = blob_view(&change->coming_bytes),
                                     .done = on_kept};
    env->ops->keep(env, &change->keep);
}

static void on_dropped(struct env_drop *drop, enum kist_status status)
{
    struct change *change = OWNER(drop, struct change, drop);

    if (status == KIST_OK)
        prepare(change);
    else
        let_go(change);
}

/* Whether this node may follow it: the same cluster, or the first it is in. */
static bool is_newer(const struct change *change, const struct ring *ring)
{
    const struct ring *now = change->seat->ring;

    if (now->epoch == 0)
        return ring_find_incarnation(ring, env_of(change)->self) >= 0;
    return ring->cluster == now->cluster && ring->epoch > now->epoch;
}

/* A ring that was decided on. Another one that is coming is waited for. */
static void adopt(struct change *change, struct view bytes)
{
    struct ring *ring;

    if (change->coming != NULL || change->is_stopped ||
        ring_bytes_decode(bytes, &ring) != KIST_OK)
        return;
    blob_clear(&change->coming_bytes);
    blob_append(&change->coming_bytes, bytes);
    if (!is_newer(change, ring) || change->coming_bytes.failed) {
        ring_free(ring);
        return;
    }
    change->coming = ring;
    change->partition = 0;
    prepare(change);
}

void change_learn(struct change *change, struct view ring)
{
    adopt(change, ring);
}

/* Driving. */

/* Who comes, who stays and who goes hears of it from us. */
static void tell(struct change *change, struct view bytes)
{
    const struct ring *before = change->seat->ring;
    struct ring *ring;

    if (ring_bytes_decode(bytes, &ring) != KIST_OK)
        return;
    for (unsigned i = 0; i < ring->member_count; i++)
        herald_tell(&change->herald, ring, ring->members[i].incarnation,
                    ring->epoch, bytes);
    for (unsigned i = 0; i < before->member_count; i++)
        herald_tell(&change->herald, before, before->members[i].incarnation,
                    ring->epoch, bytes);
    ring_free(ring);
}

static void remember(struct change *change, struct view proposed, bool is_asked)
{
    change->proposed = ring_bytes_digest(proposed);
    change->is_asked = is_asked;
}

/*
 * Who proposed what we have accepted may be gone, and nobody else would ever
 * say whether it was decided on: that is asked by proposing it once more.
 */
static void reopen(struct change *change)
{
    struct view ring;

    if (change->coming == NULL && decree_is_open(&change->decree, &ring) &&
        decree_propose(&change->decree, ring) == KIST_OK)
        remember(change, ring, false);
}

static void on_decided(struct decree *decree, enum kist_status status,
                       struct view ring)
{
    struct change *change = OWNER(decree, struct change, decree);
    bool was_asked = change->is_asked;

    change->is_asked = false;
    if (status == KIST_OK) {
        tell(change, ring);
        adopt(change, ring);
        if (ring_bytes_digest(ring) != change->proposed)
            status = KIST_CONFLICT;
    }
    rest(change);
    if (was_asked && change->settled != NULL)
        change->settled(change, status);
}

/* Takes the ring. */
static enum kist_status propose(struct change *change, const struct ring *ring,
                                bool is_asked)
{
    struct blob bytes = BLOB_EMPTY;
    enum kist_status status = KIST_NO_MEMORY;

    ring_bytes_encode(ring, &bytes);
    ring_free(ring);
    if (!bytes.failed)
        status = decree_propose(&change->decree, blob_view(&bytes));
    if (status == KIST_OK)
        remember(change, blob_view(&bytes), is_asked);
    blob_free(&bytes);
    return status;
}

enum kist_status change_plan(struct change *change,
                             const struct ring_change *what)
{
    struct ring *planned;
    enum kist_status status;

    if (!change->seat->is_member || change->coming != NULL)
        return KIST_BUSY;
    status = ring_plan_change(change->seat->ring, what, &planned);
    return status == KIST_OK ? propose(change, planned, true) : status;
}

enum kist_status change_abort(struct change *change)
{
    struct ring *planned;
    enum kist_status status;

    if (change->seat->ring->next == NULL)
        return KIST_CONFLICT;
    if (!change->seat->is_member || change->coming != NULL)
        return KIST_BUSY;
    status = ring_plan_abort(change->seat->ring, &planned);
    return status == KIST_OK ? propose(change, planned, true) : status;
}

/* Everything that moves has moved. If this fails, there is a next time. */
static void on_complete(struct progress *progress)
{
    struct change *change = OWNER(progress, struct change, progress);
    struct ring *finished;
    enum kist_status status = ring_plan_finish(change->seat->ring, &finished);

    if (status == KIST_OK)
        status = propose(change, finished, false);
    (void)status;
}

/* Who is about to join has no peers that could tell it. */
static void on_behind(struct progress *progress, uint64_t incarnation)
{
    struct change *change = OWNER(progress, struct change, progress);
    const struct ring *ring = change->seat->ring;

    herald_tell(&change->herald, ring, incarnation, ring->epoch,
                blob_view(&change->bytes));
}

static void on_floor_heard(struct progress *progress, uint64_t level)
{
    struct change *change = OWNER(progress, struct change, progress);

    if (change->floor_heard != NULL)
        change->floor_heard(change, level);
}

/* How many members that may be expected come before us; none: we are first. */
static unsigned rank_of(const struct change *change)
{
    const struct ring *ring = change->seat->ring;
    unsigned rank = 0;

    for (unsigned i = 0; i < ring->member_count; i++) {
        const struct ring_member *member = &ring->members[i];

        if (member->incarnation == env_of(change)->self)
            break;
        rank += member->standing == RING_STEADY &&
                seat_expects(change->seat, member->incarnation);
    }
    return rank;
}

static bool is_driver(const struct change *change)
{
    const struct ring *ring = change->seat->ring;
    int self = ring_find_incarnation(ring, env_of(change)->self);

    return self >= 0 && ring->members[self].standing == RING_STEADY;
}

static void rest(struct change *change)
{
    struct env *env = env_of(change);
    uint64_t mean_ms = change->tick_ms * (1 + DRIVER_STEP * rank_of(change));
    struct view open;

    if (change->is_stopped || (change->seat->ring->next == NULL &&
                               !decree_is_open(&change->decree, &open)))
        return;
    env->ops->timer_set(env, &change->tick,
                        mean_ms / 2 + env->ops->random(env) % (mean_ms + 1));
}

/* Who comes or goes may be no member any more, and then nobody tells it. */
static void ask_anybody(struct change *change)
{
    const struct ring *ring = change->seat->ring;
    struct env *env = env_of(change);
    uint64_t member = env->ops->random(env) % ring->member_count;

    herald_ask(&change->herald, ring->members[member].incarnation);
}

static void on_tick(struct env_timer *timer)
{
    struct change *change = OWNER(timer, struct change, tick);

    if (is_driver(change))
        reopen(change);
    if (change->seat->ring->next == NULL) {
        rest(change);
        return;
    }
    if (is_driver(change) && change->coming == NULL)
        progress_look(&change->progress);
    else if (!is_driver(change))
        ask_anybody(change);
    rest(change);
}

/* Answering. */

static void answer_ring(struct change *change, const struct frame *frame,
                        struct replica_caller *caller)
{
    struct blob answer = BLOB_EMPTY;

    replica_begin_answer(change->seat, frame, FRAME_OK, &answer);
    frame_add_ring(blob_view(&change->bytes), &answer);
    replica_send_answer(caller, 1, &answer);
}

static void answer_adopt(struct change *change, const struct frame *frame,
                         struct replica_caller *caller)
{
    struct view body = frame->body, ring;
    struct blob answer = BLOB_EMPTY;

    if (frame_next_ring(&body, &ring) != KIST_OK) {
        replica_refuse(change->seat, frame, FRAME_BAD, caller);
        return;
    }
    adopt(change, ring);
    replica_begin_answer(change->seat, frame, FRAME_OK, &answer);
    replica_send_answer(caller, 0, &answer);
}

void change_receive(struct change *change, const struct frame *frame,
                    struct replica_caller *caller)
{
    switch (frame->kind) {
    case FRAME_RING:
        answer_ring(change, frame, caller);
        break;
    case FRAME_ADOPT:
        answer_adopt(change, frame, caller);
        break;
    case FRAME_PREPARE:
    case FRAME_ACCEPT:
        decree_receive(&change->decree, frame, caller);
        rest(change);
        break;
    case FRAME_MOVES:
        progress_receive(&change->progress, frame, caller);
        break;
    case FRAME_PUSH:
    case FRAME_FETCH:
    case FRAME_SUMS:
    case FRAME_LIST:
    case FRAME_SCAN:
    case FRAME_FLOOR:
    case FRAME_BEAT:
        assert(false); /* Not about rings. */
    }
}

/* Start and stop. */

/* Of epoch 0: nobody is at it but us, who wait to be taken in. */
static enum kist_status make_alone(struct change *change,
                                   const struct ring **out_ring)
{
    struct ring_member self = {.name = VIEW_LITERAL("-"),
                               .incarnation = env_of(change)->self};
    struct ring shape = {.copies = 1, .member_count = 1, .members = &self};
    struct ring *ring;
    enum kist_status status = ring_new(&shape, false, &ring);

    if (status != KIST_OK)
        return status;
    ring->owners[0] = 0;
    *out_ring = ring;
    return KIST_OK;
}

static enum kist_status find_ring(struct change *change, struct view kept,
                                  const struct ring *first,
                                  const struct ring **out_ring)
{
    struct ring *found;
    enum kist_status status;

    if (kept.size == 0 && first == NULL)
        return make_alone(change, out_ring);
    if (kept.size == 0) {
        *out_ring = first;
        return KIST_OK;
    }
    ring_free(first);
    status = ring_bytes_decode(kept, &found);
    if (status == KIST_OK)
        *out_ring = found;
    return status;
}

static void begin(struct change *change, const struct ring *ring)
{
    struct seat *seat = change->seat;

    seat_adopt(seat, ring, ring_bytes_digest(blob_view(&change->bytes)));
    change->decree.seat = seat;
    change->decree.timeout_ms = change->timeout_ms;
    change->decree.decided = on_decided;
    change->herald.seat = seat;
    change->herald.timeout_ms = change->timeout_ms;
    change->herald.stay_ms = change->tick_ms;
    change->herald.heard = on_heard;
    change->transfer.seat = seat;
    change->transfer.timeout_ms = change->timeout_ms;
    change->transfer.retry_ms = change->tick_ms;
    change->transfer.bytes_per_s = change->bytes_per_s;
    change->progress.seat = seat;
    change->progress.transfer = &change->transfer;
    change->progress.timeout_ms = change->timeout_ms;
    change->progress.complete = on_complete;
    change->progress.behind = on_behind;
    change->progress.floor_heard = on_floor_heard;
    change->is_stopped = false;
    change->tick = (struct env_timer){.fire = on_tick};
    transfer_follow(&change->transfer);
    rest(change);
}

enum kist_status change_start(struct change *change, struct view kept_ring,
                              struct view kept_decree, const struct ring *first)
{
    const struct ring *ring;
    enum kist_status status = find_ring(change, kept_ring, first, &ring);

    if (status != KIST_OK)
        return status;
    ring_bytes_encode(ring, &change->bytes);
    status = decree_start(&change->decree, kept_decree);
    if (status == KIST_OK && change->bytes.failed)
        status = KIST_NO_MEMORY;
    if (status != KIST_OK) {
        ring_free(ring);
        change_clear(change);
        return status;
    }
    begin(change, ring);
    return KIST_OK;
}

void change_set_rate(struct change *change, uint64_t bytes_per_s)
{
    change->bytes_per_s = change->transfer.bytes_per_s = bytes_per_s;
    change->transfer.exchange.bytes_per_s = bytes_per_s;
}

void change_stop(struct change *change)
{
    struct env *env = env_of(change);

    change->is_stopped = true;
    env->ops->timer_stop(env, &change->tick);
    transfer_stop(&change->transfer);
    herald_stop(&change->herald);
}

void change_clear(struct change *change)
{
    assert(change->coming == NULL);
    progress_clear(&change->progress);
    herald_clear(&change->herald);
    decree_clear(&change->decree);
    transfer_clear(&change->transfer);
    blob_free(&change->bytes);
    blob_free(&change->coming_bytes);
}
