#include "replication/floor.h"

#include "base/owner.h"

#include <assert.h>
#include <stdlib.h>

enum {
    KEPT_SIZE = 24,
    PATIENCE = 100, /* Looks, before it is begun anew. */
    SETTLE_MS = 2,  /* Between looks whether all seats have a level. */
};

static struct env *env_of(const struct floor *floor)
{
    return floor->seat->env;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/*
 * Purging: partition after partition, round and round: a floor that is raised
 * before a pass is through must not begin it anew, or the last partitions would
 * have no turn.
 */

static void purge(struct floor *floor);

static void next_to_purge(struct floor *floor)
{
    floor->partition =
        (floor->partition + 1) % ring_partitions(floor->seat->ring);
    floor->to_purge--;
}

/* All of them, and again the one whose purge is under way. */
static void purge_all(struct floor *floor)
{
    floor->to_purge =
        ring_partitions(floor->seat->ring) + (unsigned)floor->is_purging;
    purge(floor);
}

static void on_purged(struct env_drop *drop, enum kist_status status)
{
    struct floor *floor = OWNER(drop, struct floor, drop);

    floor->is_purging = false;
    counter_add(&floor->stats.purged, drop->removed);
    if (floor->is_stopped)
        return;
    if (status == KIST_OK) {
        next_to_purge(floor);
        purge(floor);
        return;
    }
    env_of(floor)->ops->timer_set(env_of(floor), &floor->later, floor->tick_ms);
}

static void on_later(struct env_timer *timer)
{
    purge(OWNER(timer, struct floor, later));
}

static void purge(struct floor *floor)
{
    const struct ring *ring = floor->seat->ring;
    uint64_t self = env_of(floor)->self;

    if (floor->is_purging || floor->is_stopped)
        return;
    if (floor->partition >= ring_partitions(ring))
        floor->partition = 0;
    while (floor->to_purge > 0 && !ring_is_owner(ring, floor->partition, self))
        next_to_purge(floor);
    if (floor->to_purge == 0 || floor->levels.purge == 0)
        return;
    floor->is_purging = true;
    floor->drop = (struct env_drop){.partition = floor->partition,
                                    .floor = {floor->levels.purge, 0},
                                    .done = on_purged};
    env_of(floor)->ops->drop(env_of(floor), &floor->drop);
}

/* Levels, durable before anybody hears of them. */

static void say(struct floor *floor, const struct frame *frame,
                enum frame_floor_said said, struct replica_caller *caller)
{
    struct blob answer = BLOB_EMPTY;

