#include "tests/stress/traffic.h"

#include "base/owner.h"
#include "storage/sweep.h"
#include "tests/support/give_up.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = 700 };

/* One key and its write. */
struct lane_key {
    struct traffic *traffic;
    struct traffic_name name;
    struct commit_group group;
    struct write write;
    char value[VALUE_SIZE];
    bool fades;
    bool busy;           /* Its write is under way. */
    struct version last; /* Acknowledged. */
    _Atomic uint64_t acked, tried;
};

struct traffic {
    struct ground ground;
    struct loop *loop;
    struct commit_lane *lane;
    struct loop_timer *timer;
    struct waiters_room *room;
    struct waiter waiter;
    struct sweep *sweep; /* The first loop's. */

    /* Its loop only, until it was closed. */
    struct lane_key keys[TRAFFIC_KEYS];
    struct lane_key counter;
    bool ending;
    uint64_t counted, uncertain, woken, written;
};

struct traffic_name traffic_key(unsigned loop, unsigned key)
{
    struct traffic_name name;

    snprintf(name.text, sizeof(name.text), "%u/%u", loop, key);
    return name;
}

uint64_t traffic_number_in(struct view key, struct view value)
{
    char copy[VALUE_SIZE + 1] = {0};
    char *end;
    uint64_t number;

    if (value.size != VALUE_SIZE || !view_starts_with(value, key) ||
        value.data[key.size] != ':')
        give_up("key %.*s has another's value", (int)key.size, key.data);
    memcpy(copy, value.data, value.size);
    number = strtoull(copy + key.size + 1, &end, 10);
    if (*end != '.' || copy[VALUE_SIZE - 1] != '.')
        give_up("key %.*s has a broken value", (int)key.size, key.data);
    return number;
}

static void fill(struct lane_key *key, uint64_t number)
{
    int size;

    memset(key->value, '.', sizeof(key->value));
    size = snprintf(key->value, sizeof(key->value), "%s:%" PRIu64,
                    key->name.text, number);
    key->value[size] = '.';
}

static enum kist_status
count_up(struct write *write, const struct record *current, struct record *next)
{
    struct lane_key *key = write->ctx;
    uint64_t number = 0;

    if (current != NULL)
        number = traffic_number_in(write->key, current->value);
    fill(key, number + 1);
    next->media_type = VIEW_LITERAL("text/plain");
    next->value = (struct view){key->value, sizeof(key->value)};
    return KIST_OK;
}

/* The next write of key, or later if there can be none now. */
static void submit(struct lane_key *key)
{
    struct traffic *traffic = key->traffic;
    bool counts = key == &traffic->counter;
    uint64_t number = atomic_load(&key->tried) + 1;

    key->write = (struct write){
        .key = view_of(key->name.text),
        .edit = counts ? count_up : NULL,
        .ctx = key,
    };
    if (!counts) {
        fill(key, number);
        key->write.next = (struct record){
            .media_type = VIEW_LITERAL("text/plain"),
            .value = {key->value, sizeof(key->value)},
            .expiry_ms = key->fades ? 1 : 0,
        };
    }
    atomic_store(&key->tried, number);
    key->busy = commit_lane_add(traffic->lane, &key->group) == KIST_OK;
    if (!key->busy)
        loop_timer_set(traffic->timer, 1);
}

static void take_answer(struct lane_key *key)
{
    struct traffic *traffic = key->traffic;
    bool counts = key == &traffic->counter;

    switch (key->write.status) {
    case KIST_OK:
        if (version_compare(key->write.version, key->last) <= 0)
            give_up("key %s: its version does not grow", key->name.text);
        key->last = key->write.version;
        atomic_store(&key->acked, atomic_load(&key->tried));
        traffic->written++;
        traffic->counted += counts;
        return;
    case KIST_UNKNOWN:
        traffic->uncertain += counts;
        return;
    case KIST_DISK_FULL:
    case KIST_READ_ONLY:
        return;
    case KIST_NOT_FOUND:
    case KIST_CONFLICT:
    case KIST_INVALID:
    case KIST_TOO_LARGE:
    case KIST_BUSY:
    case KIST_STOPPING:
    case KIST_CORRUPT:
    case KIST_IO:
    case KIST_NO_MEMORY:
        give_up("key %s: a write answers %s", key->name.text,
                kist_status_name(key->write.status));
    }
}

static void on_done(struct commit_group *group)
{
    struct lane_key *key = OWNER(group, struct lane_key, group);

    key->busy = false;
    take_answer(key);
    if (key->write.status == KIST_OK &&
        !atomic_load(key->traffic->ground.stopping))
        submit(key);
    else
        loop_timer_set(key->traffic->timer, 1);
}

