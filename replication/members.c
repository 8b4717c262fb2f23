/*
 * One timer for all: each turn, everybody who is not being asked is asked. The
 * answer has to come within most of a turn, so that a lost message costs one
 * turn and not two.
 *
 * Besides the turns, a peer is asked at once when it asks and is not known to
 * answer, or says something new; when a call to it failed; and everybody when
 * this node has something new to say. But nobody is asked twice within a
 * quarter of a turn, so two nodes cannot keep each other busy.
 */
#include "replication/members.h"

#include "base/owner.h"
#include "replication/ring_bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A member of the ring or, before there is one, a name on the list. */
struct members_peer {
    struct members_peer *next;
    struct members *members;
    struct view name;
    char address[RING_ADDRESS_MAX + 1];
    unsigned number;       /* In the roll. */
    struct roll_line line; /* What stands there. */
    uint64_t vote;         /* What it said, for founding. */
    struct env_call call;
    struct blob message;
    bool is_asked;  /* The call is under way. */
    bool is_wanted; /* To be asked before its turn. */
    uint64_t asked_at_ms;
    uint64_t clock_at_ms;    /* When its clock was read. */
    uint64_t together_at_ms; /* When it had our ring. */
};

static struct env *env_of(const struct members *members)
{
    return members->seat->env;
}

static uint64_t now_ms(const struct members *members)
{
    return env_of(members)->ops->mono_ms(env_of(members));
}

/* The roll. */

static void write_line(struct members_peer *peer)
{
    roll_write(peer->members->roll, peer->number, &peer->line);
}

static void move(struct members_peer *peer, enum roll_standing to)
{
    struct members *members = peer->members;
    enum roll_standing from = peer->line.standing;

    peer->line.standing = to;
    write_line(peer);
    if (from == to)
        return;
    if (members->moved != NULL)
        members->moved(members->ctx, peer->number, from, to);
    if (to == ROLL_ALIVE && members->seat->ring != NULL)
        members->returned(members->ctx, peer->line.incarnation);
}

static void write_self(struct members *members)
{
    struct seat *seat = members->seat;
    struct roll_line line = {
        .incarnation = seat->env->self,
        .heard = seat->env->self,
        .standing = seat->ring != NULL ? ROLL_ALIVE : ROLL_UNHEARD,
        .store = seat->env->ops->state(seat->env),
        .clock_is_good = fence_state(members->fence) == FENCE_OPEN,
        .heard_at_ms = now_ms(members),
    };

    if (members->self < 0)
        return;
    if (seat->ring != NULL) {
        line.epoch = seat->ring->epoch;
        line.digest = seat->digest;
    }
    roll_write(members->roll, (unsigned)members->self, &line);
}

/* Clocks. */

static void ask_all_soon(struct members *members);

/* What the round trip could have made of it does not count. */
static int64_t surely_ahead_ms(int64_t ahead_ms, uint64_t round_trip_ms)
{
    int64_t doubt_ms = (int64_t)(round_trip_ms / 2);

    if (llabs(ahead_ms) <= doubt_ms)
        return 0;
    return ahead_ms > 0 ? ahead_ms - doubt_ms : ahead_ms + doubt_ms;
}

static void read_clock(struct members_peer *peer, const struct frame *frame)
{
    struct members *members = peer->members;
    uint64_t here_ms = env_of(members)->ops->wall_ms(env_of(members));
    int64_t ahead_ms =
        (int64_t)(frame->wall_ms + peer->line.round_trip_ms / 2 - here_ms);

    peer->line.clock_ahead_ms =
        surely_ahead_ms(ahead_ms, peer->line.round_trip_ms);
    peer->clock_at_ms = peer->line.heard_at_ms;
}

static bool has_a_say(const struct members_peer *peer)
{
    const struct members *members = peer->members;
    uint64_t age_ms = now_ms(members) - peer->clock_at_ms;

    return peer->line.standing == ROLL_ALIVE && age_ms <= members->silence_ms &&
           peer->clock_at_ms > fence_valid_from_ms(members->fence);
}

