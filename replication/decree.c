/*
 * A node votes in what it proposes like any other member, by the same code:
 * its own poll answers through a caller instead of a call.
 *
 * A poll has one message out at a time. When the second phase begins, a poll
 * whose first message is not answered yet follows as soon as it is.
 */
#include "replication/decree.h"

#include "base/owner.h"
#include "replication/ring_bytes.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FORMAT = 1,
    HEAD_SIZE = 1 + 8 + 16 + 16, /* Before the ring, of what is kept. */
};

enum poll_state {
    POLL_AWAITED,
    POLL_GRANTED,
    POLL_LOST, /* Refused, or nothing was heard. */
};

struct decree_poll {
    struct decree *decree;
    uint64_t voter;
    enum poll_state state;   /* Of the phase at hand. */
    enum decree_phase asked; /* What its last message was for. */
    bool is_out;
    struct view address; /* In the decree's ring. */
    struct env_call call;
    struct replica_caller self; /* Where our own answer goes. */
    struct blob message;
};

static int compare(struct frame_ballot a, struct frame_ballot b)
{
    if (a.round != b.round)
        return a.round < b.round ? -1 : 1;
    return (a.proposer > b.proposer) - (a.proposer < b.proposer);
}

/* Voting. */

static void encode_promise(const struct decree_promise *promise,
                           struct blob *out)
{
    blob_append_byte(out, FORMAT);
    blob_append_u64(out, promise->epoch);
    frame_add_prepare(promise->promised, out);
    frame_add_prepare(promise->accepted, out);
    blob_append(out, blob_view(&promise->ring));
}

static enum kist_status decode_promise(struct view bytes,
                                       struct decree_promise *out)
{
    struct view ballots = view_from(bytes, 9);
    enum kist_status status;

    if (bytes.size < HEAD_SIZE || bytes.data[0] != FORMAT)
        return KIST_CORRUPT;
    out->epoch = read_u64(bytes.data + 1);
    status = frame_next_prepare(&ballots, &out->promised);
    if (status == KIST_OK)
        status = frame_next_prepare(&ballots, &out->accepted);
    blob_append(&out->ring, ballots);
    if (status == KIST_OK && out->ring.failed)
        status = KIST_NO_MEMORY;
    return status;
}

static void answer(struct decree *decree, const struct frame *frame,
                   bool granted, struct replica_caller *caller)
{
    const struct decree_promise *promise = &decree->promise;
    struct frame_promise said = {granted, promise->promised, promise->accepted,
                                 blob_view(&promise->ring)};
    struct blob bytes = BLOB_EMPTY;

    replica_begin_answer(decree->seat, frame, FRAME_OK, &bytes);
    frame_add_promise(&said, &bytes);
    replica_send_answer(caller, 1, &bytes);
}

static void on_kept(struct env_keep *keep, enum kist_status status)
{
    struct decree *decree = OWNER(keep, struct decree, keep);
    struct replica_caller *caller = decree->caller;

    decree->caller = NULL;
    /* What may not be on the disk is not said; that it is remembered here
     * only makes this node promise less. */
    if (status == KIST_OK)
        answer(decree, &decree->asked, true, caller);
    else
        replica_refuse(decree->seat, &decree->asked, FRAME_BUSY, caller);
}

static void keep(struct decree *decree, const struct frame *frame,
                 struct replica_caller *caller)
{
    struct env *env = decree->seat->env;

    blob_clear(&decree->kept);
    encode_promise(&decree->promise, &decree->kept);
    if (decree->promise.ring.failed || decree->kept.failed) {
        replica_refuse(decree->seat, frame, FRAME_BUSY, caller);
        return;
    }
    decree->caller = caller;
    decree->asked = *frame;
    decree->keep = (struct env_keep){
        .name = VIEW_LITERAL(DECREE_NAME),
        .bytes = blob_view(&decree->kept),
        .done = on_kept,
    };
    env->ops->keep(env, &decree->keep);
}

static void promise(struct decree *decree, const struct frame *frame,
                    struct replica_caller *caller)
{
    struct view body = frame->body;
    struct frame_ballot ballot;

    if (frame_next_prepare(&body, &ballot) != KIST_OK) {
        replica_refuse(decree->seat, frame, FRAME_BAD, caller);
    } else if (compare(ballot, decree->promise.promised) < 0) {
        answer(decree, frame, false, caller);
    } else {
        decree->promise.promised = ballot;
        keep(decree, frame, caller);
    }
}

/* Whether these bytes are a ring that may come after ours. */
static bool is_successor(const struct ring *ring, struct view bytes)
{
    struct ring *next;
    bool is_next;

    if (ring_bytes_decode(bytes, &next) != KIST_OK)
        return false;
    is_next = next->epoch == ring->epoch + 1 && next->cluster == ring->cluster;
    ring_free(next);
    return is_next;
}

