/*
 * listening -> voted -> member, or from either by way of a peer that is a
 * member already: -> member, stranger or outsider. The last two may still
 * become members when a later ring is heard of; members stay what they are.
 */
#include "replication/founding.h"

#include "base/owner.h"
#include "replication/ring_bytes.h"
#include "replication/ring_plan.h"

#include <assert.h>
#include <stdlib.h>

#define NAME VIEW_LITERAL("founding")

enum {
    VOTE = 'v',
    IN_FORCE = 'r',
};

/* What one on the list said last; its incarnation is in the list itself. */
struct founding_peer {
    uint64_t plan;
    uint64_t vote;
};

const char *founding_state_name(enum founding_state state)
{
    switch (state) {
    case FOUNDING_LISTENING:
        return "listening";
    case FOUNDING_VOTED:
        return "voted";
    case FOUNDING_MEMBER:
        return "member";
    case FOUNDING_STRANGER:
        return "stranger";
    case FOUNDING_OUTSIDER:
        return "outsider";
    case FOUNDING_CANDIDATE:
        return "candidate";
    }
    assert(false);
    return "";
}

static void move(struct founding *founding, enum founding_state to)
{
    enum founding_state from = founding->state;

    assert(from != FOUNDING_MEMBER);
    founding->state = to;
    if (from != to)
        founding->moved(founding->ctx, from, to);
}

/* What this node is in a ring. */
static enum founding_state place_in(const struct founding *founding,
                                    const struct ring *ring)
{
    int number = ring_find(ring, founding->name);

    if (number < 0)
        return FOUNDING_OUTSIDER;
    return ring->members[number].incarnation == founding->env->self
               ? FOUNDING_MEMBER
               : FOUNDING_STRANGER;
}

/* The bytes of a ring that is in force, and durable here if we are in it. */
static enum kist_status take_up(struct founding *founding, struct view bytes)
{
    struct ring *ring = NULL;
    enum kist_status status = ring_bytes_decode(bytes, &ring);
    enum founding_state place;

    if (status != KIST_OK)
        return status;
    place = place_in(founding, ring);
    if (place == FOUNDING_MEMBER) {
        founding->ring = ring;
        founding->digest = ring_bytes_digest(bytes);
    } else {
        ring_free(ring);
        founding->refused = ring_bytes_digest(bytes);
    }
    move(founding, place);
    return KIST_OK;
}

/* Keeping: one at a time; what fails is tried again with the next answer. */

static struct view kept_ring(const struct founding *founding)
{
    return view_from(blob_view(&founding->kept), 1);
}

static void on_kept(struct env_keep *keep, enum kist_status status)
{
    struct founding *founding = OWNER(keep, struct founding, keep);

    founding->is_keeping = false;
    if (status == KIST_OK && founding->kept.data[0] == IN_FORCE) {
        status = take_up(founding, kept_ring(founding));
    } else if (status == KIST_OK) {
        founding->vote = ring_bytes_digest(kept_ring(founding));
        move(founding, FOUNDING_VOTED);
    }
    /* Whatever failed, the next answer of a peer begins it again. */
}

/* kept is what is to be written. */
static void keep(struct founding *founding)
{
    if (founding->kept.failed)
        return;
    founding->is_keeping = true;
    founding->keep = (struct env_keep){
        .name = NAME,
        .bytes = blob_view(&founding->kept),
        .done = on_kept,
    };
    founding->env->ops->keep(founding->env, &founding->keep);
}

/* Voting. */

static bool all_are_heard(const struct founding *founding)
{
    const struct ring *list = founding->list;

    for (unsigned i = 0; i < list->member_count; i++)
        if (list->members[i].incarnation == 0 ||
            founding->peers[i].plan != founding->plan)
            return false;
    return true;
}

/* No two clusters have the same number: nobody's incarnation is in both. */
static uint64_t number_of_cluster(const struct founding *founding)
{
    struct blob bytes = BLOB_EMPTY;
    uint64_t number;

    blob_append_u64(&bytes, founding->plan);
    for (unsigned i = 0; i < founding->list->member_count; i++)
        blob_append_u64(&bytes, founding->list->members[i].incarnation);
    number = bytes.failed ? 0 : ring_hash(blob_view(&bytes));
    blob_free(&bytes);
    return number;
}

static void vote(struct founding *founding)
{
    founding->list->cluster = number_of_cluster(founding);
    if (founding->list->cluster == 0)
        return;
    blob_clear(&founding->kept);
    blob_append_byte(&founding->kept, VOTE);
    ring_bytes_encode(founding->list, &founding->kept);
    keep(founding);
}

static bool all_have_voted_alike(const struct founding *founding)
{
    for (unsigned i = 0; i < founding->list->member_count; i++)
        if (founding->peers[i].vote != founding->vote)
            return false;
    return true;
}

/* kept is the ring that was voted for. */
static void enact(struct founding *founding)
{
    founding->kept.data[0] = IN_FORCE;
    keep(founding);
}