static void judge_clock(struct members *members)
{
    const struct ring *ring = members->seat->ring;
    enum fence_state before = fence_state(members->fence);
    int64_t ahead_ms[ROLL_MAX];
    unsigned count = 0;

    if (ring == NULL || ring->epoch == 0)
        return;
    for (const struct members_peer *p = members->peers; p != NULL; p = p->next)
        if (has_a_say(p))
            ahead_ms[count++] = p->line.clock_ahead_ms;
    fence_judge(members->fence, ahead_ms, count, ring->member_count);
    write_self(members);
    if (fence_state(members->fence) != before)
        ask_all_soon(members);
}

/* Asking. */

static void add_self(struct members *members, struct blob *out)
{
    struct founding *founding = &members->founding;
    struct frame_beat beat = {
        .name = members->name,
        .store = env_of(members)->ops->state(env_of(members)),
        .clock_is_good = fence_state(members->fence) == FENCE_OPEN,
        .plan = founding->plan,
        .vote = founding->vote,
    };

    frame_add_beat(&beat, out);
}

static void on_beat(struct env_call *call, enum env_outcome outcome,
                    struct view answer);

/* The message has its items. */
static void send(struct members_peer *peer, unsigned items,
                 void (*done)(struct env_call *call, enum env_outcome outcome,
                              struct view answer))
{
    struct members *members = peer->members;

    frame_seal(items, &peer->message);
    if (peer->message.failed)
        return;
    peer->call = (struct env_call){
        .to = peer->line.incarnation,
        .address = view_of(peer->address),
        .message = blob_view(&peer->message),
        .timeout_ms = members->beat_ms * 4 / 5,
        .done = done,
    };
    peer->is_asked = true;
    peer->is_wanted = false;
    peer->asked_at_ms = now_ms(members);
    env_of(members)->ops->send(env_of(members), &peer->call);
}

static void begin(struct members_peer *peer, enum frame_kind kind)
{
    struct members *members = peer->members;
    struct frame head = seat_head(members->seat, kind, peer->line.incarnation);

    head.budget_ms = (uint32_t)members->beat_ms;
    blob_clear(&peer->message);
    frame_begin(&head, &peer->message);
}

static void ask(struct members_peer *peer)
{
    if (peer->members->is_stopped || peer->line.standing == ROLL_GONE ||
        peer->is_asked)
        return;
    begin(peer, FRAME_BEAT);
    add_self(peer->members, &peer->message);
    send(peer, 1, on_beat);
}

/* Nothing happens later than it would have. */
static void tick_at(struct members *members, uint64_t at_ms)
{
    struct env *env = env_of(members);
    uint64_t here_ms = now_ms(members);

    if (members->is_stopped ||
        (members->tick_at_ms > here_ms && members->tick_at_ms <= at_ms))
        return;
    members->tick_at_ms = at_ms;
    env->ops->timer_set(env, &members->tick,
                        at_ms > here_ms ? at_ms - here_ms : 0);
}

static void ask_soon(struct members_peer *peer)
{
    struct members *members = peer->members;
    uint64_t from_ms = peer->asked_at_ms + members->beat_ms / 4;

    peer->is_wanted = true;
    if (peer->is_asked)
        return; /* When that is over. */
    if (now_ms(members) >= from_ms)
        ask(peer);
    else
        tick_at(members, from_ms);
}

static void ask_all_soon(struct members *members)
{
    for (struct members_peer *p = members->peers; p != NULL; p = p->next)
        ask_soon(p);
}

/* Answers. */

static bool has_our_ring(const struct seat *seat, const struct frame *frame)
{
    return frame->cluster == seat->ring->cluster &&
           frame->epoch == seat->ring->epoch && frame->digest == seat->digest;
}

/* Members go on to the next ring one after the other, in a moment. */
static bool is_on_its_way(const struct members_peer *peer,
                          const struct frame *frame)
{
    const struct members *members = peer->members;

    return frame->cluster == members->seat->ring->cluster &&
           peer->line.standing == ROLL_ALIVE &&
           now_ms(members) - peer->together_at_ms <= members->silence_ms;
}

