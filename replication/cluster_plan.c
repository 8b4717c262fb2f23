#include "replication/cluster_plan.h"

#include "base/owner.h"
#include "replication/cluster_internal.h"
#include "replication/ring_bytes.h"

#include <assert.h>
#include <string.h>

enum { PROBE_MS = 1500 };

static struct cluster *cluster_of(const struct cluster_plan_ask *ask)
{
    return ask->loop->cluster;
}

/* And back. */

static void on_back(struct loop_task *task)
{
    struct cluster_plan_ask *ask = OWNER(task, struct cluster_plan_ask, back);

    ask->loop->errands_out--;
    ask->done(ask);
}

static void answer(struct cluster_plan_ask *ask,
                   enum cluster_plan_verdict verdict)
{
    blob_free(&ask->message);
    ask->verdict = verdict;
    ask->back.run = on_back;
    loop_post(ask->loop->loop, &ask->back);
}

/* Looking. */

static bool is_current(const struct cluster *cluster)
{
    const struct ring *draft = cluster->desk.draft;

    return draft != NULL && draft->cluster == cluster->seat.ring->cluster &&
           draft->epoch == cluster->seat.ring->epoch + 1;
}

static void look(struct cluster_plan_ask *ask)
{
    struct cluster *cluster = cluster_of(ask);

    if (cluster->seat.ring->next != NULL) {
        ask->ring = ring_share(cluster->seat.ring);
        answer(ask, CLUSTER_PLAN_GOOD);
    } else if (is_current(cluster)) {
        ask->ring = ring_share(cluster->desk.draft);
        ask->plan = cluster->desk.id;
        answer(ask, CLUSTER_PLAN_GOOD);
    } else {
        answer(ask, CLUSTER_PLAN_NONE);
    }
}

/* Drafting. */

static void forget_draft(struct cluster_desk *desk)
{
    ring_free(desk->draft);
    desk->draft = NULL;
    desk->id = 0;
}

static uint64_t id_of(const struct ring *ring)
{
    struct blob bytes = BLOB_EMPTY;
    uint64_t id;

    ring_bytes_encode(ring, &bytes);
    id = bytes.failed ? 0 : ring_bytes_digest(blob_view(&bytes));
    blob_free(&bytes);
    return id;
}

/* As change_plan() wants it; its bytes are the desk's. */
static struct ring_change change_of(const struct cluster_desk *desk,
                                    struct ring_member *joining)
{
    struct ring_change change = {.leaving = view_of(desk->leaving)};

    *joining = (struct ring_member){.name = view_of(desk->joining),
                                    .address = view_of(desk->address),
                                    .incarnation = desk->incarnation};
    if (joining->name.size > 0)
        change.joining = joining;
    return change;
}

static void draft(struct cluster_plan_ask *ask, uint64_t incarnation)
{
    struct cluster *cluster = cluster_of(ask);
    struct cluster_desk *desk = &cluster->desk;
    struct ring_member joining;
    struct ring_change change;
    struct ring *ring = NULL;
    enum kist_status status;

    forget_draft(desk);
    memcpy(desk->joining, ask->joining, sizeof(desk->joining));
    memcpy(desk->address, ask->address, sizeof(desk->address));
    memcpy(desk->leaving, ask->leaving, sizeof(desk->leaving));
    desk->incarnation = incarnation;
    change = change_of(desk, &joining);
    status = ring_plan_change(cluster->seat.ring, &change, &ring);
    if (status == KIST_OK) {
        desk->draft = ring;
        desk->id = id_of(ring);
        look(ask);
    } else {
        answer(ask, status == KIST_CONFLICT  ? CLUSTER_PLAN_PENDING
                    : status == KIST_INVALID ? CLUSTER_PLAN_TOO_FEW
                                             : CLUSTER_PLAN_BUSY);
    }
}

/*
 * Of another cluster, or about to found one. Who was a member of this one may
 * come back: what it has is dropped before anything moves to it.
 */
