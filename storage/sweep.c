/*
 * A round: a pool thread reads the expiry entries up to now, then the loop
 * hands one group to the commit, and ten rounds a second make the rate.
 */
#include "storage/sweep.h"

#include "base/clock.h"
#include "base/owner.h"
#include "storage/cursor.h"

#include <assert.h>
#include <stdlib.h>

#define ROUNDS_PER_SECOND 10

struct sweep {
    /* Set when opened, then read-only. */
    struct store *store;
    struct loop *loop;
    struct commit_lane *lane;
    size_t limit; /* Keys a round. */

    /* The loop, or the pool thread while a round reads. */
    struct loop_timer *timer;
    struct loop_work work;
    struct commit_group group;
    struct write *writes; /* limit of them. */
    struct blob keys;     /* The bytes that writes[].key point to. */
    bool busy;
    bool stopping;

    struct sweep_stats stats;
};

static struct sweep *of_work(struct loop_work *work)
{
    return OWNER(work, struct sweep, work);
}

static struct sweep *of_group(struct commit_group *group)
{
    return OWNER(group, struct sweep, group);
}

static void rest(struct sweep *sweep)
{
    sweep->busy = false;
    if (!sweep->stopping)
        loop_timer_set(sweep->timer, 1000 / ROUNDS_PER_SECOND);
}

/* An entry is the expiry in 8 bytes, then the key. */
static void collect(struct sweep *sweep, struct cursor *cursor, uint64_t now_ms)
{
    struct view entry;

    for (cursor_seek(cursor, (struct view){0});
         sweep->group.count < sweep->limit && cursor_key(cursor, &entry);
         cursor_next(cursor)) {
        if (entry.size <= 8 || read_u64(entry.data) > now_ms)
            break;

        struct view key = view_from(entry, 8);
        blob_append(&sweep->keys, key);
        sweep->writes[sweep->group.count++] = (struct write){
            .key = {NULL, key.size}, /* The blob may still move. */
            .next.expiry_ms = read_u64(entry.data),
            .kind = WRITE_EXPIRE,
        };
    }
}

static void read_entries(struct loop_work *work)
{
    struct sweep *sweep = of_work(work);
    struct cursor *cursor;
    size_t offset = 0;

    sweep->group.count = 0;
    blob_clear(&sweep->keys);
    if (cursor_open(sweep->store, CURSOR_EXPIRIES, &cursor) != KIST_OK)
        return; /* The store is reopening: another round will do. */
    collect(sweep, cursor, clock_wall_ms());
    cursor_close(cursor);

    if (sweep->keys.failed)
        sweep->group.count = 0;
    for (size_t i = 0; i < sweep->group.count; i++) {
        sweep->writes[i].key.data = sweep->keys.data + offset;
        offset += sweep->writes[i].key.size;
    }
}

static void swept(struct commit_group *group)
{
    struct sweep *sweep = of_group(group);

    for (size_t i = 0; i < group->count; i++)
        if (group->writes[i].status == KIST_OK)
            counter_add(&sweep->stats.expired, 1);
    rest(sweep);
}

static void hand_over(struct loop_work *work)
{
    struct sweep *sweep = of_work(work);

    if (sweep->group.count == 0 || sweep->stopping) {
        rest(sweep);
        return;
    }
    sweep->group.bytes =
        sweep->keys.size + sweep->group.count * sizeof(struct write);
    if (commit_lane_add(sweep->lane, &sweep->group) != KIST_OK)
        rest(sweep); /* Full queue or full disk: clients come first. */
}

static void on_timer(void *ctx)
{
    struct sweep *sweep = ctx;

    sweep->busy = true;
    if (loop_work(sweep->loop, &sweep->work) != KIST_OK)
        rest(sweep);
}

enum kist_status sweep_open(struct store *store, struct loop *loop,
                            struct commit_lane *lane, enum engine_sync sync,
                            uint64_t keys_per_second, struct sweep **out_sweep)
{
    struct sweep *sweep = calloc(1, sizeof(*sweep));
    enum kist_status status = KIST_NO_MEMORY;

    if (sweep == NULL)
        return KIST_NO_MEMORY;
    assert(keys_per_second >= ROUNDS_PER_SECOND);
    sweep->store = store;
    sweep->loop = loop;
    sweep->lane = lane;
    sweep->limit = keys_per_second / ROUNDS_PER_SECOND;
    sweep->work = (struct loop_work){.run = read_entries, .done = hand_over};
    sweep->writes = calloc(sweep->limit, sizeof(*sweep->writes));
    sweep->group.writes = sweep->writes;
    sweep->group.sync = sync;
    sweep->group.done = swept;
    if (sweep->writes != NULL)
        status = loop_timer_open(loop, on_timer, sweep, &sweep->timer);
    if (status != KIST_OK) {
        sweep_close(sweep);
        return status;
    }
    rest(sweep);
    *out_sweep = sweep;
    return KIST_OK;
}

void sweep_stop(struct sweep *sweep)
{
    sweep->stopping = true;
    loop_timer_stop(sweep->timer);
}

bool sweep_idle(const struct sweep *sweep)
{
    return !sweep->busy;
}

void sweep_close(struct sweep *sweep)
{
    if (sweep == NULL)
        return;
    assert(!sweep->busy);
    loop_timer_close(sweep->timer);
    blob_free(&sweep->keys);
    free(sweep->writes);
    free(sweep);
}

struct sweep_stats *sweep_stats(struct sweep *sweep)
{
    return &sweep->stats;
}