static enum roll_standing standing_of(struct members_peer *peer,
                                      const struct frame *frame,
                                      const struct frame_beat *beat)
{
    const struct members *members = peer->members;
    const struct seat *seat = members->seat;

    if (!view_equal(beat->name, peer->name))
        return ROLL_STRANGER;
    if (seat->ring == NULL)
        return frame->epoch == 0 && beat->plan != members->founding.plan
                   ? ROLL_ELSEWHERE
                   : ROLL_ALIVE;
    if (frame->from != peer->line.incarnation)
        return ROLL_STRANGER;
    if (has_our_ring(seat, frame))
        peer->together_at_ms = now_ms(members);
    else if (!is_on_its_way(peer, frame))
        return ROLL_ELSEWHERE;
    return ROLL_ALIVE;
}

static void on_ring(struct env_call *call, enum env_outcome outcome,
                    struct view answer)
{
    struct members_peer *peer = OWNER(call, struct members_peer, call);
    struct members *members = peer->members;
    struct frame frame;
    struct view bytes;

    peer->is_asked = false;
    if (members->is_stopped)
        return;
    if (outcome == ENV_ANSWERED && frame_decode(answer, &frame) == KIST_OK &&
        frame.answer && frame.kind == FRAME_RING && frame.status == FRAME_OK &&
        frame.items == 1 && frame_next_ring(&frame.body, &bytes) == KIST_OK)
        founding_learn(&members->founding, bytes);
    if (peer->is_wanted)
        ask_soon(peer);
}

static void take_answer(struct members_peer *peer, const struct frame *frame,
                        const struct frame_beat *beat)
{
    struct members *members = peer->members;
    struct founding *founding = &members->founding;
    enum roll_standing standing = standing_of(peer, frame, beat);
    struct roll_line *line = &peer->line;

    line->heard = frame->from;
    line->heard_at_ms = now_ms(members);
    line->round_trip_ms = line->heard_at_ms - peer->asked_at_ms;
    line->store = beat->store;
    line->clock_is_good = beat->clock_is_good;
    line->epoch = frame->epoch;
    line->digest = frame->digest;
    peer->vote = beat->vote;
    read_clock(peer, frame);
    move(peer, standing);
    if (members->seat->ring != NULL) {
        seat_notice(members->seat, frame);
    } else if (standing != ROLL_STRANGER && founding_wants(founding, frame)) {
        begin(peer, FRAME_RING);
        send(peer, 0, on_ring);
    } else if (standing == ROLL_ALIVE) {
        founding_heard(founding, frame, beat);
    }
    if (fence_state(members->fence) != FENCE_OPEN)
        judge_clock(members);
}

static void on_beat(struct env_call *call, enum env_outcome outcome,
                    struct view answer)
{
    struct members_peer *peer = OWNER(call, struct members_peer, call);
    struct frame_beat beat;
    struct frame frame;

    peer->is_asked = false;
    if (peer->members->is_stopped || peer->line.standing == ROLL_GONE)
        return;
    if (outcome == ENV_ANSWERED && frame_decode(answer, &frame) == KIST_OK &&
        frame.answer && frame.kind == FRAME_BEAT && frame.items == 1 &&
        frame_next_beat(&frame.body, &beat) == KIST_OK)
        take_answer(peer, &frame, &beat);
    else if (outcome == ENV_NOT_SENT && peer->line.standing != ROLL_UNHEARD)
        move(peer, ROLL_SILENT); /* Nobody is there at all. */
    if (peer->is_wanted)
        ask_soon(peer);
}

static void fall_silent(struct members_peer *peer)
{
    uint64_t silence_ms = now_ms(peer->members) - peer->line.heard_at_ms;

    switch (peer->line.standing) {
    case ROLL_ALIVE:
    case ROLL_STRANGER:
    case ROLL_ELSEWHERE:
        if (silence_ms > peer->members->silence_ms)
            move(peer, ROLL_SILENT);
        break;
    case ROLL_UNHEARD:
    case ROLL_SILENT:
    case ROLL_GONE:
        break;
    }
}

/* A little uneven: nodes must not keep step. */
static uint64_t next_turn_ms(struct members *members)
{
    uint64_t spread_ms = env_of(members)->ops->random(env_of(members)) %
                         (members->beat_ms / 8 + 1);

    return now_ms(members) + members->beat_ms - spread_ms;
}