    replica_begin_answer(floor->seat, frame, FRAME_OK, &answer);
    frame_add_floor_said(said, &answer);
    replica_send_answer(caller, 1, &answer);
}

static void hold_to_levels(struct floor *floor)
{
    seat_hold(floor->seat, (struct version){floor->levels.fence, 0},
              (struct version){floor->levels.floor, 0});
    gauge_set(&floor->stats.floor_ms, (int64_t)(floor->levels.floor >> 16));
    if (floor->raised != NULL)
        floor->raised(floor);
}

/* Whoever asked for the levels that are coming, or were, is answered. */
static void end_keeping(struct floor *floor, enum kist_status status)
{
    struct replica_caller *caller = floor->caller;

    floor->is_keeping = false;
    floor->caller = NULL;
    if (caller == NULL)
        return;
    if (status == KIST_OK)
        say(floor, &floor->asked, FRAME_FLOOR_YES, caller);
    else
        replica_refuse(floor->seat, &floor->asked, FRAME_BUSY, caller);
}

static void settle(struct floor *floor)
{
    struct env *env = env_of(floor);

    if (floor->is_stopped)
        end_keeping(floor, KIST_BUSY);
    else if (seat_is_drained(floor->seat))
        end_keeping(floor, KIST_OK);
    else
        env->ops->timer_set(env, &floor->settle, SETTLE_MS);
}

static void on_settle(struct env_timer *timer)
{
    settle(OWNER(timer, struct floor, settle));
}

static void on_kept(struct env_keep *keep, enum kist_status status)
{
    struct floor *floor = OWNER(keep, struct floor, keep);
    bool is_purge = floor->coming.purge > floor->levels.purge;

    if (status != KIST_OK) {
        end_keeping(floor, status);
        return;
    }
    counter_add(&floor->stats.raised,
                floor->coming.floor > floor->levels.floor);
    floor->levels = floor->coming;
    hold_to_levels(floor);
    if (is_purge)
        purge_all(floor);
    settle(floor);
}

static void keep(struct floor *floor, const struct floor_levels *levels)
{
    struct env *env = env_of(floor);

    floor->coming = *levels;
    blob_clear(&floor->kept);
    blob_append_u64(&floor->kept, levels->fence);
    blob_append_u64(&floor->kept, levels->floor);
    blob_append_u64(&floor->kept, levels->purge);
    floor->is_keeping = true;
    floor->keep = (struct env_keep){.name = VIEW_LITERAL(FLOOR_NAME),
                                    .bytes = blob_view(&floor->kept),
                                    .done = on_kept};
    env->ops->keep(env, &floor->keep);
}

static enum kist_status read_kept(struct view kept, struct floor_levels *out)
{
    *out = (struct floor_levels){0};
    if (kept.size == 0)
        return KIST_OK;
    if (kept.size != KEPT_SIZE)
        return KIST_CORRUPT;
    out->fence = read_u64(kept.data);
    out->floor = read_u64(kept.data + 8);
    out->purge = read_u64(kept.data + 16);
    return out->purge <= out->floor && out->floor <= out->fence ? KIST_OK
                                                                : KIST_CORRUPT;
}

void floor_learn(struct floor *floor, uint64_t level)
{
    struct floor_levels levels = floor->levels;

    if (level <= levels.floor || floor->is_keeping || floor->is_stopped)
        return; /* It is said again. */
    levels.floor = level;
    levels.fence = larger(levels.fence, level);
    keep(floor, &levels);
}

/* Since the mark. */

void floor_compared(struct floor *floor, uint64_t peer, uint64_t began_ms)
{
    if (floor->mark == 0 || began_ms <= floor->mark_ms)
        return;
    for (unsigned i = 0; i < floor->compared_count; i++)
        if (floor->compared[i] == peer)
            return;
    if (floor->compared_count < floor->compared_room)
        floor->compared[floor->compared_count++] = peer;
}

static bool set_mark(struct floor *floor, uint64_t level)
{
    unsigned count = floor->seat->ring->member_count;
    uint64_t *compared = calloc(count, sizeof(*compared));

    if (compared == NULL)
        return false;
    free(floor->compared);
    floor->compared = compared;
    floor->compared_room = count;
    floor->compared_count = 0;
    floor->mark = level;
    floor->mark_ms = env_of(floor)->ops->mono_ms(env_of(floor));
    return true;
}

static bool is_compared_with(const struct floor *floor, uint64_t peer)
{
    for (unsigned i = 0; i < floor->compared_count; i++)
        if (floor->compared[i] == peer)
            return true;
    return peer == env_of(floor)->self;
}

/* Every other owner of what this node owns. */
static bool is_compared_with_all(const struct floor *floor)
{
    const struct ring *ring = floor->seat->ring;

    for (unsigned p = 0; p < ring_partitions(ring); p++) {
        const uint16_t *owners = ring_owners_of(ring, p);

        if (!ring_is_owner(ring, p, env_of(floor)->self))
            continue;
        for (unsigned i = 0; i < ring->copies; i++)
            if (!is_compared_with(floor, ring->members[owners[i]].incarnation))
                return false;
    }
    return true;
}

/* Taking a step. */

static void raise(struct floor *floor, const struct frame *frame,
                  const struct floor_levels *levels,
                  struct replica_caller *caller)
{
    if (levels->fence == floor->levels.fence &&
        levels->floor == floor->levels.floor &&
        levels->purge == floor->levels.purge) {
        say(floor, frame, FRAME_FLOOR_YES, caller);
        return;
    }
    floor->caller = caller;
    floor->asked = *frame;
    keep(floor, levels);
}

static void take(struct floor *floor, const struct frame *frame,
                 const struct frame_floor *asked, struct replica_caller *caller)
{
    struct floor_levels levels = floor->levels;
    bool is_marked = floor->mark == asked->level;

    switch (asked->step) {
    case FRAME_FLOOR_FENCE:
        levels.fence = larger(levels.fence, asked->level);
        raise(floor, frame, &levels, caller);
        break;
    case FRAME_FLOOR_MARK:
        say(floor, frame,
            levels.fence >= asked->level && set_mark(floor, asked->level)
                ? FRAME_FLOOR_YES
                : FRAME_FLOOR_LOST,
            caller);
        break;
    case FRAME_FLOOR_COMPARED:
        say(floor, frame,
            !is_marked                    ? FRAME_FLOOR_LOST
            : is_compared_with_all(floor) ? FRAME_FLOOR_YES
                                          : FRAME_FLOOR_NO,
            caller);
        break;
    case FRAME_FLOOR_FLOOR:
        levels.floor = larger(levels.floor, asked->level);
        levels.fence = larger(levels.fence, asked->level);
        raise(floor, frame, &levels, caller);
        break;
    case FRAME_FLOOR_PURGE:
        if (levels.floor >= asked->level)
            levels.purge = larger(levels.purge, asked->level);
        raise(floor, frame, &levels, caller);
        break;
    }
}

void floor_receive(struct floor *floor, const struct frame *frame,
                   struct replica_caller *caller)
{
    struct view body = frame->body;
    struct frame_floor asked;