static void on_turn_end(void *ctx)
{
    commit_lane_flush(((struct traffic *)ctx)->lane);
}

static void end_loop(struct traffic *traffic)
{
    if (!traffic->ending && traffic->sweep != NULL)
        sweep_stop(traffic->sweep);
    traffic->ending = true;
    if (!commit_lane_idle(traffic->lane) ||
        (traffic->sweep != NULL && !sweep_idle(traffic->sweep))) {
        loop_timer_set(traffic->timer, 1);
        return;
    }
    waiters_remove(&traffic->waiter);
    sweep_close(traffic->sweep);
    loop_timer_close(traffic->timer);
    loop_stop(traffic->loop);
}

/* Submits what rests, all keys at first. */
static void on_timer(void *ctx)
{
    struct traffic *traffic = ctx;

    if (atomic_load(traffic->ground.stopping)) {
        end_loop(traffic);
        return;
    }
    for (unsigned i = 0; i < TRAFFIC_KEYS; i++)
        if (!traffic->keys[i].busy)
            submit(&traffic->keys[i]);
    if (!traffic->counter.busy)
        submit(&traffic->counter);
}

static void on_wake(struct waiter *waiter)
{
    struct traffic *traffic = OWNER(waiter, struct traffic, waiter);

    traffic->woken++;
}

static void prepare(struct traffic *traffic, struct lane_key *key,
                    struct traffic_name name)
{
    key->traffic = traffic;
    key->name = name;
    key->group = (struct commit_group){
        .writes = &key->write,
        .count = 1,
        .bytes = VALUE_SIZE,
        .sync = ENGINE_SYNC,
        .done = on_done,
    };
}

static void open_parts(struct traffic *traffic, bool sweeps)
{
    const struct ground *ground = &traffic->ground;
    enum kist_status status = loop_open("stress", &traffic->loop);

    if (status == KIST_OK)
        status =
            commit_lane_open(ground->commit, traffic->loop, &traffic->lane);
    if (status == KIST_OK)
        status =
            loop_timer_open(traffic->loop, on_timer, traffic, &traffic->timer);
    if (status == KIST_OK)
        status =
            waiters_room_open(ground->waiters, traffic->loop, &traffic->room);
    if (status == KIST_OK && sweeps)
        status = sweep_open(ground->store, traffic->loop, traffic->lane,
                            ENGINE_SYNC, 1000, &traffic->sweep);
    if (status != KIST_OK)
        give_up("a loop does not open: %s", kist_status_name(status));
}

struct traffic *traffic_open(const struct ground *ground, unsigned number)
{
    struct traffic *traffic = calloc(1, sizeof(*traffic));
    struct traffic_name counter = {TRAFFIC_COUNTER};

    if (traffic == NULL)
        give_up("no memory");
    traffic->ground = *ground;
    open_parts(traffic, number == 0);
    for (unsigned i = 0; i < TRAFFIC_KEYS; i++) {
        prepare(traffic, &traffic->keys[i], traffic_key(number, i));
        traffic->keys[i].fades = i >= TRAFFIC_KEYS - TRAFFIC_FADING;
    }
    prepare(traffic, &traffic->counter, counter);
    return traffic;
}

void traffic_start(struct traffic *traffic)
{
    traffic->waiter.wake = on_wake;
    if (waiters_add(traffic->room, &traffic->waiter,
                    VIEW_LITERAL(TRAFFIC_COUNTER)) != KIST_OK)
        give_up("no waiter");
    loop_on_turn_end(traffic->loop, on_turn_end, traffic);
    loop_timer_set(traffic->timer, 1);
    if (loop_start(traffic->loop) != KIST_OK)
        give_up("no thread");
}

void traffic_close(struct traffic *traffic)
{
    loop_join(traffic->loop);
    /* The others write on, and wake whoever is still in the list. */
    waiters_room_close(traffic->room);
    commit_lane_close(traffic->lane);
    loop_close(traffic->loop);
}

void traffic_free(struct traffic *traffic)
{
    free(traffic);
}

void traffic_expects(const struct traffic *traffic, unsigned key,
                     uint64_t *out_acked, uint64_t *out_tried)
{
    struct lane_key *it = &((struct traffic *)traffic)->keys[key];

    *out_acked = atomic_load(&it->acked);
    *out_tried = atomic_load(&it->tried);
}

uint64_t traffic_counted(const struct traffic *traffic)
{
    return traffic->counted;
}

uint64_t traffic_uncertain(const struct traffic *traffic)
{
    return traffic->uncertain;
}

uint64_t traffic_woken(const struct traffic *traffic)
{
    return traffic->woken;
}

uint64_t traffic_written(const struct traffic *traffic)
{
    return traffic->written;
}
