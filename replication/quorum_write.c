#include "replication/quorum_write.h"

#include "base/owner.h"

#include <assert.h>

enum {
    AGAIN_MS = 20, /* A ring's way to somebody takes about so long. */
    FILE_MS = 4,   /* And a small file's; doubles, so that a large one's way */
    FILE_MAX_MS = 256, /* is not full of questions. */
};

/* Who votes. */

static struct quorum_write_vote *vote_of(struct quorum_write *write,
                                         uint64_t voter)
{
    for (unsigned i = 0; i < write->vote_count; i++)
        if (write->votes[i].voter == voter)
            return &write->votes[i];
    return NULL;
}

/* Each owner once, however often it stands in the rows of however many rings.
 */
static bool add_voters(struct quorum_write *write, const uint16_t *row)
{
    for (unsigned i = 0; i < write->n; i++) {
        uint64_t voter = write->ring->members[row[i]].incarnation;

        if (vote_of(write, voter) != NULL)
            continue;
        if (write->vote_count == sizeof(write->votes) / sizeof(write->votes[0]))
            return false;
        write->votes[write->vote_count++] =
            (struct quorum_write_vote){.voter = voter, .write = write};
    }
    return true;
}

/* By this ring from now on. False: it is one change too many for a write. */
static bool plan(struct quorum_write *write)
{
    const struct ring *ring = write->seat->ring;
    unsigned partition = ring_partition_of(ring, write->key);

    ring_free(write->ring);
    write->ring = ring_share(ring);
    if (!add_voters(write, ring_owners_of(ring, partition)) ||
        !add_voters(write, ring_next_of(ring, partition)))
        return false;
    for (unsigned i = 0; i < write->vote_count; i++) {
        struct quorum_write_vote *vote = &write->votes[i];

        vote->rows = ring_rows_of(ring, partition, write->n, vote->voter);
        if (vote->state != VOTE_AWAITED)
            vote->state = VOTE_UNASKED;
    }
    return true;
}

static unsigned alive_in(const struct quorum_write *write, enum ring_row row)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < write->vote_count; i++)
        alive += (write->votes[i].rows & row) != 0 &&
                 seat_expects_write(write->seat, write->votes[i].voter);
    return alive;
}

/* Of row, how many have voted, or (awaited) may still. */
static unsigned votes_in(const struct quorum_write *write, enum ring_row row,
                         bool awaited)
{
    unsigned votes = 0;

    for (unsigned i = 0; i < write->vote_count; i++) {
        const struct quorum_write_vote *vote = &write->votes[i];

        if ((vote->rows & row) == 0)
            continue;
        votes += vote->state == VOTE_DURABLE ||
                 (awaited && vote->state != VOTE_FAILED);
    }
    return votes;
}

static bool has_quorum(const struct quorum_write *write, bool awaited)
{
    return votes_in(write, RING_NOW, awaited) >= write->w &&
           votes_in(write, RING_NEXT, awaited) >= write->w;
}

/* What comes of it. */

static void answer(struct quorum_write *write,
                   enum quorum_write_outcome outcome)
{
    write->is_answered = true;
    write->outcome = outcome;
    write->acked = votes_in(write, RING_NOW, false);
    write->answered(write);
}

static void fail(struct quorum_write *write)
{
    struct quorum_stats *stats = write->seat->stats;
    bool may_be_there = false;

    for (unsigned i = 0; i < write->vote_count; i++)
        may_be_there |=
            write->votes[i].has_left || write->votes[i].state == VOTE_AWAITED;
    if (stats != NULL)
        counter_add(may_be_there ? &stats->writes_unknown
                                 : &stats->writes_not_applied,
                    1);
    answer(write,
           may_be_there ? QUORUM_WRITE_UNKNOWN : QUORUM_WRITE_NOT_APPLIED);
}

/* All owners have it: it took them so long. */
static void note_lag(const struct quorum_write *write)
{
    const struct seat *seat = write->seat;
    uint64_t began_ms = write->deadline_ms - write->timeout_ms;
    uint64_t lag_ms = seat->env->ops->mono_ms(seat->env) - began_ms;

    if (seat->stats != NULL)
        histogram_observe(&seat->stats->lag, lag_ms * 1000000);
}

static void end(struct quorum_write *write)
{
    bool is_everywhere = true;
    struct seat *seat = write->seat;

    seat->env->ops->timer_stop(seat->env, &write->timer);
    seat->env->ops->timer_stop(seat->env, &write->again);
    for (unsigned i = 0; i < write->vote_count; i++) {
        struct quorum_write_vote *vote = &write->votes[i];

        blob_free(&vote->message);
        if (vote->rows == 0 || vote->state == VOTE_DURABLE)
            continue;
        is_everywhere = false;
        if (seat->missed != NULL && write->outcome != QUORUM_WRITE_NOT_APPLIED)
            seat->missed(seat->ctx, vote->voter, write->key, &write->record);
    }
    if (is_everywhere)
        note_lag(write);
    ring_free(write->ring);
    write->ended(write);
}