static void step(struct founding *founding)
{
    int self;

    if (founding->list == NULL || founding->is_keeping)
        return;
    self = ring_find(founding->list, founding->name);
    founding->peers[self].plan = founding->plan;
    founding->peers[self].vote = founding->vote;
    founding->list->members[self].incarnation = founding->env->self;
    if (founding->state == FOUNDING_LISTENING && all_are_heard(founding))
        vote(founding);
    else if (founding->state == FOUNDING_VOTED &&
             all_have_voted_alike(founding))
        enact(founding);
}

void founding_heard(struct founding *founding, const struct frame *frame,
                    const struct frame_beat *beat)
{
    int number;

    if (founding->list == NULL)
        return;
    number = ring_find(founding->list, beat->name);
    if (number >= 0) {
        founding->list->members[number].incarnation = frame->from;
        founding->peers[number].plan = frame->epoch == 0 ? beat->plan : 0;
        founding->peers[number].vote = beat->vote;
    }
    step(founding);
}

/* Learning. */

bool founding_wants(const struct founding *founding, const struct frame *frame)
{
    return founding->state != FOUNDING_MEMBER && frame->epoch != 0 &&
           frame->digest != founding->refused && !founding->is_keeping;
}

void founding_learn(struct founding *founding, struct view bytes)
{
    struct ring *ring = NULL;
    enum founding_state place;

    if (founding->state == FOUNDING_MEMBER || founding->is_keeping ||
        ring_bytes_decode(bytes, &ring) != KIST_OK)
        return;
    place = place_in(founding, ring);
    ring_free(ring);
    if (place != FOUNDING_MEMBER) {
        founding->refused = ring_bytes_digest(bytes);
        move(founding, place);
        return;
    }
    blob_clear(&founding->kept);
    blob_append_byte(&founding->kept, IN_FORCE);
    blob_append(&founding->kept, bytes);
    keep(founding);
}

/* Beginning and end. */

/* The digest of a first ring as it is before anybody was heard of. */
static enum kist_status plan_of(struct ring *ring, uint64_t *out_plan)
{
    struct blob bytes = BLOB_EMPTY;
    enum kist_status status;

    ring->cluster = 0;
    for (unsigned i = 0; i < ring->member_count; i++)
        ring->members[i].incarnation = 0;
    ring_bytes_encode(ring, &bytes);
    status = bytes.failed ? KIST_NO_MEMORY : KIST_OK;
    if (status == KIST_OK)
        *out_plan = ring_bytes_digest(blob_view(&bytes));
    blob_free(&bytes);
    return status;
}

static enum kist_status read_list(struct founding *founding,
                                  const struct ring *first)
{
    enum kist_status status = ring_plan_create(first, &founding->list);

    if (status != KIST_OK)
        return status;
    if (ring_find(founding->list, founding->name) < 0)
        return KIST_INVALID;
    founding->peers =
        calloc(founding->list->member_count, sizeof(*founding->peers));
    if (founding->peers == NULL)
        return KIST_NO_MEMORY;
    return plan_of(founding->list, &founding->plan);
}

/* With another list others would be asked than the vote is about. */
static enum kist_status read_vote(struct founding *founding)
{
    struct ring *ring = NULL;
    enum kist_status status = ring_bytes_decode(kept_ring(founding), &ring);
    uint64_t plan = 0;

    if (status == KIST_OK)
        status = plan_of(ring, &plan);
    ring_free(ring);
    if (status == KIST_OK && plan != founding->plan)
        status = KIST_INVALID;
    if (status != KIST_OK)
        return status;
    founding->vote = ring_bytes_digest(kept_ring(founding));
    move(founding, FOUNDING_VOTED);
    return KIST_OK;
}

static enum kist_status read_kept(struct founding *founding)
{
    char what;

    if (founding->kept.failed)
        return KIST_NO_MEMORY;
    what = founding->kept.size > 0 ? founding->kept.data[0] : 0;
    if (what == IN_FORCE)
        return take_up(founding, kept_ring(founding));
    return what == VOTE ? read_vote(founding) : KIST_CORRUPT;
}

enum kist_status founding_start(struct founding *founding,
                                const struct ring *first)
{
    struct env *env = founding->env;
    enum kist_status status = KIST_OK;

    founding->state = FOUNDING_LISTENING;
    founding->ring = founding->list = NULL;
    founding->peers = NULL;
    founding->digest = founding->plan = founding->vote = 0;
    founding->refused = 0;
    founding->kept = BLOB_EMPTY;
    founding->is_keeping = false;
    if (first != NULL)
        status = read_list(founding, first);
    if (status != KIST_OK)
        return status;

    status = env->ops->kept(env, NAME, &founding->kept);
    if (status == KIST_OK)
        status = read_kept(founding);
    else if (status == KIST_NOT_FOUND)
        status = first == NULL ? KIST_INVALID : KIST_OK;
    if (status == KIST_OK)
        step(founding);
    return status;
}

void founding_clear(struct founding *founding)
{
    assert(!founding->is_keeping);
    ring_free(founding->ring);
    ring_free(founding->list);
    free(founding->peers);
    blob_free(&founding->kept);
    founding->ring = founding->list = NULL;
    founding->peers = NULL;
}
