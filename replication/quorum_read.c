#include "replication/quorum_read.h"

#include "base/owner.h"
#include "replication/bring.h"
#include "storage/merge.h"

#include <assert.h>

static void step(struct quorum_read *read);

/* Who answers. */

static bool is_known(const struct quorum_read *read, uint64_t voter)
{
    for (unsigned i = 0; i < read->vote_count; i++)
        if (read->votes[i].voter == voter)
            return true;
    return false;
}

static bool add_voters(struct quorum_read *read, const uint16_t *row)
{
    for (unsigned i = 0; i < read->n; i++) {
        uint64_t voter = read->ring->members[row[i]].incarnation;

        if (is_known(read, voter))
            continue;
        if (read->vote_count == sizeof(read->votes) / sizeof(read->votes[0]))
            return false;
        read->votes[read->vote_count++] =
            (struct quorum_read_vote){.voter = voter, .read = read};
    }
    return true;
}

/* By this ring from now on. False: it is one change too many for a read. */
static bool plan(struct quorum_read *read)
{
    const struct ring *ring = read->seat->ring;
    unsigned partition = ring_partition_of(ring, read->key);

    ring_free(read->ring);
    read->ring = ring_share(ring);
    if (!add_voters(read, ring_owners_of(ring, partition)) ||
        !add_voters(read, ring_next_of(ring, partition)))
        return false;
    for (unsigned i = 0; i < read->vote_count; i++)
        read->votes[i].rows =
            ring_rows_of(ring, partition, read->n, read->votes[i].voter);
    return true;
}

static unsigned count_in(const struct quorum_read *read, unsigned rows,
                         enum quorum_read_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < read->vote_count; i++)
        count +=
            (read->votes[i].rows & rows) != 0 && read->votes[i].state == state;
    return count;
}

/* As many of the current as of the next owners. */
static bool are_enough(const struct quorum_read *read, unsigned wanted)
{
    return count_in(read, RING_NOW, READ_ANSWERED) >= wanted &&
           count_in(read, RING_NEXT, READ_ANSWERED) >= wanted;
}

/* An owner's record: is it the newest so far? It is copied if it is. */
static void consider(struct quorum_read_vote *vote, const struct record *record)
{
    struct quorum_read *read = vote->read;
    struct blob copy = BLOB_EMPTY;

    vote->version = record->version;
    if (read->is_chosen ||
        (read->found && merge_compare(record, &read->record) <= 0))
        return;
    record_encode(read->key, record, &copy);
    if (copy.failed ||
        record_decode(read->key, blob_view(&copy), &read->record) != KIST_OK) {
        blob_free(&copy);
        vote->state = READ_FAILED; /* As if it had not answered. */
        return;
    }
    blob_free(&read->winner);
    read->winner = copy;
    read->found = true;
}

/* What an owner has comes in. */

/*
 * An answer to the point; what it says in *out_frame. One by an older ring than
 * the read's is none: who gave it is asked anew.
 */
static bool is_answer(struct quorum_read_vote *vote, enum frame_kind kind,
                      enum env_outcome outcome, struct view answer,
                      struct frame *out_frame)
{
    bool is_outdated = vote->ring != vote->read->ring;

    ring_free(vote->ring);
    vote->state = is_outdated ? READ_UNASKED : READ_FAILED;
    if (is_outdated || outcome != ENV_ANSWERED ||
        frame_decode(answer, out_frame) != KIST_OK || !out_frame->answer ||
        out_frame->kind != kind || out_frame->from != vote->voter)
        return false;
    if (out_frame->status == FRAME_STALE_RING ||
        out_frame->status == FRAME_FUTURE_RING) {
        vote->state = READ_REFUSED;
        seat_notice(vote->read->seat, out_frame);
        return false;
    }
    return out_frame->status == FRAME_OK && out_frame->items == 1;
}

static void on_fetched(struct env_call *call, enum env_outcome outcome,
                       struct view answer)
{
    struct quorum_read_vote *vote = OWNER(call, struct quorum_read_vote, call);
    struct frame frame;
    struct record record;
    bool found;