    if (frame_next_floor(&body, &asked) != KIST_OK)
        replica_refuse(floor->seat, frame, FRAME_BAD, caller);
    else if (floor->is_keeping || floor->seat->ring->next != NULL)
        replica_refuse(floor->seat, frame, FRAME_BUSY, caller);
    else
        take(floor, frame, &asked, caller);
}

/* Driving. */

static void ask_next(struct floor *floor);

static void rest(struct floor *floor)
{
    struct env *env = env_of(floor);

    if (!floor->is_stopped)
        env->ops->timer_set(env, &floor->tick, floor->tick_ms);
}

static void give_up(struct floor *floor)
{
    floor->level = 0;
}

static void go_to(struct floor *floor, enum frame_floor_step step)
{
    floor->step = step;
    floor->turn = 0;
}

static void next_step(struct floor *floor)
{
    switch (floor->step) {
    case FRAME_FLOOR_FENCE:
        go_to(floor, FRAME_FLOOR_MARK);
        break;
    case FRAME_FLOOR_MARK:
        go_to(floor, FRAME_FLOOR_COMPARED);
        break;
    case FRAME_FLOOR_COMPARED:
        go_to(floor, FRAME_FLOOR_FLOOR);
        break;
    case FRAME_FLOOR_FLOOR:
        go_to(floor, FRAME_FLOOR_PURGE);
        break;
    case FRAME_FLOOR_PURGE:
        give_up(floor); /* All is done. */
        break;
    }
}

static bool read_answer(struct view bytes, uint64_t from,
                        enum frame_floor_said *out_said)
{
    struct frame frame;