static void accept(struct decree *decree, const struct frame *frame,
                   struct replica_caller *caller)
{
    struct view body = frame->body, ring;
    struct frame_ballot ballot;

    if (frame_next_accept(&body, &ballot, &ring) != KIST_OK ||
        !is_successor(decree->seat->ring, ring)) {
        replica_refuse(decree->seat, frame, FRAME_BAD, caller);
    } else if (compare(ballot, decree->promise.promised) < 0) {
        answer(decree, frame, false, caller);
    } else {
        decree->promise.promised = decree->promise.accepted = ballot;
        blob_clear(&decree->promise.ring);
        blob_append(&decree->promise.ring, ring);
        keep(decree, frame, caller);
    }
}

void decree_receive(struct decree *decree, const struct frame *frame,
                    struct replica_caller *caller)
{
    struct decree_promise *promised = &decree->promise;

    if (decree->caller != NULL) {
        replica_refuse(decree->seat, frame, FRAME_BUSY, caller);
        return;
    }
    if (promised->epoch != decree->seat->ring->epoch) {
        blob_clear(&promised->ring);
        *promised = (struct decree_promise){.epoch = decree->seat->ring->epoch,
                                            .ring = promised->ring};
    }
    if (frame->kind == FRAME_PREPARE)
        promise(decree, frame, caller);
    else
        accept(decree, frame, caller);
}

/* Proposing. */

static void cleanup(struct decree *decree)
{
    for (unsigned i = 0; i < decree->poll_count; i++)
        blob_free(&decree->polls[i].message);
    free(decree->polls);
    decree->polls = NULL;
    decree->poll_count = 0;
    ring_free(decree->ring);
    decree->ring = NULL;
    blob_free(&decree->value);
    decree->phase = DECREE_IDLE;
}

static unsigned majority(const struct decree *decree)
{
    return decree->poll_count / 2 + 1;
}

static unsigned count_of(const struct decree *decree, enum poll_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < decree->poll_count; i++)
        count += decree->polls[i].state == state;
    return count;
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view bytes);
static void on_own_answer(struct replica_caller *self, struct view bytes);

static void write_message(struct decree_poll *poll)
{
    struct decree *decree = poll->decree;
    bool is_first = decree->phase == DECREE_PREPARING;
    struct frame head = seat_head(
        decree->seat, is_first ? FRAME_PREPARE : FRAME_ACCEPT, poll->voter);

    head.budget_ms = (uint32_t)decree->timeout_ms;
    blob_clear(&poll->message);
    frame_begin(&head, &poll->message);
    if (is_first)
        frame_add_prepare(decree->ballot, &poll->message);
    else
        frame_add_accept(decree->ballot, blob_view(&decree->value),
                         &poll->message);
    frame_seal(1, &poll->message);
}

static void ask_here(struct decree_poll *poll)
{
    struct decree *decree = poll->decree;
    struct frame frame;

    poll->self.send = on_own_answer;
    if (frame_decode(blob_view(&poll->message), &frame) == KIST_OK)
        decree_receive(decree, &frame, &poll->self);
    else
        on_own_answer(&poll->self, (struct view){0});
}

static void ask(struct decree_poll *poll)
{
    struct decree *decree = poll->decree;
    struct env *env = decree->seat->env;

    poll->asked = decree->phase;
    write_message(poll);
    /* At the next ring already, this one's successor is known. */
    if (poll->message.failed || decree->ring != decree->seat->ring) {
        poll->state = POLL_LOST;
        return;
    }
    poll->is_out = true;
    decree->out++;
    if (poll->voter == env->self) {
        ask_here(poll);
        return;
    }
    poll->call = (struct env_call){
        .to = poll->voter,
        .address = poll->address,
        .message = blob_view(&poll->message),
        .timeout_ms = decree->timeout_ms,
        .done = on_answer,
    };
    env->ops->send(env, &poll->call);
}

static void ask_all(struct decree *decree, enum decree_phase phase)
{
    unsigned count = decree->poll_count;

    decree->phase = phase;
    for (unsigned i = 0; i < count; i++)
        decree->polls[i].state = POLL_AWAITED;
    /* Our own answer may come at once, and decide. */
    decree->out++;
    for (unsigned i = 0; i < count; i++)
        if (decree->phase == phase && !decree->polls[i].is_out)
            ask(&decree->polls[i]);
    decree->out--;
}

static void conclude(struct decree *decree, enum kist_status status)
{
    decree->phase = DECREE_OVER;
    decree->decided(decree, status, blob_view(&decree->value));
}

