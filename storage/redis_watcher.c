/*
 * A watch is marked if the version in Redis is not the one that is known, not
 * if it changes while it is looked at: so what was written between the client's
 * read and its watch is seen as well.
 */
#include "storage/redis_watcher.h"

#include "base/clock.h"
#include "base/owner.h"
#include "base/siphash.h"
#include "storage/record.h"
#include "storage/redis_call.h"
#include "storage/redis_slot.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

#define PERIOD_NS (UINT64_C(100) * 1000000)

/* So many keys each time, and those of one bucket. */
#define LOOKS 500

/* What was not answered by then is looked at the next time. */
#define TIMEOUT_MS 1000

/* When a key came to have a value, and its record up to the version's end. */
#define VERSION_OFFSET 12
#define HEAD_SIZE      28

struct look {
    struct redis_call call;
    const struct redis_watcher *watcher;
    size_t start; /* Of the key, in the watcher's keys. */
    struct view key;
    bool is_read;
    struct version seen;
};

struct redis_watcher {
    /* Set when opened, then read-only. */
    struct redis_map *map;
    struct siphash_key secret; /* Nobody can aim keys at one bucket. */
    pthread_t thread;

    pthread_mutex_t lock; /* Guards the fields down to stopping. */
    pthread_cond_t work;  /* count grew, or stopping. */
    struct redis_watch *buckets[BUCKETS];
    size_t count;
    void *ctx;
    void (*changed)(void *ctx, struct view key);
    bool stopping;

    /* Its thread only. */
    size_t bucket; /* The next one to be looked at. */
    struct look *looks;
    size_t looks_count, looks_capacity;
    struct blob keys;
};

static size_t bucket_of(const struct redis_watcher *watcher, struct view key)
{
    return siphash(watcher->secret, key) % BUCKETS;
}

/* What is looked at: each key once. */

static struct view key_at(const struct redis_watcher *watcher, size_t i)
{
    const struct look *looks = watcher->looks;
    size_t end =
        i + 1 < watcher->looks_count ? looks[i + 1].start : watcher->keys.size;

    return (struct view){watcher->keys.data + looks[i].start,
                         end - looks[i].start};
}

static bool has_look(const struct redis_watcher *watcher, size_t first,
                     struct view key)
{
    for (size_t i = first; i < watcher->looks_count; i++)
        if (view_equal(key_at(watcher, i), key))
            return true;
    return false;
}

/* Without memory for it, it has its turn the next time. */
static void add_look(struct redis_watcher *watcher, struct view key)
{
    size_t start = watcher->keys.size;

    if (watcher->looks_count == watcher->looks_capacity) {
        size_t capacity = watcher->looks_capacity * 2 + 16;
        struct look *looks =
            reallocarray(watcher->looks, capacity, sizeof(*looks));

        if (looks == NULL)
            return;
        watcher->looks = looks;
        watcher->looks_capacity = capacity;
    }
    blob_append(&watcher->keys, key);
    if (watcher->keys.failed)
        return;
    watcher->looks[watcher->looks_count++] =
        (struct look){.watcher = watcher, .start = start};
}

static void collect(struct redis_watcher *watcher)
{
    blob_clear(&watcher->keys);
    watcher->looks_count = 0;
    pthread_mutex_lock(&watcher->lock);
    for (size_t i = 0; i < BUCKETS && watcher->looks_count < LOOKS; i++) {
        size_t first = watcher->looks_count;
        const struct redis_watch *watch = watcher->buckets[watcher->bucket];

        for (; watch != NULL; watch = watch->next)
            if (!has_look(watcher, first, watch->key))
                add_look(watcher, watch->key);
        watcher->bucket = (watcher->bucket + 1) % BUCKETS;
    }
    pthread_mutex_unlock(&watcher->lock);
    for (size_t i = 0; i < watcher->looks_count; i++)
        watcher->looks[i].key = key_at(watcher, i);
}

/* Looking. */

static void say(struct redis_call *call, struct redis_command *command)
{
    const struct look *look = OWNER(call, struct look, call);
    uint32_t tag = redis_map_tag(look->watcher->map, call->task.shard);

    redis_command_begin(command, look->key.size + REDIS_COMMAND_NAME_SIZE +
                                     2 * REDIS_COMMAND_NUMBER_SIZE);
    redis_command_add(command, VIEW_LITERAL("GETRANGE"));
    redis_command_add_name(command, tag, REDIS_NAME_RECORD, look->key);
    redis_command_add_number(command, 0);
    redis_command_add_number(command, HEAD_SIZE - 1);
}

static enum kist_status hear(struct redis_call *call,
                             const struct redis_answer *answer)
{
    struct look *look = OWNER(call, struct look, call);

    if (answer->kind != REDIS_ANSWER_TEXT)
        return KIST_IO;
    look->is_read = true;
    look->seen = VERSION_NONE;
    if (answer->text.size == HEAD_SIZE)
        look->seen =
            (struct version){read_u64(answer->text.data + VERSION_OFFSET),
                             read_u64(answer->text.data + VERSION_OFFSET + 8)};
    return KIST_OK;
}

