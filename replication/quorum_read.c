#include "replication/quorum_read.h"

#include "base/owner.h"
#include "storage/merge.h"

static void step(struct quorum_read *read);

static unsigned count_of(const struct quorum_read *read,
                         enum quorum_read_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < read->n; i++)
        count += read->votes[i].state == state;
    return count;
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

static void read_fetched(struct quorum_read_vote *vote, struct view answer)
{
    struct frame frame;
    struct record record;
    bool found;

    vote->state = READ_FAILED;
    if (frame_decode(answer, &frame) != KIST_OK || !frame.answer ||
        frame.kind != FRAME_FETCH || frame.status != FRAME_OK ||
        frame.from != vote->voter || frame.items != 1 ||
        frame_next_fetched(&frame.body, vote->read->key, &found, &record) !=
            KIST_OK)
        return;
    vote->state = READ_ANSWERED;
    vote->version = VERSION_NONE;
    if (found)
        consider(vote, &record);
}

static void on_fetched(struct env_call *call, enum env_outcome outcome,
                       struct view answer)
{
    struct quorum_read_vote *vote = OWNER(call, struct quorum_read_vote, call);

    if (outcome == ENV_ANSWERED)
        read_fetched(vote, answer);
    else
        vote->state = READ_FAILED;
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
    vote->call = (struct env_call){
        .to = vote->voter,
        .address = seat->ring->members[member].address,
        .message = blob_view(&vote->message),
        .timeout_ms = read->timeout_ms,
        .done = done,
    };
    read->out++;
    seat->env->ops->send(seat->env, &vote->call);
}

