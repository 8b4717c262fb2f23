#include "storage/redis_keeper.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)

/* At most so often, however much doubt; and without any. */
#define PAUSE_NS  (100 * MS)
#define PERIOD_NS (5000 * MS)

/* A node's configuration is read again after this. */
#define CHECK_NS (10000 * MS)

/* While tasks wait for an owner of their shard. */
#define RETRY_NS (50 * MS)

/* What one look has found. */
struct look {
    struct redis_link *link;
    struct redis_address address; /* Of link. */
    char why[REDIS_FAULT_SIZE];
    bool evicts;
    bool forked;
    bool is_durable;
    unsigned masters;
};

static bool answers(struct look *look, const char *const words[],
                    struct redis_answer *out_answer)
{
    if (redis_link_ask(look->link, words, out_answer) != KIST_OK) {
        snprintf(look->why, sizeof(look->why), "%.60s:%u: no answer",
                 look->address.host, look->address.port);
        return false;
    }
    if (out_answer->kind != REDIS_ANSWER_ERROR)
        return true;
    snprintf(look->why, sizeof(look->why), "%.60s:%u: %.100s",
             look->address.host, look->address.port, out_answer->text.data);
    redis_answer_free(out_answer);
    return false;
}

static bool reach(struct redis_keeper *keeper, struct look *look,
                  const struct redis_address *address)
{
    char fault[REDIS_FAULT_SIZE];

    redis_link_close(look->link);
    look->link = NULL;
    look->address = *address;
    if (redis_link_open(address, &redis_map_options(keeper->map)->link, fault,
                        &look->link) == KIST_OK)
        return true;
    snprintf(look->why, sizeof(look->why), "%.60s:%u: %.100s", address->host,
             address->port, fault);
    return false;
}

/* Who has which slots. */

static bool knows_host(const struct redis_answer *host)
{
    return host->kind == REDIS_ANSWER_TEXT && host->text.size > 0 &&
           !view_is(host->text, "?") && host->text.size < REDIS_ADDRESS_SIZE;
}

static bool read_master(const struct look *look,
                        const struct redis_answer *master,
                        struct redis_address *out_address)
{
    struct redis_answer host, port;

    if (master->kind != REDIS_ANSWER_LIST || master->count < 2)
        return false;
    host = redis_answer_at(master, 0);
    port = redis_answer_at(master, 1);
    if (port.kind != REDIS_ANSWER_NUMBER || port.number <= 0 ||
        port.number > UINT16_MAX)
        return false;
    *out_address = look->address; /* For one that does not know its own. */
    if (knows_host(&host))
        snprintf(out_address->host, sizeof(out_address->host), "%s",
                 host.text.data);
    out_address->port = (uint16_t)port.number;
    return true;
}

static void set_range(struct redis_map *map, struct redis_node *node,
                      int64_t first, int64_t last)
{
    for (unsigned i = 0; i < REDIS_SLOT_SHARDS; i++) {
        int64_t slot = (int64_t)i * REDIS_SLOT_SHARD_SLOTS;

        if (slot >= first && slot <= last)
            redis_map_set(map, i, node);
    }
}

static void read_range(struct redis_keeper *keeper, const struct look *look,
                       const struct redis_answer *range)
{
    struct redis_answer first, last, master;
    struct redis_address address;
    struct redis_node *node;

    if (range->kind != REDIS_ANSWER_LIST || range->count < 3)
        return;
    first = redis_answer_at(range, 0);
    last = redis_answer_at(range, 1);
    master = redis_answer_at(range, 2);
    if (first.kind != REDIS_ANSWER_NUMBER || last.kind != REDIS_ANSWER_NUMBER ||
        !read_master(look, &master, &address))
        return;
    node = redis_map_node(keeper->map, &address);
    if (node != NULL)
        set_range(keeper->map, node, first.number, last.number);
}

static bool read_slots(struct redis_keeper *keeper, struct look *look)
{
    static const char *const words[] = {"CLUSTER", "SLOTS", NULL};
    struct redis_answer answer;

    if (!answers(look, words, &answer))
        return false;
    for (size_t i = 0; answer.kind == REDIS_ANSWER_LIST && i < answer.count;
         i++) {
        struct redis_answer range = redis_answer_at(&answer, i);

        read_range(keeper, look, &range);
    }
    redis_answer_free(&answer);
    return true;
}

