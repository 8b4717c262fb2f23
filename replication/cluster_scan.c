#include "replication/cluster_scan.h"

#include "base/owner.h"

#include <stdlib.h>

enum part_state {
    PART_UNASKED,
    PART_AWAITED,
    PART_ANSWERED,
    PART_FAILED,
};

struct cluster_scan_part {
    struct cluster_scan *scan;
    enum part_state state;
    struct env_call call;
    struct env_scan here; /* Of this node itself. */
    struct blob message;
    struct blob page;

    /* Of the page, once it was checked. */
    struct view rest;
    unsigned left; /* Records in rest; `record` is one more. */
    bool has_record;
    struct scan_page_record record;
    bool is_done;
    struct view place;
};

static void step(struct cluster_scan *scan);

/* Below 0: a comes before b in this scan. */
static int order(const struct cluster_scan *scan, struct view a, struct view b)
{
    int order = view_compare(a, b);

    return scan->range.reverse ? -order : order;
}

/* Whether a key that was told lies before this place. */
static bool is_before(const struct cluster_scan *scan, struct view key,
                      struct view place)
{
    int order = view_compare(key, place);

    return scan->range.reverse ? order >= 0 : order < 0;
}

/* A page that came in. */

static bool is_within(const struct cluster_scan *scan, struct view key)
{
    const struct env_scan_range *range = &scan->range;

    return view_compare(key, range->lower) >= 0 &&
           (range->upper.size == 0 || view_compare(key, range->upper) < 0);
}

/* All of it, before any of it counts: in order, within the range. */
static enum kist_status check_page(struct cluster_scan_part *part,
                                   unsigned count)
{
    const struct cluster_scan *scan = part->scan;
    struct view body = blob_view(&part->page), before = {NULL, 0};
    struct scan_page_record record;
    enum kist_status status = KIST_OK;

    for (unsigned i = 0; i < count; i++) {
        status = scan_page_next(&body, &record);
        if (status != KIST_OK)
            return status;
        if (!is_within(scan, record.key) ||
            (scan->range.values && record.record.value.data == NULL) ||
            (i > 0 && order(scan, before, record.key) >= 0))
            return KIST_CORRUPT;
        before = record.key;
    }
    status = scan_page_last(&body, &part->is_done, &part->place);
    if (status == KIST_OK && !part->is_done && count > 0 &&
        !is_before(scan, before, part->place))
        status = KIST_CORRUPT;
    return status;
}

static void read_page(struct cluster_scan_part *part, unsigned count)
{
    part->rest = blob_view(&part->page);
    part->left = count;
    part->state = !part->page.failed && check_page(part, count) == KIST_OK
                      ? PART_ANSWERED
                      : PART_FAILED;
}

static void on_answer(struct env_call *call, enum env_outcome outcome,
                      struct view answer)
{
    struct cluster_scan_part *part =
        OWNER(call, struct cluster_scan_part, call);
    struct cluster_scan *scan = part->scan;
    struct frame frame;

    part->state = PART_FAILED;
    if (outcome == ENV_ANSWERED && frame_decode(answer, &frame) == KIST_OK &&
        frame.answer && frame.kind == FRAME_SCAN && frame.status == FRAME_OK &&
        frame.from == call->to) {
        blob_append(&part->page, frame.body);
        read_page(part, frame.items);
    }
    scan->out--;
    step(scan);
}

static void on_scanned(struct env_scan *here)
{
    struct cluster_scan_part *part =
        OWNER(here, struct cluster_scan_part, here);
    struct cluster_scan *scan = part->scan;

    part->page = here->page;
    if (here->status == KIST_OK)
        read_page(part, here->count);
    else
        part->state = PART_FAILED;
    scan->out--;
    step(scan);
}

/* Who is asked. */

static void ask_here(struct cluster_scan_part *part)
{
    struct env *env = part->scan->seat->env;

    part->here = (struct env_scan){.ring = part->scan->ring,
                                   .range = part->scan->range,
                                   .done = on_scanned};
    part->scan->out++;
    env->ops->scan(env, &part->here);
}

static void ask(struct cluster_scan *scan, unsigned member)
{
    struct cluster_scan_part *part = &scan->parts[member];
    struct seat *seat = scan->seat;
    const struct ring_member *to = &scan->ring->members[member];
    struct frame head = seat_head(seat, FRAME_SCAN, to->incarnation);

    part->scan = scan;
    part->state = PART_AWAITED;
    scan->asked++;
    if (to->incarnation == seat->env->self) {
        ask_here(part);
        return;
    }
    head.budget_ms = (uint32_t)scan->timeout_ms;
    frame_begin(&head, &part->message);
    scan_page_add_range(&scan->range, &part->message);
    frame_seal(1, &part->message);
    if (part->message.failed) {
        part->state = PART_FAILED;
        return;
    }
    part->call = (struct env_call){
        .to = to->incarnation,
        .address = to->address,
        .message = blob_view(&part->message),
        .timeout_ms = scan->timeout_ms,
        .done = on_answer,
    };
    scan->out++;
    seat->env->ops->send(seat->env, &part->call);
}

/* Of an owner that is not asked yet: ourselves first, nobody who is away. */
static int rank_of(const struct cluster_scan *scan, unsigned member)
{
    uint64_t incarnation = scan->ring->members[member].incarnation;

    if (scan->parts[member].state != PART_UNASKED ||
        !seat_expects(scan->seat, incarnation))
        return 0;
    return incarnation == scan->seat->env->self ? 2 : 1;
}

