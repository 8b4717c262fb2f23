#include "storage/redis_map.h"

#include "base/clock.h"
#include "storage/redis_line.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct redis_map {
    /* Set when opened, then read-only. */
    struct redis_map_options options;
    struct redis_slot_tags tags;

    struct redis_map_stats stats; /* Any thread. */

    _Atomic(struct redis_node *) owners[REDIS_SLOT_SHARDS];

    pthread_mutex_t lock; /* Guards the fields below; nodes only grow. */
    _Atomic(struct redis_node *) nodes[REDIS_NODES_MAX + 1];
    size_t count;
    struct redis_task_list homeless;
    bool closing;
};

enum kist_status redis_map_open(const struct redis_map_options *options,
                                struct redis_map **out_map)
{
    struct redis_map *map = calloc(1, sizeof(*map));

    if (map == NULL)
        return KIST_NO_MEMORY;
    assert(options->lines > 0 && options->lines <= REDIS_LINES_MAX);
    map->options = *options;
    redis_slot_find_tags(&map->tags);
    redis_task_list_init(&map->homeless);
    pthread_mutex_init(&map->lock, NULL);
    *out_map = map;
    return KIST_OK;
}

static void stop_node(struct redis_node *node)
{
    for (size_t i = 0; i < REDIS_LINES_MAX && node->lines[i] != NULL; i++)
        redis_line_stop(node->lines[i]);
}

static void free_node(struct redis_node *node)
{
    for (size_t i = 0; i < REDIS_LINES_MAX; i++)
        redis_line_close(node->lines[i]);
    free(node);
}

static struct redis_task_list take_homeless(struct redis_map *map)
{
    struct redis_task_list list;

    redis_task_list_init(&list);
    pthread_mutex_lock(&map->lock);
    redis_task_list_move(&list, &map->homeless);
    pthread_mutex_unlock(&map->lock);
    return list;
}

/* All lines are stopped first: until then they redirect to each other. */
void redis_map_close(struct redis_map *map)
{
    if (map == NULL)
        return;
    pthread_mutex_lock(&map->lock);
    map->closing = true;
    pthread_mutex_unlock(&map->lock);
    for (size_t i = 0; i < map->count; i++)
        stop_node(map->nodes[i]);
    for (size_t i = 0; i < map->count; i++)
        free_node(map->nodes[i]);

    struct redis_task_list list = take_homeless(map);
    while (list.first != NULL)
        redis_task_give_up(redis_task_list_take(&list));
    pthread_mutex_destroy(&map->lock);
    free(map);
}

/* Nodes. */

static struct redis_node *find(struct redis_map *map,
                               const struct redis_address *address)
{
    struct redis_node *node;

    for (size_t i = 0; (node = redis_map_nth(map, i)) != NULL; i++)
        if (redis_address_equal(&node->address, address))
            return node;
    return NULL;
}

static struct redis_node *open_node(struct redis_map *map,
                                    const struct redis_address *address)
{
    struct redis_node *node = calloc(1, sizeof(*node));
    enum kist_status status = KIST_OK;

    if (node == NULL)
        return NULL;
    node->address = *address;
    node->map = map;
    for (unsigned i = 0; i < map->options.lines && status == KIST_OK; i++)
        status = redis_line_open(node, &node->lines[i]);
    if (status == KIST_OK)
        return node;
    stop_node(node);
    free_node(node);
    return NULL;
}

struct redis_node *redis_map_node(struct redis_map *map,
                                  const struct redis_address *address)
{
    struct redis_node *node;

    pthread_mutex_lock(&map->lock);
    node = find(map, address);
    if (node == NULL && map->count < REDIS_NODES_MAX && !map->closing) {
        node = open_node(map, address);
        if (node != NULL)
            map->nodes[map->count++] = node;
    }
    pthread_mutex_unlock(&map->lock);
    return node;
}

struct redis_node *redis_map_nth(struct redis_map *map, size_t i)
{
    return map->nodes[i];
}

void redis_map_set(struct redis_map *map, unsigned shard,
                   struct redis_node *node)
{
    map->owners[shard] = node;
}

struct redis_node *redis_map_owner(struct redis_map *map, unsigned shard)
{
    return map->owners[shard];
}

uint32_t redis_map_tag(const struct redis_map *map, unsigned shard)
{
    return map->tags.tags[shard];
}

struct redis_map_stats *redis_map_stats(struct redis_map *map)
{
    return &map->stats;
}

const struct redis_map_options *redis_map_options(const struct redis_map *map)
{
    return &map->options;
}

void redis_map_doubt(struct redis_map *map)
{
    map->options.doubt(map->options.ctx);
}

/* Tasks. */

static struct redis_line *line_of(struct redis_map *map,
                                  const struct redis_node *node, unsigned shard)
{
    return node->lines[shard % map->options.lines];
}

/* What one hand-over has for a line, so that it wakes up once. */
struct share {
    struct redis_line *line;
    struct redis_task_list list;
};

static void give_shares(struct share *shares, size_t count)
{
    for (size_t i = 0; i < count; i++)
        redis_line_give(shares[i].line, &shares[i].list);
}

static struct share *share_of(struct share *shares, size_t *count, size_t limit,
                              struct redis_line *line)
{
    for (size_t i = 0; i < *count; i++)
        if (shares[i].line == line)
            return &shares[i];
    if (*count == limit) {
        give_shares(shares, *count);
        *count = 0;
    }
    shares[*count].line = line;
    redis_task_list_init(&shares[*count].list);
    return &shares[(*count)++];
}

static void wait_for_owner(struct redis_map *map, struct redis_task_list *list)
{
    pthread_mutex_lock(&map->lock);
    redis_task_list_move(&map->homeless, list);
    pthread_mutex_unlock(&map->lock);
    redis_map_doubt(map);
}

void redis_map_give(struct redis_map *map, struct redis_task_list *list)
{
    struct share shares[32];
    struct redis_task_list homeless;
    size_t count = 0;

    redis_task_list_init(&homeless);
    while (list->first != NULL) {
        struct redis_task *task = redis_task_list_take(list);
        struct redis_node *node = redis_map_owner(map, task->shard);
        struct share *share;

        if (node == NULL) {
            redis_task_list_add(&homeless, task);
            continue;
        }
        share = share_of(shares, &count, sizeof(shares) / sizeof(shares[0]),
                         line_of(map, node, task->shard));
        redis_task_list_add(&share->list, task);
    }
    give_shares(shares, count);
    if (homeless.first != NULL)
        wait_for_owner(map, &homeless);
}

void redis_map_redirect(struct redis_map *map, struct redis_task *task,
                        const struct redis_address *address)
{
    struct redis_node *node = redis_map_node(map, address);
    struct redis_task_list list;

    redis_task_list_init(&list);
    redis_task_list_add(&list, task);
    if (node == NULL)
        wait_for_owner(map, &list);
    else
        redis_line_give(line_of(map, node, task->shard), &list);
}

bool redis_map_retry(struct redis_map *map)
{
    struct redis_task_list list = take_homeless(map), living;
    uint64_t now_ns = clock_mono_ns();
    bool any = list.first != NULL;

    redis_task_list_init(&living);
    while (list.first != NULL) {
        struct redis_task *task = redis_task_list_take(&list);

        if (task->deadline_ns <= now_ns)
            redis_task_give_up(task);
        else
            redis_task_list_add(&living, task);
    }
    redis_map_give(map, &living);
    return any;
}