/* One Redis has all of it, if it is the only one that we were told of. */
static bool take_all(struct redis_keeper *keeper, struct look *look)
{
    struct redis_node *node;

    if (keeper->options->seeds_count > 1) {
        look->forked = true;
        snprintf(look->why, sizeof(look->why), "%.60s:%u is no cluster",
                 look->address.host, look->address.port);
        return true;
    }
    node = redis_map_node(keeper->map, &look->address);
    if (node != NULL)
        set_range(keeper->map, node, 0, REDIS_SLOTS);
    return node != NULL;
}

static bool read_map(struct redis_keeper *keeper, struct look *look)
{
    static const char *const words[] = {"INFO", "cluster", NULL};
    struct redis_answer answer;

    if (!answers(look, words, &answer))
        return false;
    keeper->is_cluster = answer.kind == REDIS_ANSWER_TEXT &&
                         strstr(answer.text.data, "cluster_enabled:1") != NULL;
    redis_answer_free(&answer);
    return keeper->is_cluster ? read_slots(keeper, look)
                              : take_all(keeper, look);
}

/* Whoever answers first: those that were heard of last, then the seeds. */
static bool find_map(struct redis_keeper *keeper, struct look *look)
{
    struct redis_node *node;

    for (size_t i = 0; (node = redis_map_nth(keeper->map, i)) != NULL; i++)
        if (node->reached_ns + PERIOD_NS > clock_mono_ns() &&
            reach(keeper, look, &node->address) && read_map(keeper, look))
            return true;
    for (size_t i = 0; i < keeper->options->seeds_count; i++)
        if (reach(keeper, look, &keeper->options->seeds[i]) &&
            read_map(keeper, look))
            return true;
    for (size_t i = 0; (node = redis_map_nth(keeper->map, i)) != NULL; i++)
        if (reach(keeper, look, &node->address) && read_map(keeper, look))
            return true;
    return false;
}

/* How they are configured. */

struct config {
    char text[256];
    bool is_durable;
    bool evicts;
};

static void copy_setting(char *out, size_t size,
                         const struct redis_answer *list, const char *name)
{
    out[0] = '\0';
    for (size_t i = 0; i + 1 < list->count; i += 2) {
        struct redis_answer key = redis_answer_at(list, i);
        struct redis_answer value = redis_answer_at(list, i + 1);

        if (view_is(key.text, name) && value.text.data != NULL)
            snprintf(out, size, "%s", value.text.data);
    }
}

static bool read_setting(struct look *look, const char *name, char *out,
                         size_t size)
{
    const char *words[] = {"CONFIG", "GET", name, NULL};
    struct redis_answer answer;

    if (!answers(look, words, &answer))
        return false;
    out[0] = '\0';
    if (answer.kind == REDIS_ANSWER_LIST)
        copy_setting(out, size, &answer, name);
    redis_answer_free(&answer);
    return true;
}

static bool read_config(struct look *look, struct config *out_config)
{
    char appendonly[8], appendfsync[16], save[48], policy[24], memory[24];

    if (!read_setting(look, "appendonly", appendonly, sizeof(appendonly)) ||
        !read_setting(look, "appendfsync", appendfsync, sizeof(appendfsync)) ||
        !read_setting(look, "save", save, sizeof(save)) ||
        !read_setting(look, "maxmemory", memory, sizeof(memory)) ||
        !read_setting(look, "maxmemory-policy", policy, sizeof(policy)))
        return false;
    out_config->is_durable =
        strcmp(appendonly, "yes") == 0 && strcmp(appendfsync, "always") == 0;
    out_config->evicts =
        strcmp(memory, "0") != 0 && strcmp(policy, "noeviction") != 0;
    snprintf(out_config->text, sizeof(out_config->text),
             "appendonly %s, appendfsync %s, save \"%s\", maxmemory %s, %s",
             appendonly, appendfsync, save, memory, policy);
    return true;
}

/* A Redis that does not tell may be anything but durable. */
static void check_node(struct redis_keeper *keeper, struct redis_node *node,
                       struct look *look)
{
    struct config config = {.text = "it does not tell (CONFIG GET)"};
    char name[REDIS_ADDRESS_SIZE + 8];

    if (!reach(keeper, look, &node->address))
        return;
    if (!read_config(look, &config))
        snprintf(config.text, sizeof(config.text), "unknown: %.140s",
                 look->why);
    snprintf(name, sizeof(name), "%s:%u", node->address.host,
             node->address.port);
    if (!node->is_checked || node->is_durable != config.is_durable ||
        node->evicts != config.evicts)
        keeper->hooks.configured(keeper->hooks.ctx, name, config.text,
                                 config.is_durable);
    node->is_checked = true;
    node->is_durable = config.is_durable;
    node->evicts = config.evicts;
    node->checked_ns = clock_mono_ns();
}