static void on_tick(struct env_timer *timer)
{
    struct members *members = OWNER(timer, struct members, tick);
    bool is_turn = now_ms(members) >= members->turn_at_ms;

    for (struct members_peer *p = members->peers; p != NULL; p = p->next) {
        if (is_turn)
            fall_silent(p);
        if (is_turn || p->is_wanted)
            ask(p);
    }
    if (is_turn) {
        judge_clock(members);
        write_self(members);
        members->turn_at_ms = next_turn_ms(members);
    }
    tick_at(members, members->turn_at_ms);
}

/* Who there is. */

static struct members_peer *peer_of(const struct members *members,
                                    struct view name)
{
    struct members_peer *peer = members->peers;

    while (peer != NULL && !view_equal(peer->name, name))
        peer = peer->next;
    return peer;
}

static struct members_peer *peer_new(struct members *members, struct view name)
{
    int number = roll_enter(members->roll, name);
    struct members_peer *peer = number < 0 ? NULL : calloc(1, sizeof(*peer));

    if (peer == NULL)
        return NULL;
    peer->members = members;
    peer->number = (unsigned)number;
    peer->name = view_of(roll_name(members->roll, peer->number));
    peer->line.standing = ROLL_UNHEARD;
    peer->next = members->peers;
    members->peers = peer;
    return peer;
}

static enum kist_status enter(struct members *members,
                              const struct ring_member *member)
{
    struct members_peer *peer = peer_of(members, member->name);
    bool is_another;

    if (view_equal(member->name, members->name) ||
        member->incarnation == env_of(members)->self) {
        members->self = roll_enter(members->roll, member->name);
        return members->self < 0 ? KIST_INVALID : KIST_OK;
    }
    if (peer == NULL)
        peer = peer_new(members, member->name);
    if (peer == NULL)
        return roll_count(members->roll) == ROLL_MAX ? KIST_INVALID
                                                     : KIST_NO_MEMORY;
    assert(member->address.size <= RING_ADDRESS_MAX);
    memcpy(peer->address, member->address.data, member->address.size);
    peer->address[member->address.size] = '\0';
    is_another = peer->line.incarnation != member->incarnation;
    peer->line.incarnation = member->incarnation;
    if (peer->line.standing == ROLL_GONE)
        move(peer, ROLL_UNHEARD);
    else if (peer->line.standing == ROLL_ALIVE && is_another)
        move(peer, ROLL_ELSEWHERE); /* Until it shows that it has this ring. */
    write_line(peer);
    return KIST_OK;
}

static enum kist_status enter_all(struct members *members,
                                  const struct ring *ring)
{
    enum kist_status status = KIST_OK;

    for (unsigned i = 0; status == KIST_OK && i < ring->member_count; i++)
        status = enter(members, &ring->members[i]);
    return status;
}

static void drop_others(struct members *members, const struct ring *ring)
{
    for (struct members_peer *p = members->peers; p != NULL; p = p->next)
        if (ring_find(ring, p->name) < 0)
            move(p, ROLL_GONE);
}

enum kist_status members_follow(struct members *members)
{
    const struct ring *ring = members->seat->ring;
    enum kist_status status;

    if (ring->epoch == 0)
        return KIST_OK; /* Of this node alone, which waits for one. */
    status = enter_all(members, ring);
    drop_others(members, ring);
    judge_clock(members);
    ask_all_soon(members);
    return status;
}

static void on_founding_moved(void *ctx, enum founding_state from,
                              enum founding_state to)
{
    struct members *members = ctx;
    struct founding *founding = &members->founding;

    if (members->founded != NULL)
        members->founded(members->ctx, from, to);
    if (members->is_stopped)
        return;
    if (to != FOUNDING_MEMBER) {
        ask_all_soon(members);
        return;
    }
    seat_adopt(members->seat, ring_share(founding->ring), founding->digest);
    members->status = members_follow(members);
    members->joined(members->ctx);
}

/* What the outside calls. */

/* The seat has none: one is found on the disk, or founded. */
static enum kist_status begin_founding(struct members *members)
{
    enum kist_status status =
        founding_start(&members->founding, members->first);

    if (status == KIST_OK)
        status = members->status;
    if (status == KIST_OK && members->seat->ring == NULL &&
        members->founding.list != NULL)
        status = enter_all(members, members->founding.list);
    return status;
}

