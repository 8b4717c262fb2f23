/*
 * Nothing is called back from within the call that began it: what the lane or
 * the transport refuses is told at the end of the turn.
 */
#include "replication/loop_env.h"

#include "base/clock.h"
#include "base/owner.h"
#include "replication/frame.h"
#include "replication/scan_page.h"
#include "storage/purge.h"
#include "storage/replica_list.h"
#include "storage/replica_meta.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

enum { FIRED_AT_ONCE = 1024 };

static struct loop_env *of_env(struct env *env)
{
    return OWNER(env, struct loop_env, env);
}

/* Clocks and chance. */

static uint64_t now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

static uint64_t wall_ms(struct env *env)
{
    (void)env;
    return clock_wall_ms();
}

static uint64_t mono_ms(struct env *env)
{
    (void)env;
    return now_ms();
}

/* Spreads work out; nothing depends on it being hard to guess. */
static uint64_t random_bits(struct env *env)
{
    uint64_t bits;

    (void)env;
    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != sizeof(bits))
        bits = clock_mono_ns() * UINT64_C(0x9e3779b97f4a7c15);
    return bits;
}

/* Timers: the loop has one, which is set at the end of the turn. */

/* While timers fire, one that is set for now is due a moment later. */
static void timer_set(struct env *env, struct env_timer *timer,
                      uint64_t delay_ms)
{
    struct loop_env *self = of_env(env);
    uint64_t due_ms = now_ms() + delay_ms;

    if (due_ms <= self->firing_ms)
        due_ms = self->firing_ms + 1;
    timer_heap_remove(&self->timers, timer);
    timer_heap_add(&self->timers, timer, due_ms);
}

static void timer_stop(struct env *env, struct env_timer *timer)
{
    timer_heap_remove(&of_env(env)->timers, timer);
}

static void fire_first(struct loop_env *self)
{
    struct env_timer *timer = self->timers.first;

    timer_heap_remove(&self->timers, timer);
    timer->fire(timer);
}

static void fire_due(struct loop_env *self)
{
    self->firing_ms = now_ms();
    while (self->timers.first != NULL &&
           self->timers.first->due_ms <= self->firing_ms)
        fire_first(self);
    self->firing_ms = 0;
}

/* Those that set themselves anew have another turn. */
static void fire_all(struct loop_env *self)
{
    for (unsigned i = 0; i < FIRED_AT_ONCE && self->timers.first != NULL; i++)
        fire_first(self);
}

/* The turn that it begins ends in loop_env_turn_end(). */
static void on_alarm(void *ctx)
{
    struct loop_env *self = ctx;

    self->alarm_ms = UINT64_MAX;
}

static void set_alarm(struct loop_env *self, uint64_t due_ms)
{
    uint64_t at_ms = now_ms();

    if (due_ms == self->alarm_ms)
        return;
    self->alarm_ms = due_ms;
    loop_timer_set(self->alarm, due_ms > at_ms ? due_ms - at_ms : 0);
}

/* Messages. */

static void send(struct env *env, struct env_call *call)
{
    transport_send(of_env(env)->transport, call);
}

/* The store. */

static enum kist_status get(struct env *env, struct view key,
                            struct item *out_item)
{
    return store_get(of_env(env)->store, key, out_item);
}

/* One write of ours on its way through the commit. */
struct loop_env_write {
    struct commit_group group;
    struct write write;
    struct env_apply *apply; /* One of these. */
    struct env_lease *lease;
    struct env_keep *keep;
};

static void finish_apply(struct env_apply *apply, enum kist_status status)
{
    apply->status = status;
    apply->done(apply);
}

static void on_written(struct commit_group *group)
{
    struct loop_env_write *job = OWNER(group, struct loop_env_write, group);
    struct env_apply *apply = job->apply;
    struct env_lease *lease = job->lease;
    struct env_keep *keep = job->keep;
    struct write write = job->write;

    free(job);
    if (lease != NULL) {
        lease->done(lease, write.status);
    } else if (keep != NULL) {
        keep->done(keep, write.status);
    } else {
        apply->winner = write.version;
        apply->replaced = !write.created;
        finish_apply(apply, write.status);
    }
}

/* Takes write's bytes as they are: whoever asked keeps them. */
static enum kist_status hand_over(struct loop_env *self,
                                  const struct loop_env_write *wanted)
{
    struct loop_env_write *job = malloc(sizeof(*job));
    enum kist_status status;

    if (job == NULL)
        return KIST_NO_MEMORY;
    *job = *wanted;
    job->group.writes = &job->write;
    job->group.count = 1;
    job->group.bytes += sizeof(*job);
    job->group.done = on_written;
    status = commit_lane_add(self->lane, &job->group);
    if (status != KIST_OK)
        free(job);
    return status;
}

