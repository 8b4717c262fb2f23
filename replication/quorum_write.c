#include "replication/quorum_write.h"

#include "base/owner.h"

#include <assert.h>

/* Who votes. */

static uint64_t incarnation_of(const struct quorum_write *write,
                               unsigned member)
{
    return write->seat->ring->members[member].incarnation;
}

static struct quorum_write_vote *vote_of(struct quorum_write *write,
                                         uint64_t voter)
{
    for (unsigned i = 0; i < write->vote_count; i++)
        if (write->votes[i].voter == voter)
            return &write->votes[i];
    return NULL;
}

/* Each owner once, however often it stands in the two rows. */
static void add_voters(struct quorum_write *write, const uint16_t *row)
{
    for (unsigned i = 0; i < write->n; i++) {
        uint64_t voter = incarnation_of(write, row[i]);

        if (vote_of(write, voter) == NULL)
            write->votes[write->vote_count++] =
                (struct quorum_write_vote){.voter = voter, .write = write};
    }
}

static unsigned alive_in(const struct quorum_write *write, const uint16_t *row)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < write->n; i++)
        alive += seat_expects(write->seat, incarnation_of(write, row[i]));
    return alive;
}

/* Of row, how many have voted, or (awaited) may still. */
static unsigned votes_in(struct quorum_write *write, const uint16_t *row,
                         bool awaited)
{
    unsigned votes = 0;

    for (unsigned i = 0; i < write->n; i++) {
        const struct quorum_write_vote *vote =
            vote_of(write, incarnation_of(write, row[i]));

        votes += vote->state == VOTE_DURABLE ||
                 (awaited && vote->state == VOTE_AWAITED);
    }
    return votes;
}

static bool has_quorum(struct quorum_write *write, bool awaited)
{
    return votes_in(write, write->owners, awaited) >= write->w &&
           votes_in(write, write->next, awaited) >= write->w;
}

/* What comes of it. */

static void answer(struct quorum_write *write,
                   enum quorum_write_outcome outcome)
{
    write->is_answered = true;
    write->outcome = outcome;
    write->acked = votes_in(write, write->owners, false);
    write->answered(write);
}

static void fail(struct quorum_write *write)
{
    bool may_be_there = false;

    for (unsigned i = 0; i < write->vote_count; i++)
        may_be_there |= write->votes[i].state != VOTE_NEVER_SENT;
    answer(write,
           may_be_there ? QUORUM_WRITE_UNKNOWN : QUORUM_WRITE_NOT_APPLIED);
}

static void end(struct quorum_write *write)
{
    struct seat *seat = write->seat;

    seat->env->ops->timer_stop(seat->env, &write->timer);
    for (unsigned i = 0; i < write->vote_count; i++) {
        blob_free(&write->votes[i].message);
        if (write->votes[i].state != VOTE_DURABLE && seat->missed != NULL &&
            write->outcome != QUORUM_WRITE_NOT_APPLIED)
            seat->missed(seat->ctx, write->votes[i].voter, write->key,
                         &write->record);
    }
    write->ended(write);
}

static void settle(struct quorum_write *write)
{
    if (!write->is_answered && has_quorum(write, false))
        answer(write, QUORUM_WRITE_DONE);
    else if (!write->is_answered && !has_quorum(write, true))
        fail(write);
    if (write->out == 0)
        end(write);
}