static void advance(struct decree *decree)
{
    bool has_majority = count_of(decree, POLL_GRANTED) >= majority(decree);
    bool is_lost =
        count_of(decree, POLL_GRANTED) + count_of(decree, POLL_AWAITED) <
        majority(decree);

    switch (decree->phase) {
    case DECREE_PREPARING:
        if (has_majority) {
            ask_all(decree, DECREE_ACCEPTING);
            advance(decree);
            return;
        }
        if (is_lost)
            conclude(decree, KIST_CONFLICT);
        break;
    case DECREE_ACCEPTING:
        if (has_majority)
            conclude(decree, KIST_OK);
        else if (is_lost)
            conclude(decree, KIST_UNKNOWN);
        break;
    case DECREE_OVER:
    case DECREE_IDLE:
        break;
    }
    if (decree->phase == DECREE_OVER && decree->out == 0)
        cleanup(decree);
}

/* Somebody of the majority has accepted this one: it may be decided. */
static void prefer(struct decree *decree, const struct frame_promise *said)
{
    if (compare(said->accepted, decree->best) <= 0)
        return;
    decree->best = said->accepted;
    blob_clear(&decree->value);
    blob_append(&decree->value, said->ring);
}

static void count_vote(struct decree_poll *poll, struct view bytes)
{
    struct decree *decree = poll->decree;
    struct frame_promise said;
    struct frame frame;

    poll->state = POLL_LOST;
    if (frame_decode(bytes, &frame) != KIST_OK || !frame.answer ||
        frame.from != poll->voter)
        return;
    seat_notice(decree->seat, &frame);
    if (frame.status != FRAME_OK || frame.items != 1 ||
        frame_next_promise(&frame.body, &said) != KIST_OK)
        return;
    if (said.promised.round > decree->round)
        decree->round = said.promised.round;
    if (!said.granted)
        return;
    if (decree->phase == DECREE_PREPARING)
        prefer(decree, &said);
    poll->state = decree->value.failed ? POLL_LOST : POLL_GRANTED;
}

static void answered(struct decree_poll *poll, struct view bytes)
{
    struct decree *decree = poll->decree;

    poll->is_out = false;
    decree->out--;
    if (poll->asked == decree->phase)
        count_vote(poll, bytes);
    else if (decree->phase == DECREE_ACCEPTING)
        ask(poll); /* Its first message took long. */
    advance(decree);
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view bytes)
{
    (void)outcome; /* Without an answer there are no bytes. */
    answered(OWNER(call, struct decree_poll, call), bytes);
}

static void on_own_answer(struct replica_caller *self, struct view bytes)
{
    answered(OWNER(self, struct decree_poll, self), bytes);
}

/* The first step: nothing is called back within decree_propose(). */
static void on_timer(struct env_timer *timer)
{
    struct decree *decree = OWNER(timer, struct decree, timer);

    ask_all(decree, DECREE_PREPARING);
    advance(decree);
}

static void add_polls(struct decree *decree)
{
    const struct ring *ring = decree->ring;

    for (unsigned i = 0; i < ring->member_count; i++)
        if (ring->members[i].standing != RING_JOINING)
            decree->polls[decree->poll_count++] = (struct decree_poll){
                .decree = decree,
                .voter = ring->members[i].incarnation,
                .address = ring->members[i].address,
            };
}

enum kist_status decree_propose(struct decree *decree, struct view ring)
{
    const struct seat *seat = decree->seat;

    if (decree->phase != DECREE_IDLE)
        return KIST_BUSY;
    decree->polls = calloc(seat->ring->member_count, sizeof(*decree->polls));
    blob_append(&decree->value, ring);
    if (decree->polls == NULL || decree->value.failed) {
        cleanup(decree);
        return KIST_NO_MEMORY;
    }
    decree->ring = ring_share(seat->ring);
    decree->best = (struct frame_ballot){0};
    if (decree->promise.epoch == decree->ring->epoch &&
        decree->promise.promised.round > decree->round)
        decree->round = decree->promise.promised.round;
    decree->ballot.round = ++decree->round;
    /* Never the same twice, also after a restart that forgot the round. */
    decree->ballot.proposer = seat->env->ops->random(seat->env);
    add_polls(decree);
    decree->phase = DECREE_PREPARING;
    decree->timer.fire = on_timer;
    seat->env->ops->timer_set(seat->env, &decree->timer, 0);
    return KIST_OK;
}

bool decree_is_open(const struct decree *decree, struct view *out_ring)
{
    const struct decree_promise *promise = &decree->promise;

    *out_ring = blob_view(&promise->ring);
    return promise->epoch == decree->seat->ring->epoch &&
           promise->accepted.round != 0;
}

enum kist_status decree_start(struct decree *decree, struct view kept)
{
    assert(decree->phase == DECREE_IDLE && decree->caller == NULL);
    if (kept.size == 0)
        return KIST_OK;
    return decode_promise(kept, &decree->promise);
}

void decree_clear(struct decree *decree)
{
    assert(decree->phase == DECREE_IDLE && decree->caller == NULL);
    blob_free(&decree->promise.ring);
    blob_free(&decree->kept);
    decree->promise = (struct decree_promise){0};
}