static void apply(struct env *env, struct env_apply *apply)
{
    struct loop_env *self = of_env(env);
    struct loop_env_write job = {
        .group = {.sync = apply->sync,
                  .bytes = apply->key.size + apply->record.value.size +
                           apply->record.media_type.size},
        .write = {.kind = WRITE_APPLY,
                  .key = apply->key,
                  .floor = apply->floor,
                  .next = apply->record},
        .apply = apply,
    };

    apply->status = hand_over(self, &job);
    if (apply->status == KIST_OK)
        return;
    apply->own = self->refused_applies;
    self->refused_applies = apply;
}

static enum kist_status bring(struct env *env, const struct env_bring *bring,
                              uint64_t *out_progress)
{
    struct loop_env *self = of_env(env);

    if (self->is_stopped)
        return KIST_STOPPING;
    return transport_files_bring(self->files, bring, out_progress);
}

static void lease(struct env *env, struct env_lease *lease)
{
    struct loop_env *self = of_env(env);
    struct loop_env_write job = {
        .group = {.sync = ENGINE_SYNC},
        .write = {.kind = WRITE_LEASE, .next.expiry_ms = lease->lease_ms},
        .lease = lease,
    };

    if (hand_over(self, &job) == KIST_OK)
        return;
    lease->own = self->refused_leases;
    self->refused_leases = lease;
}

static void keep(struct env *env, struct env_keep *keep)
{
    struct loop_env *self = of_env(env);
    struct loop_env_write job = {
        .group = {.sync = ENGINE_SYNC, .bytes = keep->bytes.size},
        .write = {.kind = WRITE_META,
                  .key = keep->name,
                  .next.value = keep->bytes},
        .keep = keep,
    };

    if (hand_over(self, &job) == KIST_OK)
        return;
    keep->own = self->refused_keeps;
    self->refused_keeps = keep;
}

/* A page of records, read on the pool. */
struct loop_env_scan {
    struct loop_work work;
    struct loop_env *self;
    struct env_scan *scan;
};

static void run_scan(struct loop_work *work)
{
    struct loop_env_scan *job = OWNER(work, struct loop_env_scan, work);

    scan_page_fill(job->scan, job->self->store, job->self->env.self);
}

static void scan_done(struct loop_work *work)
{
    struct loop_env_scan *job = OWNER(work, struct loop_env_scan, work);
    struct env_scan *scan = job->scan;

    job->self->scans--;
    free(job);
    scan->done(scan);
}

static enum kist_status begin_scan(struct loop_env *self, struct env_scan *scan)
{
    struct loop_env_scan *job = malloc(sizeof(*job));
    enum kist_status status;

    if (job == NULL)
        return KIST_NO_MEMORY;
    *job = (struct loop_env_scan){
        {.run = run_scan, .done = scan_done}, self, scan};
    status = loop_work(self->loop, &job->work);
    if (status == KIST_OK)
        self->scans++;
    else
        free(job);
    return status;
}

static void scan(struct env *env, struct env_scan *scan)
{
    struct loop_env *self = of_env(env);

    enum kist_status status = begin_scan(self, scan);

    if (status == KIST_OK)
        return; /* The pool's until it is done. */
    scan->status = status;
    scan->own = self->refused_scans;
    self->refused_scans = scan;
}

/* What is taken out of a partition, page by page. */
struct loop_env_drop {
    struct purge purge;
    struct loop_env *self;
    struct env_drop *drop;
};

static void on_page(struct purge *purge)
{
    struct loop_env_drop *job = OWNER(purge, struct loop_env_drop, purge);
    struct env_drop *drop = job->drop;
    enum kist_status status = purge->status;

    if (status == KIST_OK && !purge->complete) {
        status = KIST_STOPPING;
        if (!job->self->is_stopped)
            status = purge_page(purge, on_page);
        if (status == KIST_OK)
            return;
    }
    job->self->drops--;
    drop->removed = purge->removed;
    purge_close(&job->purge);
    free(job);
    drop->done(drop, status);
}

static enum kist_status begin_drop(struct loop_env *self, struct env_drop *drop)
{
    unsigned bits = bucket_sums_bits(store_sums(self->store));
    struct purge_options options = {
        .store = self->store,
        .loop = self->loop,
        .lane = self->lane,
        .kind = version_is_none(drop->floor) ? WRITE_DROP : WRITE_PURGE,
        .floor = drop->floor,
        .range = key_hash_range(drop->partition, KEY_HASH_ALL_LEAVES, bits),
        .sync = ENGINE_SYNC,
    };
    struct loop_env_drop *job = calloc(1, sizeof(*job));
    enum kist_status status;

    if (job == NULL)
        return KIST_NO_MEMORY;
    job->self = self;
    job->drop = drop;
    status = purge_open(&job->purge, &options);
    if (status == KIST_OK) {
        status = purge_page(&job->purge, on_page);
        if (status != KIST_OK)
            purge_close(&job->purge);
    }
    if (status == KIST_OK)
        self->drops++;
    else
        free(job);
    return status;
}

static void drop(struct env *env, struct env_drop *drop)
{
    struct loop_env *self = of_env(env);

    if (begin_drop(self, drop) == KIST_OK)
        return;
    drop->own = self->refused_drops;
    self->refused_drops = drop;
}