    return frame_decode(bytes, &frame) == KIST_OK && frame.answer &&
           frame.kind == FRAME_FLOOR && frame.status == FRAME_OK &&
           frame.from == from && frame.items == 1 &&
           frame_next_floor_said(&frame.body, out_said) == KIST_OK;
}

/* No answer, and no: asked again at the next look. */
static void answered(struct floor *floor, uint64_t from, struct view bytes)
{
    const struct ring *ring = floor->ring;
    enum frame_floor_said said = FRAME_FLOOR_NO;

    floor->ring = NULL;
    floor->is_asking = false;
    if (ring != floor->seat->ring || floor->level == 0) {
        give_up(floor);
    } else if (read_answer(bytes, from, &said) && said == FRAME_FLOOR_YES) {
        floor->turn++;
        if (floor->turn == ring->member_count)
            next_step(floor);
        ask_next(floor);
    } else if (said == FRAME_FLOOR_LOST) {
        go_to(floor, FRAME_FLOOR_FENCE); /* It has started anew. */
    }
    ring_free(ring);
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view bytes)
{
    (void)outcome; /* Without an answer there are no bytes. */
    answered(OWNER(call, struct floor, call), call->to, bytes);
}

static void on_own_answer(struct replica_caller *self, struct view bytes)
{
    struct floor *floor = OWNER(self, struct floor, self);

    answered(floor, env_of(floor)->self, bytes);
}

static void write_message(struct floor *floor, uint64_t to)
{
    struct frame head = seat_head(floor->seat, FRAME_FLOOR, to);
    struct frame_floor asked = {floor->step, floor->level};

    head.budget_ms = (uint32_t)floor->timeout_ms;
    blob_clear(&floor->message);
    frame_begin(&head, &floor->message);
    frame_add_floor(&asked, &floor->message);
    frame_seal(1, &floor->message);
}

static void ask_here(struct floor *floor)
{
    struct frame frame;

    floor->self.send = on_own_answer;
    if (frame_decode(blob_view(&floor->message), &frame) == KIST_OK)
        floor_receive(floor, &frame, &floor->self);
    else
        on_own_answer(&floor->self, (struct view){0});
}

static void ask_next(struct floor *floor)
{
    const struct ring *ring = floor->seat->ring;
    const struct ring_member *member;
    struct env *env = env_of(floor);

    if (floor->level == 0 || floor->is_stopped)
        return;
    member = &ring->members[floor->turn];
    write_message(floor, member->incarnation);
    if (floor->message.failed)
        return;
    floor->is_asking = true;
    floor->ring = ring_share(ring);
    if (member->incarnation == env->self) {
        ask_here(floor);
        return;
    }
    floor->call = (struct env_call){
        .to = member->incarnation,
        .address = member->address,
        .message = blob_view(&floor->message),
        .timeout_ms = floor->timeout_ms,
        .done = on_answer,
    };
    env->ops->send(env, &floor->call);
}

static bool is_driver(const struct floor *floor)
{
    const struct ring *ring = floor->seat->ring;

    if (ring->next != NULL || !floor->seat->is_member)
        return false;
    for (unsigned i = 0; i < ring->member_count; i++) {
        uint64_t incarnation = ring->members[i].incarnation;

        if (incarnation == env_of(floor)->self)
            return true;
        if (seat_expects(floor->seat, incarnation))
            return false;
    }
    return false;
}

/* As far up as the grace allows, if that is worth it. */
static void begin(struct floor *floor)
{
    uint64_t now_ms = env_of(floor)->ops->wall_ms(env_of(floor));
    uint64_t level;

    /* A floor from a clock that is ahead would keep new writes out. */
    if (now_ms <= floor->grace_ms || timekeeper_is_fenced(&floor->seat->clock))
        return;
    level = (now_ms - floor->grace_ms) << 16;
    if (level < floor->levels.floor + (floor->interval_ms << 16))
        return;
    floor->level = level;
    floor->patience = PATIENCE;
    go_to(floor, FRAME_FLOOR_FENCE);
}

static void on_tick(struct env_timer *timer)
{
    struct floor *floor = OWNER(timer, struct floor, tick);

    rest(floor);
    if (floor->is_asking)
        return;
    if (!is_driver(floor) || (floor->level != 0 && floor->patience-- == 0))
        give_up(floor);
    else if (floor->level == 0)
        begin(floor);
    ask_next(floor);
}

void floor_follow(struct floor *floor)
{
    floor->mark = 0;
    give_up(floor);
    purge_all(floor); /* What came to be ours may have some left. */
}

enum kist_status floor_start(struct floor *floor, struct view kept)
{
    enum kist_status status = read_kept(kept, &floor->levels);

    if (status != KIST_OK)
        return status;
    assert(!floor->is_keeping && !floor->is_asking && !floor->is_purging);
    floor->is_stopped = false;
    hold_to_levels(floor);
    floor->partition = 0;
    floor->tick = (struct env_timer){.fire = on_tick};
    floor->later = (struct env_timer){.fire = on_later};
    floor->settle = (struct env_timer){.fire = on_settle};
    floor_follow(floor);
    rest(floor);
    return KIST_OK;
}

void floor_stop(struct floor *floor)
{
    struct env *env = env_of(floor);

    floor->is_stopped = true;
    env->ops->timer_stop(env, &floor->tick);
    env->ops->timer_stop(env, &floor->later);
    if (floor->settle.own != NULL) {
        env->ops->timer_stop(env, &floor->settle);
        end_keeping(floor, KIST_BUSY);
    }
}

void floor_clear(struct floor *floor)
{
    assert(!floor->is_keeping && !floor->is_asking && !floor->is_purging);
    free(floor->compared);
    floor->compared = NULL;
    floor->compared_count = floor->compared_room = 0;
    blob_free(&floor->kept);
    blob_free(&floor->message);
}