/* Until r owners of this partition are asked. False: there are not so many. */
static bool cover(struct cluster_scan *scan, const uint16_t *owners)
{
    unsigned asked = 0;

    for (unsigned i = 0; i < scan->n; i++)
        asked += scan->parts[owners[i]].state == PART_AWAITED ||
                 scan->parts[owners[i]].state == PART_ANSWERED;
    while (asked < scan->r) {
        unsigned best = owners[0];

        for (unsigned i = 1; i < scan->n; i++)
            if (rank_of(scan, owners[i]) > rank_of(scan, best))
                best = owners[i];
        if (rank_of(scan, best) == 0)
            return false;
        ask(scan, best);
        asked += scan->parts[best].state == PART_AWAITED;
    }
    return true;
}

static bool cover_all(struct cluster_scan *scan)
{
    unsigned partitions = ring_partitions(scan->ring);

    for (unsigned i = 0; i < partitions; i++)
        if (!cover(scan, ring_owners_of(scan->ring, i)) ||
            !cover(scan, ring_next_of(scan->ring, i)))
            return false;
    return true;
}

/* When all have answered. */

/* As far as every page goes. */
static void find_place(struct cluster_scan *scan)
{
    scan->is_done = true;
    for (unsigned i = 0; i < scan->ring->member_count; i++) {
        const struct cluster_scan_part *part = &scan->parts[i];

        if (part->state != PART_ANSWERED || part->is_done)
            continue;
        if (scan->is_done || order(scan, part->place, scan->place) < 0)
            scan->place = part->place;
        scan->is_done = false;
    }
}

static void answer(struct cluster_scan *scan, enum kist_status status)
{
    scan->status = status;
    if (status == KIST_OK)
        find_place(scan);
    scan->answered(scan);
}

/* Who has failed is made up for, until nobody is left who could. */
static void step(struct cluster_scan *scan)
{
    bool is_covered = scan->ring == scan->seat->ring && cover_all(scan);

    if (scan->out > 0)
        return;
    answer(scan, is_covered ? KIST_OK : KIST_BUSY);
}

/* Nothing is called back within the start. */
static void on_first(struct env_timer *timer)
{
    step(OWNER(timer, struct cluster_scan, first));
}

static bool may_begin(const struct cluster_scan *scan, const uint16_t *owners)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < scan->n; i++)
        alive += seat_expects(scan->seat,
                              scan->ring->members[owners[i]].incarnation);
    return alive >= scan->r;
}

enum kist_status cluster_scan_start(struct cluster_scan *scan,
                                    struct seat *seat)
{
    const struct ring *ring = seat->ring;

    scan->seat = seat;
    scan->ring = ring;
    scan->parts = NULL;
    scan->out = scan->asked = 0;
    scan->is_done = false;
    if (!seat->is_member)
        return KIST_BUSY;
    if (scan->n == 0 || scan->n > ring->copies || scan->r == 0 ||
        scan->r > scan->n)
        return KIST_INVALID;
    for (unsigned i = 0; i < ring_partitions(ring); i++)
        if (!may_begin(scan, ring_owners_of(ring, i)) ||
            !may_begin(scan, ring_next_of(ring, i)))
            return KIST_BUSY;
    scan->parts = calloc(ring->member_count, sizeof(*scan->parts));
    if (scan->parts == NULL)
        return KIST_NO_MEMORY;
    scan->ring = ring_share(ring);
    scan->first = (struct env_timer){.fire = on_first};
    seat->env->ops->timer_set(seat->env, &scan->first, 0);
    return KIST_OK;
}

/* Merging. */

/* The next record of a page, unless it lies behind where all pages end. */
static void refill(struct cluster_scan *scan, struct cluster_scan_part *part)
{
    if (part->state != PART_ANSWERED || part->has_record || part->left == 0)
        return;
    part->left--;
    part->has_record =
        scan_page_next(&part->rest, &part->record) == KIST_OK &&
        (scan->is_done || is_before(scan, part->record.key, scan->place));
    if (!part->has_record)
        part->left = 0;
}

/* Whether b is to be told instead of a: it comes before, or is newer. */
static bool is_better(const struct cluster_scan *scan,
                      const struct scan_page_record *a,
                      const struct scan_page_record *b)
{
    int way = order(scan, b->key, a->key);

    return way < 0 || (way == 0 && version_compare(b->record.version,
                                                   a->record.version) > 0);
}

bool cluster_scan_next(struct cluster_scan *scan,
                       struct scan_page_record *out_record)
{
    const struct scan_page_record *best = NULL;

    for (unsigned i = 0; i < scan->ring->member_count; i++) {
        struct cluster_scan_part *part = &scan->parts[i];

        refill(scan, part);
        if (part->has_record &&
            (best == NULL || is_better(scan, best, &part->record)))
            best = &part->record;
    }
    if (best == NULL)
        return false;
    *out_record = *best;
    for (unsigned i = 0; i < scan->ring->member_count; i++) {
        struct cluster_scan_part *part = &scan->parts[i];

        if (part->has_record && view_equal(part->record.key, out_record->key))
            part->has_record = false;
    }
    return true;
}

void cluster_scan_clear(struct cluster_scan *scan)
{
    for (unsigned i = 0; scan->parts != NULL && i < scan->ring->member_count;
         i++) {
        blob_free(&scan->parts[i].message);
        blob_free(&scan->parts[i].page);
    }
    if (scan->parts != NULL)
        ring_free(scan->ring);
    free(scan->parts);
    scan->parts = NULL;
}