static bool has_refused(const struct loop_env *self)
{
    return self->refused_applies != NULL || self->refused_leases != NULL ||
           self->refused_keeps != NULL || self->refused_scans != NULL ||
           self->refused_drops != NULL;
}

static void tell_refused(struct loop_env *self)
{
    struct env_apply *applies = self->refused_applies;
    struct env_lease *leases = self->refused_leases;
    struct env_keep *keeps = self->refused_keeps;
    struct env_scan *scans = self->refused_scans;
    struct env_drop *drops = self->refused_drops;

    self->refused_applies = NULL;
    self->refused_leases = NULL;
    self->refused_keeps = NULL;
    self->refused_scans = NULL;
    self->refused_drops = NULL;
    while (applies != NULL) {
        struct env_apply *apply = applies;

        applies = apply->own;
        finish_apply(apply, apply->status);
    }
    while (leases != NULL) {
        struct env_lease *lease = leases;

        leases = lease->own;
        lease->done(lease, KIST_BUSY);
    }
    while (keeps != NULL) {
        struct env_keep *keep = keeps;

        keeps = keep->own;
        keep->done(keep, KIST_BUSY);
    }
    while (scans != NULL) {
        struct env_scan *scan = scans;

        scans = scan->own;
        scan->done(scan);
    }
    while (drops != NULL) {
        struct env_drop *drop = drops;

        drops = drop->own;
        drop->done(drop, KIST_BUSY);
    }
}

static enum kist_status kept(struct env *env, struct view name,
                             struct blob *out)
{
    return replica_meta_get(of_env(env)->store, name, out);
}

static enum store_state state(struct env *env)
{
    return store_state(of_env(env)->store);
}

/* Parts of the records. */

static struct bucket_sum sum(struct env *env, struct env_part part)
{
    return replica_list_sum(of_env(env)->store, part.partition, part.leaf).sum;
}

struct page {
    struct blob *out;
    unsigned count, limit;
};

static bool add_entry(void *ctx, const struct replica_entry *found)
{
    struct page *page = ctx;
    struct frame_entry entry = {found->key, found->version};

    frame_add_entry(&entry, page->out);
    return ++page->count < page->limit;
}

static enum kist_status list(struct env *env, struct env_part part,
                             struct view after, unsigned limit,
                             struct blob *out, unsigned *out_count)
{
    struct store *store = of_env(env)->store;
    unsigned bits = bucket_sums_bits(store_sums(store));
    struct page page = {.out = out, .limit = limit};
    struct replica_visitor visitor = {&page, add_entry};
    enum kist_status status =
        replica_list(store, key_hash_range(part.partition, part.leaf, bits),
                     after, &visitor);

    if (status == KIST_OK && out->failed)
        status = KIST_NO_MEMORY;
    if (status == KIST_OK)
        *out_count = page.count;
    return status;
}

static const struct env_ops ops = {
    .wall_ms = wall_ms,
    .mono_ms = mono_ms,
    .random = random_bits,
    .timer_set = timer_set,
    .timer_stop = timer_stop,
    .send = send,
    .get = get,
    .apply = apply,
    .bring = bring,
    .sum = sum,
    .list = list,
    .lease = lease,
    .scan = scan,
    .drop = drop,
    .keep = keep,
    .kept = kept,
    .state = state,
};

/* From open to close. */

enum kist_status loop_env_open(const struct loop_env_options *options,
                               struct loop_env *env)
{
    enum kist_status status;

    *env = (struct loop_env){
        .env = {&ops, store_clock(options->store)->incarnation},
        .store = options->store,
        .lane = options->lane,
        .loop = options->transport.loop,
        .files = options->files,
        .alarm_ms = UINT64_MAX,
    };
    status = transport_open(&options->transport, &env->transport);
    if (status != KIST_OK)
        return status;
    status =
        loop_timer_open(options->transport.loop, on_alarm, env, &env->alarm);
    if (status != KIST_OK)
        transport_close(env->transport);
    return status;
}

void loop_env_turn_end(struct loop_env *env)
{
    if (env->is_stopped)
        fire_all(env);
    else
        fire_due(env);
    tell_refused(env);
    transport_flush(env->transport);
    if (has_refused(env))
        set_alarm(env, 0);
    else if (env->is_stopped && env->timers.first != NULL)
        set_alarm(env, now_ms() + 1);
    else if (env->timers.first != NULL)
        set_alarm(env, env->timers.first->due_ms);
}

void loop_env_stop(struct loop_env *env)
{
    env->is_stopped = true;
    transport_stop(env->transport);
}

bool loop_env_is_idle(const struct loop_env *env)
{
    return !has_refused(env) && env->scans == 0 && env->drops == 0 &&
           env->timers.first == NULL && transport_is_idle(env->transport);
}

void loop_env_close(struct loop_env *env)
{
    assert(loop_env_is_idle(env));
    loop_timer_close(env->alarm);
    transport_close(env->transport);
}
