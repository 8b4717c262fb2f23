#include "tests/storage/node.h"

#include "base/clock.h"
#include "storage/cache.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum kist_status node_open_store(struct node *node)
{
    size_t buffer = node->write_buffer_bytes;
    struct store_options options = {
        .path = node->path,
        .engine.write_buffer_bytes = buffer != 0 ? buffer : 1 << 20,
        .engine.block_cache_bytes = 1 << 20,
        .engine.max_open_files = 100,
        .cache_bytes = CACHE_BYTES_MIN, /* Tiny: entries come and go. */
        .ballast_bytes = 1 << 16,
        .reserve_bytes = 1 << 20,
        .replicated = node->replicated,
    };

    return store_open(&options, &node->hooks, &node->fault, &node->store);
}

static void open_lane(struct node *node)
{
    cr_assert(loop_open("node", &node->loop) == KIST_OK);
    cr_assert(commit_lane_open(node->commit, node->loop, &node->lane) ==
              KIST_OK);
}

static void close_lane(struct node *node)
{
    commit_lane_close(node->lane);
    loop_close(node->loop);
}

static void on_changed(void *ctx, struct view key)
{
    struct node *node = ctx;

    (void)key;
    atomic_fetch_add(&node->changes, 1);
}

void node_open_commit(struct node *node)
{
    struct commit_options options = {
        .queue_bytes = 1 << 20, .ctx = node, .changed = on_changed};

    cr_assert(commit_open(node->store, &options, &node->commit) == KIST_OK);
    open_lane(node);
}

void node_start(struct node *node)
{
    enum kist_status status = node_open_store(node);

    cr_assert(status == KIST_OK, "%s: %s", kist_status_name(status),
              node->fault.text);
    node_open_commit(node);
}

void node_stop(struct node *node)
{
    commit_close(node->commit);
    close_lane(node);
    store_close(node->store);
    node->store = NULL;
}

void node_prepare(struct node *node)
{
    *node = (struct node){0};
    scratch_make(&node->scratch);
    snprintf(node->path, sizeof(node->path), "%s/data", node->scratch.path);
}

void node_open(struct node *node)
{
    node_prepare(node);
    node_start(node);
}

void node_close(struct node *node)
{
    node_stop(node);
    scratch_remove(&node->scratch);
}

void node_restart(struct node *node)
{
    node_stop(node);
    node_start(node);
}

/* One turn of the loop hands all over; the last answer stops it. */
struct turn {
    struct loop_task task;
    struct node *node;
    struct commit_group *const *groups;
    size_t count, waiting;
};

static struct turn *turn_of_node; /* One test process, one turn at a time. */

static void arrived(void)
{
    if (--turn_of_node->waiting == 0)
        loop_stop(turn_of_node->node->loop);
}

static void on_done(struct commit_group *group)
{
    (void)group;
    arrived();
}

static void hand_over(struct loop_task *task)
{
    struct turn *turn = turn_of_node;

    (void)task;
    for (size_t i = 0; i < turn->count; i++) {
        struct commit_group *group = turn->groups[i];
        enum kist_status status;

        group->done = on_done;
        status = commit_lane_add(turn->node->lane, group);
        if (status == KIST_OK)
            continue;
        for (size_t j = 0; j < group->count; j++)
            group->writes[j].status = status;
        arrived();
    }
    commit_lane_flush(turn->node->lane);
}

void node_turn(struct node *node, struct commit_group *const groups[],
               size_t count)
{
    struct turn turn = {
        .task.run = hand_over,
        .node = node,
        .groups = groups,
        .count = count,
        .waiting = count,
    };

    turn_of_node = &turn;
    loop_post(node->loop, &turn.task);
    loop_run(node->loop);
}

void node_renew(struct node *node)
{
    close_lane(node);
    open_lane(node);
}

void node_commit(struct node *node, struct commit_group *const groups[],
                 size_t count)
{
    node_turn(node, groups, count);
    node_renew(node);
}

enum kist_status node_write(struct node *node, struct write *write)
{
    struct commit_group group = {
        .writes = write, .count = 1, .bytes = 100, .sync = ENGINE_SYNC};

    node_commit(node, (struct commit_group *const[]){&group}, 1);
    return write->status;
}

struct write node_put(const char *key, const char *value)
{
    return (struct write){
        .key = view_of(key),
        .next = {.media_type = VIEW_LITERAL("text/plain"),
                 .value = view_of(value)},
    };
}

struct write node_delete(const char *key)
{
    return (struct write){.key = view_of(key), .next.tombstone = true};
}

bool node_has(struct node *node, const char *key, const char *value)
{
    struct item item;
    enum kist_status status = store_get(node->store, view_of(key), &item);
    bool same;

    if (status == KIST_NOT_FOUND)
        return value == NULL;
    cr_assert(status == KIST_OK);
    if (record_is_dead(&item.record, clock_wall_ms()))
        same = value == NULL;
    else
        same = value != NULL && view_is(item.record.value, value);
    item_free(&item);
    return same;
}

void node_damage(struct node *node, const char *key)
{
    struct engine_batch batch = {0};
    struct blob bytes = BLOB_EMPTY, engine_key = BLOB_EMPTY;
    struct item item;

    cr_assert(store_get(node->store, view_of(key), &item) == KIST_OK);
    record_encode(view_of(key), &item.record, &bytes);
    item_free(&item);
    bytes.data[bytes.size - 1] ^= 1;
    blob_append_byte(&engine_key, STORE_SPACE_RECORDS);
    blob_append_text(&engine_key, key);
    engine_batch_put(&batch, blob_view(&engine_key), blob_view(&bytes));
    cr_assert(store_apply(node->store, &batch, store_opening(node->store),
                          ENGINE_SYNC) == KIST_OK);
    engine_batch_free(&batch);
    blob_free(&bytes);
    blob_free(&engine_key);
    node_restart(node); /* The cache believes what is written. */
    cr_assert(store_get(node->store, view_of(key), &item) == KIST_CORRUPT);
}