    if (is_answer(vote, FRAME_FETCH, outcome, answer, &frame) &&
        frame_next_fetched(&frame.body, vote->read->key, &found, &record) ==
            KIST_OK) {
        vote->state = READ_ANSWERED;
        vote->version = VERSION_NONE;
        if (found)
            consider(vote, &record);
    }
    vote->read->out--;
    step(vote->read);
}

static void ask_here(struct quorum_read_vote *vote)
{
    struct env *env = vote->read->seat->env;
    struct item item = {0};
    enum kist_status status = env->ops->get(env, vote->read->key, &item);

    vote->state = READ_FAILED;
    if (status == KIST_OK || status == KIST_NOT_FOUND)
        vote->state = READ_ANSWERED;
    if (status == KIST_OK)
        consider(vote, &item.record);
    item_free(&item);
}

static uint64_t left_ms(const struct quorum_read *read)
{
    struct env *env = read->seat->env;
    uint64_t now_ms = env->ops->mono_ms(env);

    return now_ms < read->deadline_ms ? read->deadline_ms - now_ms : 1;
}

static void call(struct quorum_read_vote *vote,
                 void (*done)(struct env_call *call, enum env_outcome outcome,
                              struct view answer))
{
    struct quorum_read *read = vote->read;
    struct seat *seat = read->seat;
    int member = ring_find_incarnation(seat->ring, vote->voter);

    frame_seal(1, &vote->message);
    if (vote->message.failed || member < 0) {
        vote->state = READ_FAILED;
        return;
    }
    vote->ring = ring_share(seat->ring);
    vote->call = (struct env_call){
        .to = vote->voter,
        .address = seat->ring->members[member].address,
        .message = blob_view(&vote->message),
        .timeout_ms = left_ms(read),
        .done = done,
    };
    read->out++;
    seat->env->ops->send(seat->env, &vote->call);
}

static void begin_message(struct quorum_read_vote *vote, enum frame_kind kind)
{
    struct frame head = seat_head(vote->read->seat, kind, vote->voter);

    head.budget_ms = (uint32_t)left_ms(vote->read);
    blob_clear(&vote->message);
    frame_begin(&head, &vote->message);
}

static void ask(struct quorum_read_vote *vote)
{
    if (vote->voter == vote->read->seat->env->self) {
        ask_here(vote);
        return;
    }
    vote->state = READ_AWAITED;
    begin_message(vote, FRAME_FETCH);
    frame_add_fetch(vote->read->key, &vote->message);
    call(vote, on_fetched);
}

/*
 * Ourselves first, who need no message; then whoever is alive, in order; while
 * a change is pending, those who own it before and after it before others.
 */
static struct quorum_read_vote *next_to_ask(struct quorum_read *read,
                                            unsigned rows)
{
    const struct seat *seat = read->seat;
    struct quorum_read_vote *best = NULL;
    int best_rank = 0;

    for (unsigned i = 0; i < read->vote_count; i++) {
        struct quorum_read_vote *vote = &read->votes[i];
        int rank = 1 + seat_expects(seat, vote->voter) +
                   2 * (vote->voter == seat->env->self) +
                   4 * (vote->rows == (RING_NOW | RING_NEXT));

        if ((vote->rows & rows) != 0 && vote->state == READ_UNASKED &&
            rank > best_rank) {
            best = vote;
            best_rank = rank;
        }
    }
    return best;
}

/* The winner is brought to a majority. */

static unsigned majority(const struct quorum_read *read)
{
    return read->n / 2 + 1;
}

static bool holds(const struct quorum_read *read,
                  const struct quorum_read_vote *vote)
{
    return vote->state == READ_ANSWERED && read->found &&
           version_compare(vote->version, read->record.version) >= 0;
}

static unsigned holders(const struct quorum_read *read, enum ring_row row)
{
    unsigned count = 0;

    for (unsigned i = 0; i < read->vote_count; i++)
        count +=
            (read->votes[i].rows & row) != 0 && holds(read, &read->votes[i]);
    return count;
}