enum kist_status members_start(struct members *members)
{
    enum kist_status status;

    members->founding = (struct founding){.env = env_of(members),
                                          .name = members->name,
                                          .ctx = members,
                                          .moved = on_founding_moved};
    members->peers = NULL;
    members->self = -1;
    members->is_stopped = false;
    members->tick = (struct env_timer){.fire = on_tick};
    members->tick_at_ms = members->turn_at_ms = 0;
    members->status = KIST_OK;
    members->is_given = members->seat->ring != NULL;
    status =
        members->is_given ? members_follow(members) : begin_founding(members);
    if (status != KIST_OK)
        return status;
    write_self(members);
    tick_at(members, now_ms(members));
    return KIST_OK;
}

void members_stop(struct members *members)
{
    members->is_stopped = true;
    env_of(members)->ops->timer_stop(env_of(members), &members->tick);
}

void members_clear(struct members *members)
{
    while (members->peers != NULL) {
        struct members_peer *peer = members->peers;

        assert(!peer->is_asked);
        members->peers = peer->next;
        blob_free(&peer->message);
        free(peer);
    }
    founding_clear(&members->founding);
    if (members->is_given)
        return;
    ring_free(members->seat->ring);
    members->seat->ring = NULL;
    members->seat->is_member = false;
}

void members_doubt(struct members *members, uint64_t incarnation)
{
    for (struct members_peer *p = members->peers; p != NULL; p = p->next)
        if (p->line.incarnation == incarnation &&
            p->line.standing == ROLL_ALIVE)
            ask_soon(p);
}

/* Answering. */

bool members_takes(struct view message)
{
    return message.size >= FRAME_HEAD_SIZE &&
           (message.data[3] == FRAME_BEAT || message.data[3] == FRAME_RING);
}

static bool says_news(const struct members_peer *peer,
                      const struct frame *frame, const struct frame_beat *beat)
{
    const struct roll_line *line = &peer->line;

    return line->heard != frame->from || line->epoch != frame->epoch ||
           line->digest != frame->digest || line->store != beat->store ||
           line->clock_is_good != beat->clock_is_good ||
           peer->vote != beat->vote;
}

/* Somebody has asked us: does it say anything that we did not know? */
static void hear(struct members *members, const struct frame *frame)
{
    struct view body = frame->body;
    struct members_peer *peer;
    struct frame_beat beat;

    if (frame_next_beat(&body, &beat) != KIST_OK)
        return;
    peer = peer_of(members, beat.name);
    if (peer != NULL &&
        (peer->line.standing == ROLL_UNHEARD ||
         peer->line.standing == ROLL_SILENT || says_news(peer, frame, &beat)))
        ask_soon(peer);
}

/* Appends what the kind wants; the answer has as many items. */
static unsigned add_answer(struct members *members, enum frame_kind kind,
                           struct blob *answer)
{
    const struct ring *ring = members->seat->ring;
    struct blob bytes = BLOB_EMPTY;

    if (kind == FRAME_BEAT) {
        add_self(members, answer);
        return 1;
    }
    if (kind != FRAME_RING || ring == NULL || ring->epoch == 0)
        return 0;
    ring_bytes_encode(ring, &bytes);
    frame_add_ring(blob_view(&bytes), answer);
    answer->failed |= bytes.failed;
    blob_free(&bytes);
    return 1;
}

void members_receive(struct members *members, struct view message,
                     struct replica_caller *caller)
{
    struct blob answer = BLOB_EMPTY;
    struct frame frame = {.kind = FRAME_BEAT}, head;
    bool is_good = frame_decode(message, &frame) == KIST_OK && !frame.answer;
    unsigned items = 0;

    head = seat_head(members->seat, frame.kind, frame.from);
    head.answer = true;
    head.status = is_good ? FRAME_OK : FRAME_BAD;
    frame_begin(&head, &answer);
    if (is_good)
        items = add_answer(members, frame.kind, &answer);
    frame_seal(items, &answer);
    if (answer.failed)
        blob_clear(&answer);
    /* Before the answer, with which the message may be gone. */
    if (is_good && frame.kind == FRAME_BEAT)
        hear(members, &frame);
    caller->send(caller, blob_view(&answer));
    blob_free(&answer);
}