static bool is_taken(const struct ring *ring, const struct frame *frame,
                     const struct frame_beat *beat)
{
    return frame->epoch != 0 ? frame->cluster != ring->cluster
                             : beat->plan != 0;
}

/* Who joins says whose data it has. */
static enum cluster_plan_verdict judge(const struct cluster_plan_ask *ask,
                                       struct view bytes,
                                       uint64_t *out_incarnation)
{
    const struct ring *ring = cluster_of(ask)->seat.ring;
    struct frame frame;
    struct frame_beat beat;

    if (frame_decode(bytes, &frame) != KIST_OK || !frame.answer ||
        frame.kind != FRAME_BEAT || frame.items != 1 ||
        frame_next_beat(&frame.body, &beat) != KIST_OK)
        return CLUSTER_PLAN_SILENT;
    if (!view_is(beat.name, ask->joining))
        return CLUSTER_PLAN_OTHER;
    if (ring_find_incarnation(ring, frame.from) >= 0)
        return CLUSTER_PLAN_MEMBER;
    *out_incarnation = frame.from;
    return is_taken(ring, &frame, &beat) ? CLUSTER_PLAN_TAKEN
                                         : CLUSTER_PLAN_GOOD;
}

static void on_probed(struct env_call *call, enum env_outcome outcome,
                      struct view bytes)
{
    struct cluster_plan_ask *ask = OWNER(call, struct cluster_plan_ask, call);
    uint64_t incarnation = 0;
    enum cluster_plan_verdict verdict = judge(ask, bytes, &incarnation);

    (void)outcome; /* Without an answer there are no bytes. */
    if (verdict == CLUSTER_PLAN_GOOD)
        draft(ask, incarnation);
    else
        answer(ask, verdict);
}

static void probe(struct cluster_plan_ask *ask)
{
    struct cluster *cluster = cluster_of(ask);
    struct env *env = &cluster->env.env;
    struct frame head = seat_head(&cluster->seat, FRAME_BEAT, 0);
    struct frame_beat beat = {.name = view_of(cluster->options.name),
                              .store = env->ops->state(env)};

    head.budget_ms = PROBE_MS;
    frame_begin(&head, &ask->message);
    frame_add_beat(&beat, &ask->message);
    frame_seal(1, &ask->message);
    if (ask->message.failed) {
        answer(ask, CLUSTER_PLAN_BUSY);
        return;
    }
    ask->call = (struct env_call){
        .address = view_of(ask->address),
        .message = blob_view(&ask->message),
        .timeout_ms = PROBE_MS,
        .done = on_probed,
    };
    env->ops->send(env, &ask->call);
}

static bool is_address_of_another(const struct ring *ring,
                                  const struct cluster_plan_ask *ask)
{
    for (unsigned i = 0; i < ring->member_count; i++)
        if (view_is(ring->members[i].address, ask->address) &&
            !view_is(ring->members[i].name, ask->leaving))
            return true;
    return false;
}

/* What can be said without asking who joins. */
static enum cluster_plan_verdict check(const struct cluster_plan_ask *ask)
{
    const struct ring *ring = cluster_of(ask)->seat.ring;
    bool joins = ask->joining[0] != '\0', leaves = ask->leaving[0] != '\0';
    unsigned left = ring->member_count + joins - leaves;

    if (ring->next != NULL)
        return CLUSTER_PLAN_PENDING;
    if (leaves && ring_find(ring, view_of(ask->leaving)) < 0)
        return CLUSTER_PLAN_NO_MEMBER;
    if (joins && (ring_find(ring, view_of(ask->joining)) >= 0 ||
                  is_address_of_another(ring, ask)))
        return CLUSTER_PLAN_MEMBER;
    if (left < ring->copies)
        return CLUSTER_PLAN_TOO_FEW;
    return left > ROLL_MAX ? CLUSTER_PLAN_TOO_MANY : CLUSTER_PLAN_GOOD;
}