/* It has the record that was chosen then, or a newer one. */
static void repaired(struct quorum_read_vote *vote, struct version winner)
{
    vote->state = READ_ANSWERED;
    vote->version = winner;
    vote->read->repaired++;
    if (vote->read->seat->stats != NULL)
        counter_add(&vote->read->seat->stats->repairs, 1);
}

static void on_pushed(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct quorum_read_vote *vote = OWNER(call, struct quorum_read_vote, call);
    struct frame_pushed pushed;
    struct frame frame;

    if (is_answer(vote, FRAME_PUSH, outcome, answer, &frame) &&
        frame_next_pushed(&frame.body, &pushed) == KIST_OK) {
        if (pushed.result == FRAME_DURABLE)
            repaired(vote, pushed.winner);
        else if (pushed.result == FRAME_COMING)
            vote->state = READ_REFUSED; /* Another owner may have it. */
    }
    vote->read->out--;
    step(vote->read);
}

static bool is_file_coming(const struct quorum_read_vote *vote)
{
    uint64_t progress;
    enum kist_status status;

    if (vote->apply.status != KIST_NOT_FOUND)
        return false;
    status = bring_file(vote->read->seat, vote->apply.key, &vote->apply.record,
                        0, &progress);
    return status == KIST_BUSY;
}

static void on_applied(struct env_apply *apply)
{
    struct quorum_read_vote *vote =
        OWNER(apply, struct quorum_read_vote, apply);

    seat_end_storing(vote->read->seat, vote->apply_phase);
    vote->state = READ_FAILED;
    if (vote->apply_epoch != vote->read->ring->epoch)
        vote->state = READ_UNASKED;
    else if (apply->status == KIST_OK)
        repaired(vote, apply->winner);
    else if (is_file_coming(vote))
        vote->state = READ_REFUSED;
    vote->read->out--;
    step(vote->read);
}

/* Of a copy: another ring may bring a newer winner while it is stored. */
static void repair_here(struct quorum_read_vote *vote)
{
    struct quorum_read *read = vote->read;
    struct env *env = read->seat->env;

    blob_clear(&vote->message);
    record_encode(read->key, &read->record, &vote->message);
    vote->apply = (struct env_apply){.key = read->key,
                                     .sync = ENGINE_SYNC,
                                     .floor = read->seat->floor,
                                     .done = on_applied};
    if (vote->message.failed ||
        record_decode(read->key, blob_view(&vote->message),
                      &vote->apply.record) != KIST_OK) {
        vote->state = READ_FAILED;
        return;
    }
    vote->apply_epoch = read->seat->ring->epoch;
    vote->apply_phase = seat_begin_storing(read->seat);
    read->out++;
    env->ops->apply(env, &vote->apply);
}

static void repair(struct quorum_read_vote *vote)
{
    struct quorum_read *read = vote->read;
    struct frame_push push = {FRAME_REPAIR, ENGINE_SYNC, read->key,
                              read->record};

    vote->state = READ_REPAIRING;
    if (vote->voter == read->seat->env->self) {
        repair_here(vote);
        return;
    }
    begin_message(vote, FRAME_PUSH);
    frame_add_push(&push, &vote->message);
    call(vote, on_pushed);
}

/* Owners may have it no more; and nothing older is anywhere. */
static bool is_purged(const struct quorum_read *read)
{
    return read->found && merge_may_purge(&read->record, read->seat->floor);
}

/* Who answered something older gets the winner. */
static void repair_all(struct quorum_read *read)
{
    for (unsigned i = 0; i < read->vote_count && !is_purged(read); i++)
        if (read->votes[i].rows != 0 && read->votes[i].state == READ_ANSWERED &&
            !holds(read, &read->votes[i]))
            repair(&read->votes[i]);
}

/*
 * A repair has failed, as it does where the disk is full: so whoever was not
 * asked yet, and may have the winner, is. False: nobody is left, or needed.
 */