static void ask(struct redis_watcher *watcher)
{
    struct redis_calls calls;
    struct redis_task_list list;
    enum kist_status status;

    redis_calls_init(&calls, watcher->map, TIMEOUT_MS);
    redis_task_list_init(&list);
    for (size_t i = 0; i < watcher->looks_count; i++) {
        struct look *look = &watcher->looks[i];

        look->call.task.shard = redis_slot_shard(look->key);
        look->call.say = say;
        look->call.hear = hear;
        redis_calls_add(&calls, &list, &look->call);
    }
    status = redis_calls_run(&calls, &list);
    (void)status; /* Each look knows for itself. */
    redis_calls_clear(&calls);
}

/* Somebody knows another version. */
static bool mark(struct redis_watcher *watcher, const struct look *look)
{
    struct redis_watch *watch;
    bool any = false;

    pthread_mutex_lock(&watcher->lock);
    watch = watcher->buckets[bucket_of(watcher, look->key)];
    for (; watch != NULL; watch = watch->next)
        if (view_equal(watch->key, look->key) &&
            !version_equal(watch->known, look->seen)) {
            atomic_store(&watch->changed, true);
            any = true;
        }
    pthread_mutex_unlock(&watcher->lock);
    return any;
}

static void look(struct redis_watcher *watcher)
{
    collect(watcher);
    ask(watcher);
    for (size_t i = 0; i < watcher->looks_count; i++)
        if (watcher->looks[i].is_read && mark(watcher, &watcher->looks[i]))
            watcher->changed(watcher->ctx, watcher->looks[i].key);
}

/* The thread. */

/* False: stopping. */
static bool rest(struct redis_watcher *watcher)
{
    uint64_t until_ns = clock_mono_ns() + PERIOD_NS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    bool goes_on;

    pthread_mutex_lock(&watcher->lock);
    while (!watcher->stopping &&
           (watcher->count == 0 || clock_mono_ns() < until_ns)) {
        if (watcher->count == 0)
            pthread_cond_wait(&watcher->work, &watcher->lock);
        else
            pthread_cond_timedwait(&watcher->work, &watcher->lock, &until);
    }
    goes_on = !watcher->stopping;
    pthread_mutex_unlock(&watcher->lock);
    return goes_on;
}

static void *run(void *ctx)
{
    struct redis_watcher *watcher = ctx;

    pthread_setname_np(pthread_self(), "kist-redis-see");
    while (rest(watcher))
        look(watcher);
    return NULL;
}

static void free_watcher(struct redis_watcher *watcher)
{
    pthread_cond_destroy(&watcher->work);
    pthread_mutex_destroy(&watcher->lock);
    blob_free(&watcher->keys);
    free(watcher->looks);
    free(watcher);
}

enum kist_status redis_watcher_open(struct redis_map *map,
                                    struct redis_watcher **out)
{
    struct redis_watcher *watcher = calloc(1, sizeof(*watcher));
    pthread_condattr_t attributes;

    if (watcher == NULL)
        return KIST_NO_MEMORY;
    watcher->map = map;
    watcher->secret = siphash_process_key();
    pthread_mutex_init(&watcher->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watcher->work, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&watcher->thread, NULL, run, watcher) != 0) {
        free_watcher(watcher);
        return KIST_IO;
    }
    *out = watcher;
    return KIST_OK;
}

void redis_watcher_close(struct redis_watcher *watcher)
{
    if (watcher == NULL)
        return;
    pthread_mutex_lock(&watcher->lock);
    assert(watcher->count == 0);
    watcher->stopping = true;
    pthread_cond_signal(&watcher->work);
    pthread_mutex_unlock(&watcher->lock);
    pthread_join(watcher->thread, NULL);
    free_watcher(watcher);
}

void redis_watcher_tell(struct redis_watcher *watcher, void *ctx,
                        void (*changed)(void *ctx, struct view key))
{
    pthread_mutex_lock(&watcher->lock);
    watcher->ctx = ctx;
    watcher->changed = changed;
    pthread_mutex_unlock(&watcher->lock);
}

void redis_watcher_add(struct redis_watcher *watcher, struct redis_watch *watch)
{
    struct redis_watch **first;

    atomic_init(&watch->changed, false);
    pthread_mutex_lock(&watcher->lock);
    first = &watcher->buckets[bucket_of(watcher, watch->key)];
    watch->previous = NULL;
    watch->next = *first;
    if (*first != NULL)
        (*first)->previous = watch;
    *first = watch;
    if (watcher->count++ == 0)
        pthread_cond_signal(&watcher->work);
    pthread_mutex_unlock(&watcher->lock);
}

void redis_watcher_remove(struct redis_watcher *watcher,
                          struct redis_watch *watch)
{
    pthread_mutex_lock(&watcher->lock);
    if (watch->previous != NULL)
        watch->previous->next = watch->next;
    else
        watcher->buckets[bucket_of(watcher, watch->key)] = watch->next;
    if (watch->next != NULL)
        watch->next->previous = watch->previous;
    watcher->count--;
    pthread_mutex_unlock(&watcher->lock);
}