/* The calls end now, too; their votes are counted by whoever repairs. */
static void on_timeout(struct env_timer *timer)
{
    struct quorum_write *write = OWNER(timer, struct quorum_write, timer);

    if (!write->is_answered)
        fail(write);
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

static void read_answer(struct quorum_write_vote *vote, struct view answer)
{
    struct frame frame;
    struct frame_pushed pushed;

    vote->state = VOTE_FAILED; /* Also if refused: a duplicate may not be. */
    if (frame_decode(answer, &frame) != KIST_OK || !frame.answer ||
        frame.kind != FRAME_PUSH || frame.status != FRAME_OK ||
        frame.from != vote->voter || frame.items != 1 ||
        frame_next_pushed(&frame.body, &pushed) != KIST_OK)
        return;
    if (pushed.result == FRAME_DURABLE)
        count(vote, pushed.winner, pushed.replaced);
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct quorum_write_vote *vote =
        OWNER(call, struct quorum_write_vote, call);

    switch (outcome) {
    case ENV_ANSWERED:
        read_answer(vote, answer);
        break;
    case ENV_NOT_SENT:
        vote->state = VOTE_NEVER_SENT;
        break;
    case ENV_LOST:
        vote->state = VOTE_FAILED;
        break;
    }
    vote->write->out--;
    settle(vote->write);
}

static void on_applied(struct env_apply *apply)
{
    struct quorum_write *write = OWNER(apply, struct quorum_write, apply);
    struct quorum_write_vote *vote = vote_of(write, write->seat->env->self);

    if (apply->status == KIST_OK)
        count(vote, apply->winner, apply->replaced);
    else if (apply->status == KIST_UNKNOWN)
        vote->state = VOTE_FAILED;
    else
        vote->state = VOTE_NEVER_SENT; /* Our own store knows. */
    write->out--;
    settle(write);
}

/* And go out. */

static void apply_here(struct quorum_write *write)
{
    struct env *env = write->seat->env;

    write->apply = (struct env_apply){
        .key = write->key,
        .record = write->record,
        .sync = write->sync,
        .done = on_applied,
    };
    write->out++;
    env->ops->apply(env, &write->apply);
}

static void send(struct quorum_write_vote *vote)
{
    struct quorum_write *write = vote->write;
    struct seat *seat = write->seat;
    struct frame head = seat_head(seat, FRAME_PUSH, vote->voter);
    struct frame_push push = {FRAME_CLIENT, write->sync, write->key,
                              write->record};
    int member = ring_find_incarnation(seat->ring, vote->voter);

    head.budget_ms = (uint32_t)write->timeout_ms;
    frame_begin(&head, &vote->message);
    frame_add_push(&push, &vote->message);
    frame_seal(1, &vote->message);
    if (vote->message.failed || member < 0) {
        vote->state = VOTE_NEVER_SENT;
        return;
    }
    vote->call = (struct env_call){
        .to = vote->voter,
        .address = seat->ring->members[member].address,
        .message = blob_view(&vote->message),
        .timeout_ms = write->timeout_ms,
        .done = on_answer,
    };
    write->out++;
    seat->env->ops->send(seat->env, &vote->call);
}

static enum kist_status plan(struct quorum_write *write)
{
    const struct ring *ring = write->seat->ring;
    unsigned partition = ring_partition_of(ring, write->key);

    if (write->n == 0 || write->n > ring->copies || write->w == 0 ||
        write->w > write->n)
        return KIST_INVALID;
    write->owners = ring_owners_of(ring, partition);
    write->next = ring_next_of(ring, partition);
    if (alive_in(write, write->owners) < write->w ||
        alive_in(write, write->next) < write->w)
        return KIST_BUSY;

    add_voters(write, write->owners);
    add_voters(write, write->next);
    return KIST_OK;
}

enum kist_status quorum_write_start(struct quorum_write *write,
                                    struct seat *seat)
{
    enum kist_status status;

    write->seat = seat;
    write->vote_count = write->out = 0;
    write->is_answered = write->replaced = false;
    write->superseded = VERSION_NONE;
    status = plan(write);
    if (status == KIST_OK && version_is_none(write->record.version))
        status = timekeeper_stamp(&seat->clock, &write->record.version);
    if (status != KIST_OK)
        return status;
    write->record.created_ms = version_ms(write->record.version);

    for (unsigned i = 0; i < write->vote_count; i++)
        if (write->votes[i].voter == seat->env->self)
            apply_here(write);
        else
            send(&write->votes[i]);
    if (write->out == 0) {
        for (unsigned i = 0; i < write->vote_count; i++)
            blob_free(&write->votes[i].message);
        return KIST_NO_MEMORY;
    }
    write->timer.fire = on_timeout;
    seat->env->ops->timer_set(seat->env, &write->timer, write->timeout_ms);
    return KIST_OK;
}