static bool is_any(const struct quorum_write *write,
                   enum quorum_write_state state)
{
    for (unsigned i = 0; i < write->vote_count; i++)
        if (write->votes[i].rows != 0 && write->votes[i].state == state)
            return true;
    return false;
}

static void ask_again(struct quorum_write *write)
{
    struct env *env = write->seat->env;
    uint64_t delay_ms = AGAIN_MS;

    if (write->again.own != NULL)
        return;
    if (is_any(write, VOTE_COMING)) {
        delay_ms = write->pause_ms;
        if (write->pause_ms < FILE_MAX_MS)
            write->pause_ms *= 2;
    } else if (!is_any(write, VOTE_REFUSED)) {
        return;
    }
    env->ops->timer_set(env, &write->again, delay_ms);
}

static void ask(struct quorum_write *write);

/* This node went on to another ring: votes of its owners are what counts. */
static void follow(struct quorum_write *write)
{
    if (write->is_answered || write->ring == write->seat->ring)
        return;
    if (plan(write))
        ask(write);
    else
        fail(write);
}

static void settle(struct quorum_write *write)
{
    follow(write);
    if (!write->is_answered && has_quorum(write, false))
        answer(write, QUORUM_WRITE_DONE);
    else if (!write->is_answered && !has_quorum(write, true))
        fail(write);
    if (write->is_answered && write->out == 0)
        end(write);
    else if (!write->is_answered)
        ask_again(write);
}

/* The calls end now, too; their votes are counted by whoever repairs. */
static void on_timeout(struct env_timer *timer)
{
    struct quorum_write *write = OWNER(timer, struct quorum_write, timer);

    if (!write->is_answered)
        fail(write);
    if (write->out == 0)
        end(write);
}

static void count(struct quorum_write_vote *vote, struct version winner,
                  bool replaced)
{
    struct quorum_write *write = vote->write;

    vote->state = VOTE_DURABLE;
    if (version_compare(winner, write->record.version) > 0 &&
        version_compare(winner, write->superseded) > 0)
        write->superseded = winner;
    write->replaced |= replaced;

    /* So that our next write is above it; unless it is not to be believed. */
    bool believed = timekeeper_observe(&write->seat->clock, winner);
    (void)believed;
}

/* The votes come in. */

static void wait_for_file(struct quorum_write_vote *vote, uint64_t progress)
{
    struct quorum_write *write = vote->write;
    struct env *env = write->seat->env;

    vote->state = VOTE_COMING;
    if (progress == vote->progress || write->is_answered)
        return;
    vote->progress = progress;
    write->deadline_ms = env->ops->mono_ms(env) + write->timeout_ms;
    env->ops->timer_set(env, &write->timer, write->timeout_ms);
}

static void read_answer(struct quorum_write_vote *vote, struct view answer)
{
    struct frame frame;
    struct frame_pushed pushed;

    if (frame_decode(answer, &frame) != KIST_OK || !frame.answer ||
        frame.kind != FRAME_PUSH || frame.from != vote->voter)
        return;
    if (frame.status == FRAME_STALE_RING || frame.status == FRAME_FUTURE_RING) {
        vote->state = VOTE_REFUSED;
        seat_notice(vote->write->seat, &frame);
        return;
    }
    if (frame.status != FRAME_OK || frame.items != 1 ||
        frame_next_pushed(&frame.body, &pushed) != KIST_OK)
        return;
    if (pushed.result == FRAME_DURABLE)
        count(vote, pushed.winner, pushed.replaced);
    else if (pushed.result == FRAME_COMING)
        wait_for_file(vote, pushed.progress);
}

/* What was asked by an older ring than the write's says nothing by this one. */
static void ask_again_if(struct quorum_write_vote *vote, bool is_outdated)
{
    if (is_outdated)
        vote->state = VOTE_REFUSED;
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct quorum_write_vote *vote =
        OWNER(call, struct quorum_write_vote, call);

    bool is_outdated = vote->ring != vote->write->ring;

    ring_free(vote->ring);
    vote->state = VOTE_FAILED;
    switch (outcome) {
    case ENV_ANSWERED:
        vote->has_left = true; /* Also if refused: a duplicate may not be. */
        read_answer(vote, answer);
        break;
    case ENV_NOT_SENT:
        break;
    case ENV_LOST:
        vote->has_left = true;
        break;
    }
    ask_again_if(vote, is_outdated);
    vote->write->out--;
    settle(vote->write);
}

static void on_applied(struct env_apply *apply)
{
    struct quorum_write *write = OWNER(apply, struct quorum_write, apply);
    struct quorum_write_vote *vote = vote_of(write, write->seat->env->self);

    seat_end_storing(write->seat, write->apply_phase);
    vote->state = VOTE_FAILED;
    /* Our own store knows, unless it says that it does not. */
    vote->has_left |= apply->status == KIST_OK || apply->status == KIST_UNKNOWN;
    if (apply->status == KIST_OK)
        count(vote, apply->winner, apply->replaced);
    ask_again_if(vote, write->apply_epoch != write->ring->epoch);
    write->out--;
    settle(write);
}

/* And go out. */