static bool ask_for_holders(struct quorum_read *read, enum ring_row row)
{
    struct quorum_read_vote *vote;
    unsigned hoped_for = holders(read, row) +
                         count_in(read, row, READ_REPAIRING) +
                         count_in(read, row, READ_AWAITED);

    if (hoped_for >= majority(read))
        return false;
    vote = next_to_ask(read, row);
    if (vote != NULL)
        ask(vote);
    return vote != NULL;
}

/* One step after the other. */

static bool is_after(const struct quorum_read *read)
{
    if (read->found && version_compare(read->record.version, read->after) >= 0)
        return true;
    return are_enough(read, read->n - read->w + 1);
}

static void note_failure(const struct quorum_read *read)
{
    if (read->seat->stats != NULL)
        counter_add(&read->seat->stats->reads_failed, 1);
}

static void answer(struct quorum_read *read, enum quorum_read_outcome outcome)
{
    if (outcome != QUORUM_READ_DONE)
        note_failure(read);
    read->is_chosen = read->is_answered = true;
    read->outcome = outcome;
    read->answered(read);
}

static void choose(struct quorum_read *read)
{
    read->answers = count_in(read, RING_NOW, READ_ANSWERED);
    if (!are_enough(read, read->r) ||
        (!version_is_none(read->after) && !is_after(read)))
        return;
    read->is_chosen = true;
}

static bool ask_in(struct quorum_read *read, enum ring_row row, unsigned wanted)
{
    bool asked = false;

    while (count_in(read, row, READ_ANSWERED) +
               count_in(read, row, READ_AWAITED) <
           wanted) {
        struct quorum_read_vote *vote = next_to_ask(read, row);

        if (vote == NULL)
            break;
        ask(vote);
        asked = true;
    }
    return asked;
}

/* Ask whoever is needed and left; false: nobody was. */
static bool ask_enough(struct quorum_read *read)
{
    /* With r answers and not chosen, it is `after` that wants more of them. */
    bool more = are_enough(read, read->r);
    unsigned now = count_in(read, RING_NOW, READ_ANSWERED) + 1;
    unsigned next = count_in(read, RING_NEXT, READ_ANSWERED) + 1;
    bool asked = ask_in(read, RING_NOW, more ? now : read->r);

    if (read->ring->next != NULL)
        asked |= ask_in(read, RING_NEXT, more ? next : read->r);
    return asked;
}

static void end(struct quorum_read *read)
{
    struct env *env = read->seat->env;

    env->ops->timer_stop(env, &read->deadline);
    env->ops->timer_stop(env, &read->hedge);
    for (unsigned i = 0; i < read->vote_count; i++)
        blob_free(&read->votes[i].message);
    ring_free(read->ring);
    struct blob winner = read->winner;
    read->ended(read); /* It may be gone now. */
    blob_free(&winner);
}

static bool is_settled(const struct quorum_read *read)
{
    return !read->found || read->r < majority(read) || is_purged(read) ||
           (holders(read, RING_NOW) >= majority(read) &&
            holders(read, RING_NEXT) >= majority(read));
}

/* Nobody is asked any more whose answer could still help. */
static bool is_hopeless(struct quorum_read *read)
{
    unsigned any = RING_NOW | RING_NEXT;

    return read->out == 0 && count_in(read, any, READ_REFUSED) == 0 &&
           (read->is_chosen || next_to_ask(read, any) == NULL);
}

/*
 * All are asked anew. What was answered by another ring may be from before a
 * new owner had what it owns now; and who answered, or was repaired, since the
 * winner was chosen may have a newer record, which was not looked at.
 */
static void choose_again(struct quorum_read *read)
{
    read->is_chosen = false;
    for (unsigned i = 0; i < read->vote_count; i++)
        if (read->votes[i].state == READ_ANSWERED ||
            read->votes[i].state == READ_REFUSED)
            read->votes[i].state = READ_UNASKED;
}