static void begin_message(struct quorum_read_vote *vote, enum frame_kind kind)
{
    struct frame head = seat_head(vote->read->seat, kind, vote->voter);

    head.budget_ms = (uint32_t)vote->read->timeout_ms;
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

/* Ourselves first, who need no message; then whoever is alive, in order. */
static struct quorum_read_vote *next_to_ask(struct quorum_read *read)
{
    const struct seat *seat = read->seat;
    struct quorum_read_vote *best = NULL;
    int best_rank = 0;

    for (unsigned i = 0; i < read->n; i++) {
        struct quorum_read_vote *vote = &read->votes[i];
        int rank = 1 + seat_expects(seat, vote->voter) +
                   2 * (vote->voter == seat->env->self);

        if (vote->state == READ_UNASKED && rank > best_rank) {
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
    if (vote->state == READ_HOLDS)
        return true;
    return vote->state == READ_ANSWERED && read->found &&
           version_compare(vote->version, read->record.version) >= 0;
}

static unsigned holders(const struct quorum_read *read)
{
    unsigned count = 0;

    for (unsigned i = 0; i < read->n; i++)
        count += holds(read, &read->votes[i]);
    return count;
}

static void on_pushed(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct quorum_read_vote *vote = OWNER(call, struct quorum_read_vote, call);
    struct frame_pushed pushed;
    struct frame frame;

    vote->state = READ_FAILED;
    if (outcome == ENV_ANSWERED && frame_decode(answer, &frame) == KIST_OK &&
        frame.answer && frame.kind == FRAME_PUSH && frame.status == FRAME_OK &&
        frame.from == vote->voter && frame.items == 1 &&
        frame_next_pushed(&frame.body, &pushed) == KIST_OK &&
        pushed.result == FRAME_DURABLE)
        vote->state = READ_HOLDS;
    vote->read->repaired += vote->state == READ_HOLDS;
    vote->read->out--;
    step(vote->read);
}

static void on_applied(struct env_apply *apply)
{
    struct quorum_read_vote *vote =
        OWNER(apply, struct quorum_read_vote, apply);

    vote->state = apply->status == KIST_OK ? READ_HOLDS : READ_FAILED;
    vote->read->repaired += vote->state == READ_HOLDS;
    vote->read->out--;
    step(vote->read);
}

static void repair(struct quorum_read_vote *vote)
{
    struct quorum_read *read = vote->read;
    struct env *env = read->seat->env;
    struct frame_push push = {FRAME_REPAIR, ENGINE_SYNC, read->key,
                              read->record};

    vote->state = READ_REPAIRING;
    if (vote->voter == env->self) {
        vote->apply = (struct env_apply){.key = read->key,
                                         .record = read->record,
                                         .sync = ENGINE_SYNC,
                                         .done = on_applied};
        read->out++;
        env->ops->apply(env, &vote->apply);
        return;
    }
    begin_message(vote, FRAME_PUSH);
    frame_add_push(&push, &vote->message);
    call(vote, on_pushed);
}

/* Who answered something older gets the winner. */
static void repair_all(struct quorum_read *read)
{
    for (unsigned i = 0; i < read->n; i++)
        if (read->votes[i].state == READ_ANSWERED &&
            !holds(read, &read->votes[i]))
            repair(&read->votes[i]);
}

/* One step after the other. */

static bool is_after(const struct quorum_read *read)
{
    if (read->found && version_compare(read->record.version, read->after) >= 0)
        return true;
    return read->answers >= read->n - read->w + 1;
}

static void answer(struct quorum_read *read, enum quorum_read_outcome outcome)
{
    read->is_chosen = read->is_answered = true;
    read->outcome = outcome;
    read->answered(read);
}

static void choose(struct quorum_read *read)
{
    read->answers = count_of(read, READ_ANSWERED);
    if (read->answers < read->r ||
        (!version_is_none(read->after) && !is_after(read)))
        return;
    read->is_chosen = true;
}

/* Ask whoever is needed and left; false: nobody was. */
static bool ask_enough(struct quorum_read *read)
{
    /* With r answers and not chosen, it is `after` that wants more of them. */
    unsigned wanted = read->r <= count_of(read, READ_ANSWERED)
                          ? count_of(read, READ_ANSWERED) + 1
                          : read->r;

    bool asked = false;

    while (count_of(read, READ_ANSWERED) + count_of(read, READ_AWAITED) <
           wanted) {
        struct quorum_read_vote *vote = next_to_ask(read);

        if (vote == NULL)
            break;
        ask(vote);
        asked = true;
    }
    return asked;
}

static void end(struct quorum_read *read)
{
    struct env *env = read->seat->env;

    env->ops->timer_stop(env, &read->deadline);
    env->ops->timer_stop(env, &read->hedge);
    for (unsigned i = 0; i < read->n; i++)
        blob_free(&read->votes[i].message);
    struct blob winner = read->winner;
    read->ended(read); /* It may be gone now. */
    blob_free(&winner);
}

static bool is_settled(const struct quorum_read *read)
{
    return !read->found || read->r < majority(read) ||
           holders(read) >= majority(read);
}

/* Nobody is asked any more whose answer could still help. */
static bool is_hopeless(struct quorum_read *read)
{
    return read->out == 0 && (read->is_chosen || next_to_ask(read) == NULL);
}

static void step(struct quorum_read *read)
{
    if (!read->is_chosen)
        choose(read);
    while (!read->is_chosen && ask_enough(read))
        choose(read);
    /* Late answers, too: who is behind and has said so is helped. */
    if (read->is_chosen && read->found && read->outcome == QUORUM_READ_DONE)
        repair_all(read);
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
    struct quorum_read_vote *vote = next_to_ask(read);

    if (!read->is_chosen && vote != NULL && read->out > 0)
        ask(vote);
    if (!read->is_chosen)
        env->ops->timer_set(env, timer, read->hedge_ms);
    step(read);
}

enum kist_status quorum_read_start(struct quorum_read *read, struct seat *seat)
{
    const struct ring *ring = seat->ring;
    const uint16_t *owners;
    unsigned alive = 0;

    if (read->n == 0 || read->n > ring->copies || read->r == 0 ||
        read->r > read->n || read->w == 0 || read->w > read->n)
        return KIST_INVALID;
    owners = ring_owners_of(ring, ring_partition_of(ring, read->key));
    for (unsigned i = 0; i < read->n; i++) {
        uint64_t voter = ring->members[owners[i]].incarnation;

        read->votes[i] =
            (struct quorum_read_vote){.voter = voter, .read = read};
        alive += seat_expects(seat, voter);
    }
    if (alive < read->r)
        return KIST_BUSY;

    read->seat = seat;
    read->found = read->is_chosen = read->is_answered = false;
    read->outcome = QUORUM_READ_DONE;
    read->winner = BLOB_EMPTY;
    read->out = read->repaired = 0;
    read->deadline.fire = on_deadline;
    read->hedge.fire = on_hedge;
    seat->env->ops->timer_set(seat->env, &read->deadline, read->timeout_ms);
    seat->env->ops->timer_set(seat->env, &read->hedge, 0);
    return KIST_OK;
}