static void apply_here(struct quorum_write_vote *vote)
{
    struct quorum_write *write = vote->write;
    struct env *env = write->seat->env;

    write->apply = (struct env_apply){
        .key = write->key,
        .record = write->record,
        .sync = write->sync,
        .floor = write->seat->fence,
        .done = on_applied,
    };
    write->apply_epoch = write->seat->ring->epoch;
    write->apply_phase = seat_begin_storing(write->seat);
    vote->state = VOTE_AWAITED;
    write->out++;
    env->ops->apply(env, &write->apply);
}

static uint64_t left_ms(const struct quorum_write *write)
{
    struct env *env = write->seat->env;
    uint64_t now_ms = env->ops->mono_ms(env);

    return now_ms < write->deadline_ms ? write->deadline_ms - now_ms : 1;
}

static void send(struct quorum_write_vote *vote)
{
    struct quorum_write *write = vote->write;
    struct seat *seat = write->seat;
    struct frame head = seat_head(seat, FRAME_PUSH, vote->voter);
    struct frame_push push = {FRAME_CLIENT, write->sync, write->key,
                              write->record};
    int member = ring_find_incarnation(seat->ring, vote->voter);

    head.budget_ms = (uint32_t)left_ms(write);
    blob_clear(&vote->message);
    frame_begin(&head, &vote->message);
    frame_add_push(&push, &vote->message);
    frame_seal(1, &vote->message);
    if (vote->message.failed || member < 0) {
        vote->state = VOTE_FAILED;
        return;
    }
    vote->state = VOTE_AWAITED;
    vote->ring = ring_share(seat->ring);
    vote->call = (struct env_call){
        .to = vote->voter,
        .address = seat->ring->members[member].address,
        .message = blob_view(&vote->message),
        .timeout_ms = left_ms(write),
        .done = on_answer,
    };
    write->out++;
    seat->env->ops->send(seat->env, &vote->call);
}

static bool is_to_ask(const struct quorum_write_vote *vote)
{
    return vote->rows != 0 &&
           (vote->state == VOTE_UNASKED || vote->state == VOTE_REFUSED ||
            vote->state == VOTE_COMING);
}

/* Whoever owns it by the write's ring and was not asked by that. */
static void ask(struct quorum_write *write)
{
    for (unsigned i = 0; i < write->vote_count; i++) {
        struct quorum_write_vote *vote = &write->votes[i];

        if (!is_to_ask(vote))
            continue;
        if (vote->voter == write->seat->env->self)
            apply_here(vote);
        else
            send(vote);
    }
}

static void on_again(struct env_timer *timer)
{
    struct quorum_write *write = OWNER(timer, struct quorum_write, again);

    if (write->is_answered)
        return; /* Late votes are not waited for any more. */
    if (write->ring == write->seat->ring)
        ask(write);
    settle(write);
}

static enum kist_status check(const struct quorum_write *write)
{
    unsigned copies = write->seat->ring->copies;

    if (!write->seat->is_member)
        return KIST_BUSY;
    if (write->n == 0 || write->n > copies || write->w == 0 ||
        write->w > write->n)
        return KIST_INVALID;
    return KIST_OK;
}

/* A version of its own, or the one that it brings. */
static enum kist_status date(struct quorum_write *write)
{
    struct timekeeper *clock = &write->seat->clock;

    if (version_is_none(write->record.version))
        return timekeeper_stamp(clock, &write->record.version);
    return timekeeper_admit(clock, write->record.version);
}

static enum kist_status prepare(struct quorum_write *write)
{
    bool planned = plan(write);

    assert(planned); /* A ring has no more owners than there is room for. */
    if (alive_in(write, RING_NOW) < write->w ||
        alive_in(write, RING_NEXT) < write->w) {
        if (write->seat->stats != NULL)
            counter_add(&write->seat->stats->writes_not_applied, 1);
        return KIST_BUSY;
    }
    return date(write);
}

static enum kist_status begin(struct quorum_write *write)
{
    struct env *env = write->seat->env;
    enum kist_status status = prepare(write);

    if (status != KIST_OK)
        return status;
    if (write->record.created_ms == 0)
        write->record.created_ms = version_ms(write->record.version);
    write->deadline_ms = env->ops->mono_ms(env) + write->timeout_ms;
    ask(write);
    if (write->out > 0)
        return KIST_OK;
    for (unsigned i = 0; i < write->vote_count; i++)
        blob_free(&write->votes[i].message);
    return KIST_NO_MEMORY;
}

enum kist_status quorum_write_start(struct quorum_write *write,
                                    struct seat *seat)
{
    enum kist_status status;

    write->seat = seat;
    write->ring = NULL;
    write->vote_count = write->out = 0;
    write->is_answered = write->replaced = false;
    write->superseded = VERSION_NONE;
    write->pause_ms = FILE_MS;
    write->timer = (struct env_timer){.fire = on_timeout};
    write->again = (struct env_timer){.fire = on_again};
    status = check(write);
    if (status == KIST_OK)
        status = begin(write);
    if (status != KIST_OK) {
        ring_free(write->ring);
        return status;
    }
    seat->env->ops->timer_set(seat->env, &write->timer, write->timeout_ms);
    return KIST_OK;
}