/* This node went on to another ring: whoever owns the key there answers. */
static void follow(struct quorum_read *read)
{
    if (read->is_answered || read->ring == read->seat->ring)
        return;
    choose_again(read);
    if (!plan(read))
        answer(read, QUORUM_READ_TOO_FEW);
}

static void bring_to_majority(struct quorum_read *read)
{
    do
        /* Late answers, too: who is behind and has said so is helped. */
        repair_all(read);
    while (!read->is_answered && !is_settled(read) &&
           (ask_for_holders(read, RING_NOW) ||
            (read->ring->next != NULL && ask_for_holders(read, RING_NEXT))));
}

static void step(struct quorum_read *read)
{
    follow(read);
    if (!read->is_chosen)
        choose(read);
    while (!read->is_chosen && ask_enough(read))
        choose(read);
    if (read->is_chosen && read->found && read->outcome == QUORUM_READ_DONE)
        bring_to_majority(read);
    if (!read->is_answered && read->is_chosen && is_settled(read))
        answer(read, QUORUM_READ_DONE);
    else if (!read->is_answered && is_hopeless(read))
        answer(read, QUORUM_READ_TOO_FEW);
    if (read->is_answered && read->out == 0)
        end(read);
}

static void on_deadline(struct env_timer *timer)
{
    struct quorum_read *read = OWNER(timer, struct quorum_read, deadline);

    if (!read->is_answered)
        answer(read, QUORUM_READ_TOO_FEW);
    if (read->out == 0)
        end(read);
}

/* Also the first step, at once: nothing is called back within the start. */
static void on_hedge(struct env_timer *timer)
{
    struct quorum_read *read = OWNER(timer, struct quorum_read, hedge);
    struct env *env = read->seat->env;
    struct quorum_read_vote *vote;

    if (read->is_answered)
        return; /* What is left to come is not waited for. */
    follow(read);
    /* By now they may be at our ring; and a repair may be what was refused. */
    if (count_in(read, RING_NOW | RING_NEXT, READ_REFUSED) > 0)
        choose_again(read);
    vote = next_to_ask(read, RING_NOW | RING_NEXT);
    if (!read->is_chosen && vote != NULL && read->out > 0)
        ask(vote);
    env->ops->timer_set(env, timer, read->hedge_ms);
    step(read);
}

static unsigned alive_in(const struct quorum_read *read, enum ring_row row)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < read->vote_count; i++)
        alive += (read->votes[i].rows & row) != 0 &&
                 seat_expects(read->seat, read->votes[i].voter);
    return alive;
}

static enum kist_status check(struct quorum_read *read)
{
    unsigned copies = read->seat->ring->copies;
    bool planned;

    if (!read->seat->is_member)
        return KIST_BUSY;
    if (read->n == 0 || read->n > copies || read->r == 0 || read->r > read->n ||
        read->w == 0 || read->w > read->n)
        return KIST_INVALID;
    planned = plan(read);
    assert(planned); /* A ring has no more owners than there is room for. */
    if (alive_in(read, RING_NOW) < read->r ||
        alive_in(read, RING_NEXT) < read->r) {
        note_failure(read);
        return KIST_BUSY;
    }
    return KIST_OK;
}

enum kist_status quorum_read_start(struct quorum_read *read, struct seat *seat)
{
    struct env *env = seat->env;
    enum kist_status status;

    read->seat = seat;
    read->ring = NULL;
    read->vote_count = read->out = read->repaired = 0;
    status = check(read);
    if (status != KIST_OK) {
        ring_free(read->ring);
        return status;
    }
    read->found = read->is_chosen = read->is_answered = false;
    read->outcome = QUORUM_READ_DONE;
    read->winner = BLOB_EMPTY;
    read->deadline_ms = env->ops->mono_ms(env) + read->timeout_ms;
    read->deadline = (struct env_timer){.fire = on_deadline};
    read->hedge = (struct env_timer){.fire = on_hedge};
    env->ops->timer_set(env, &read->deadline, read->timeout_ms);
    env->ops->timer_set(env, &read->hedge, 0);
    return KIST_OK;
}