static void begin_draft(struct cluster_plan_ask *ask)
{
    enum cluster_plan_verdict verdict = check(ask);

    if (verdict != CLUSTER_PLAN_GOOD)
        answer(ask, verdict);
    else if (ask->joining[0] != '\0')
        probe(ask);
    else
        draft(ask, 0);
}

/* Committing, and giving up: both are decrees. */

static enum cluster_plan_verdict verdict_of(enum kist_status status)
{
    return status == KIST_OK         ? CLUSTER_PLAN_GOOD
           : status == KIST_CONFLICT ? CLUSTER_PLAN_REFUSED
           : status == KIST_UNKNOWN  ? CLUSTER_PLAN_UNKNOWN
                                     : CLUSTER_PLAN_BUSY;
}

static void on_settled(struct change *change, enum kist_status status)
{
    struct cluster *cluster = OWNER(change, struct cluster, change);
    struct cluster_plan_ask *ask = cluster->desk.waiting;

    cluster->desk.waiting = NULL;
    if (status == KIST_OK)
        forget_draft(&cluster->desk);
    if (ask != NULL)
        answer(ask, verdict_of(status));
}

static void await(struct cluster_plan_ask *ask, enum kist_status begun)
{
    struct cluster *cluster = cluster_of(ask);

    if (begun != KIST_OK)
        answer(ask, verdict_of(begun));
    else
        cluster->desk.waiting = ask;
}

static void commit(struct cluster_plan_ask *ask)
{
    struct cluster *cluster = cluster_of(ask);
    struct ring_member joining;
    struct ring_change change;

    if (cluster->seat.ring->next != NULL) {
        answer(ask, CLUSTER_PLAN_PENDING);
    } else if (cluster->desk.draft == NULL) {
        answer(ask, CLUSTER_PLAN_NONE);
    } else if (!is_current(cluster) || cluster->desk.id != ask->id) {
        answer(ask, CLUSTER_PLAN_OUTDATED);
    } else {
        ask->ring = ring_share(cluster->desk.draft);
        change = change_of(&cluster->desk, &joining);
        await(ask, change_plan(&cluster->change, &change));
    }
}

static void give_up(struct cluster_plan_ask *ask)
{
    struct cluster *cluster = cluster_of(ask);
    bool had_draft = is_current(cluster);

    forget_draft(&cluster->desk);
    if (cluster->seat.ring->next != NULL)
        await(ask, change_abort(&cluster->change));
    else
        answer(ask, had_draft ? CLUSTER_PLAN_GOOD : CLUSTER_PLAN_NONE);
}

/* There. */

static void take(struct cluster_plan_ask *ask)
{
    switch (ask->wish) {
    case CLUSTER_PLAN_LOOK:
        look(ask);
        break;
    case CLUSTER_PLAN_DRAFT:
        begin_draft(ask);
        break;
    case CLUSTER_PLAN_COMMIT:
        commit(ask);
        break;
    case CLUSTER_PLAN_ABORT:
        give_up(ask);
        break;
    }
}

static void on_errand(struct errand *errand, enum errand_fate fate)
{
    struct cluster_plan_ask *ask =
        OWNER(errand, struct cluster_plan_ask, errand);
    struct cluster *cluster = cluster_of(ask);

    if (fate == ERRAND_TOO_LATE)
        answer(ask, CLUSTER_PLAN_BUSY);
    else if (!cluster->is_seated || !cluster->seat.is_member)
        answer(ask, CLUSTER_PLAN_OUTSIDE);
    else
        take(ask);
}

void cluster_plan_ask(struct cluster_loop *loop, struct cluster_plan_ask *ask)
{
    ask->loop = loop;
    ask->errand.run = on_errand;
    ask->ring = NULL;
    ask->plan = 0;
    ask->message = BLOB_EMPTY;
    loop->errands_out++;
    errands_add(&loop->cluster->errands, &ask->errand);
}

void cluster_plan_init(struct cluster *cluster)
{
    cluster->change.settled = on_settled;
}

void cluster_plan_clear(struct cluster *cluster)
{
    assert(cluster->desk.waiting == NULL);
    forget_draft(&cluster->desk);
}