static void check_nodes(struct redis_keeper *keeper, struct look *look)
{
    struct redis_node *node;

    look->is_durable = true;
    for (size_t i = 0; (node = redis_map_nth(keeper->map, i)) != NULL; i++) {
        bool has_any = false;

        for (unsigned shard = 0; shard < REDIS_SLOT_SHARDS && !has_any; shard++)
            has_any = redis_map_owner(keeper->map, shard) == node;
        if (!has_any)
            continue;
        if (!node->is_checked || node->checked_ns + CHECK_NS < clock_mono_ns())
            check_node(keeper, node, look);
        look->masters++;
        look->is_durable =
            look->is_durable && node->is_checked && node->is_durable;
        look->evicts = look->evicts || node->evicts;
    }
}

/* All of it. */

static void move(struct redis_keeper *keeper, enum redis_state state,
                 const char *why)
{
    enum redis_state was = atomic_exchange(&keeper->state, state);

    if (was != state)
        keeper->hooks.moved(keeper->hooks.ctx, state, why);
}

static void look(struct redis_keeper *keeper)
{
    struct look look = {.link = NULL};
    bool found = find_map(keeper, &look);

    if (found && !look.forked)
        check_nodes(keeper, &look);
    redis_link_close(look.link);
    keeper->looked_ns = clock_mono_ns();
    if (!found) {
        if (atomic_load(&keeper->state) != REDIS_SEEKING)
            move(keeper, REDIS_AWAY, look.why);
        else if (look.why[0] != '\0' && keeper->told_ns == 0) {
            keeper->told_ns = keeper->looked_ns;
            keeper->hooks.moved(keeper->hooks.ctx, REDIS_SEEKING, look.why);
        }
        return;
    }
    atomic_store(&keeper->is_durable, look.is_durable);
    atomic_store(&keeper->masters, keeper->is_cluster ? look.masters : 0);
    if (look.forked)
        move(keeper, REDIS_FORKED, look.why);
    else if (look.evicts)
        move(keeper, REDIS_EVICTS, "maxmemory-policy is not noeviction");
    else
        move(keeper, REDIS_READY,
             keeper->is_cluster ? "a cluster" : "a standalone Redis");
}

/*
 * Until then, or until there is doubt if that counts; what was doubted before
 * is answered by the look that follows. False: stopping.
 */
static bool rest(struct redis_keeper *keeper, uint64_t until_ns, bool listens)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    bool goes_on;

    pthread_mutex_lock(&keeper->lock);
    while (!keeper->stopping && !(listens && keeper->doubted) &&
           clock_mono_ns() < until_ns)
        pthread_cond_timedwait(&keeper->work, &keeper->lock, &until);
    if (listens)
        keeper->doubted = false;
    goes_on = !keeper->stopping;
    pthread_mutex_unlock(&keeper->lock);
    return goes_on;
}

static void *run(void *ctx)
{
    struct redis_keeper *keeper = ctx;
    uint64_t next_ns = 0;

    pthread_setname_np(pthread_self(), "kist-redis-map");
    do {
        bool is_ready;

        look(keeper);
        is_ready = atomic_load(&keeper->state) == REDIS_READY;
        next_ns = keeper->looked_ns + (is_ready ? PERIOD_NS : PERIOD_NS / 10);
        if (redis_map_retry(keeper->map))
            next_ns = keeper->looked_ns + RETRY_NS;
    } while (rest(keeper, keeper->looked_ns + PAUSE_NS, false) &&
             rest(keeper, next_ns, true));
    return NULL;
}

enum kist_status redis_keeper_open(struct redis_keeper *keeper)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&keeper->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->work, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&keeper->thread, NULL, run, keeper) == 0)
        return KIST_OK;
    redis_keeper_clear(keeper);
    return KIST_IO;
}

void redis_keeper_stop(struct redis_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->work);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
}

void redis_keeper_clear(struct redis_keeper *keeper)
{
    pthread_cond_destroy(&keeper->work);
    pthread_mutex_destroy(&keeper->lock);
}

void redis_keeper_doubt(struct redis_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    if (!keeper->doubted) {
        keeper->doubted = true;
        pthread_cond_signal(&keeper->work);
    }
    pthread_mutex_unlock(&keeper->lock);
}
