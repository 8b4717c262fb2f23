/*
 * The queue is one list under one lock. A lane's hand-over appends its groups,
 * the thread takes the whole list (up to a bound, so that no batch grows
 * without limit), decides (storage/decide.c), applies once, and gives each
 * group back to its lane's own list, which the lane's loop empties.
 *
 * Crash argument: a group is told "done" only after the engine batch that
 * holds all its writes was applied, synced if anybody in the batch asked.
 */
#include "storage/commit.h"

#include "base/clock.h"
#include "base/owner.h"
#include "storage/decide.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* The thread takes no more than this from the queue at once. */
#define TAKE_BYTES  (8u << 20)
#define TAKE_GROUPS 8192

struct group_list {
    struct commit_group *first;
    struct commit_group **last;
};

struct commit_lane {
    /* Set when opened, then read-only. */
    struct commit *commit;
    struct loop *loop;

    /* Its loop only. */
    struct group_list collected; /* This turn's. */
    size_t in_flight;            /* Collected, queued, or coming back. */

    /* Commit thread only, empty between batches. */
    struct group_list decided;
    struct commit_lane *next; /* In the list of lanes with such groups. */

    pthread_mutex_t lock;   /* Guards done. */
    struct group_list done; /* Coming back. */
    struct loop_task wake;
};

struct commit {
    /* Set by commit_open(), then read-only. */
    struct store *store;
    struct commit_options options;
    pthread_t thread;

    struct commit_stats stats; /* Any thread. */

    pthread_mutex_t lock; /* Guards the fields below. */
    pthread_cond_t work;  /* queue filled, or stopping. */
    struct group_list queue;
    bool stopping;

    /* Commit thread only. */
    struct decision decision;
};

static void list_init(struct group_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_append(struct group_list *list, struct commit_group *group)
{
    group->next = NULL;
    *list->last = group;
    list->last = &group->next;
}

static struct commit_group *list_take(struct group_list *list)
{
    struct commit_group *group = list->first;

    list->first = group->next;
    if (list->first == NULL)
        list_init(list);
    return group;
}

static void list_move(struct group_list *to, struct group_list *from)
{
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    list_init(from);
}

/* The thread. */

/* Up to a batch's worth of the queue; empty: stopping, and nothing waits. */
static void take(struct commit *commit, struct group_list *out_groups)
{
    size_t bytes = 0, count = 0;

    list_init(out_groups);
    pthread_mutex_lock(&commit->lock);
    while (commit->queue.first == NULL && !commit->stopping)
        pthread_cond_wait(&commit->work, &commit->lock);

    while (commit->queue.first != NULL && bytes < TAKE_BYTES &&
           count < TAKE_GROUPS) {
        struct commit_group *group = list_take(&commit->queue);

        list_append(out_groups, group);
        bytes += group->bytes;
        count++;
    }
    pthread_mutex_unlock(&commit->lock);
}

static void tell_changed(struct commit *commit,
                         const struct commit_group *group)
{
    if (commit->options.changed == NULL || group->failed < group->count)
        return;
    for (size_t i = 0; i < group->count; i++)
        if (group->writes[i].status == KIST_OK && !group->writes[i].unchanged)
            commit->options.changed(commit->options.ctx, group->writes[i].key);
}

/* All of a lane's groups at once: its loop wakes once, with work to do. */
static void give_back(struct commit_lane *lane)
{
    bool first;

    pthread_mutex_lock(&lane->lock);
    first = lane->done.first == NULL;
    list_move(&lane->done, &lane->decided);
    pthread_mutex_unlock(&lane->lock);
    if (first)
        loop_post(lane->loop, &lane->wake);
}

static void finish(struct commit *commit, struct group_list *groups,
                   enum kist_status status, enum engine_sync synced)
{
    struct commit_lane *lanes = NULL;

    while (groups->first != NULL) {
        struct commit_group *group = list_take(groups);
        struct commit_lane *lane = group->lane;

        group->synced = synced;
        if (status != KIST_OK)
            decision_fail(group, status);
        else
            tell_changed(commit, group);
        if (lane->decided.first == NULL) {
            lane->next = lanes;
            lanes = lane;
        }
        list_append(&lane->decided, group);
    }
    while (lanes != NULL) {
        struct commit_lane *lane = lanes;

        lanes = lane->next; /* It may be gone when its groups are back. */
        give_back(lane);
    }
}

/* Decide what fits into one batch: off *waiting, onto *out_decided. */
static enum engine_sync decide_groups(struct decision *decision,
                                      struct group_list *waiting,
                                      struct group_list *out_decided)
{
    enum engine_sync sync = ENGINE_ASYNC;

    list_init(out_decided);
    decision_begin(decision);
    while (waiting->first != NULL && !decision_is_full(decision)) {
        struct commit_group *group = list_take(waiting);

        decision_add(decision, group);
        if (group->sync == ENGINE_SYNC)
            sync = ENGINE_SYNC;
        list_append(out_decided, group);
    }
    decision_seal(decision);
    return decision_sync(decision) == ENGINE_SYNC ? ENGINE_SYNC : sync;
}

static void commit_batch(struct commit *commit, struct group_list *waiting)
{
    struct decision *decision = &commit->decision;
    struct group_list groups;
    enum engine_sync sync = decide_groups(decision, waiting, &groups);
    enum kist_status status = KIST_OK;

    if (decision->batch.count > 0) {
        status = store_apply(commit->store, &decision->batch, decision->opening,
                             sync);
        counter_add(&commit->stats.batches, 1);
        counter_add(&commit->stats.writes, decision->writes);
    }
    if (status == KIST_OK)
        decision_applied(decision, sync);
    finish(commit, &groups, status, sync);
    decision_end(decision);
}

static void *run(void *ctx)
{
    struct commit *commit = ctx;
    struct group_list groups;

    pthread_setname_np(pthread_self(), "kist-commit");
    for (take(commit, &groups); groups.first != NULL; take(commit, &groups))
        while (groups.first != NULL)
            commit_batch(commit, &groups);
    return NULL;
}

enum kist_status commit_open(struct store *store,
                             const struct commit_options *options,
                             struct commit **out_commit)
{
    struct commit *commit = calloc(1, sizeof(*commit));

    if (commit == NULL)
        return KIST_NO_MEMORY;
    commit->store = store;
    commit->options = *options;
    commit->decision.store = store;
    list_init(&commit->queue);
    pthread_mutex_init(&commit->lock, NULL);
    pthread_cond_init(&commit->work, NULL);
    if (options->decide == NULL &&
        pthread_create(&commit->thread, NULL, run, commit) != 0) {
        pthread_cond_destroy(&commit->work);
        pthread_mutex_destroy(&commit->lock);
        free(commit);
        return KIST_IO;
    }
    *out_commit = commit;
    return KIST_OK;
}

void commit_close(struct commit *commit)
{
    if (commit == NULL)
        return;
    pthread_mutex_lock(&commit->lock);
    commit->stopping = true;
    pthread_cond_signal(&commit->work);
    pthread_mutex_unlock(&commit->lock);
    if (commit->options.decide == NULL)
        pthread_join(commit->thread, NULL);
    decision_free(&commit->decision);
    pthread_cond_destroy(&commit->work);
    pthread_mutex_destroy(&commit->lock);
    free(commit);
}

struct commit_stats *commit_stats(struct commit *commit)
{
    return &commit->stats;
}

/* The lanes. */

void commit_return(struct commit_group *group)
{
    struct commit_lane *lane = group->lane;
    bool first;

    pthread_mutex_lock(&lane->lock);
    first = lane->done.first == NULL;
    list_append(&lane->done, group);
    pthread_mutex_unlock(&lane->lock);
    if (first)
        loop_post(lane->loop, &lane->wake);
}

static void hand_back(struct loop_task *task)
{
    struct commit_lane *lane = OWNER(task, struct commit_lane, wake);
    struct commit_stats *stats = &lane->commit->stats;
    struct group_list done;
    uint64_t now_ns = clock_mono_ns();

    list_init(&done);
    pthread_mutex_lock(&lane->lock);
    list_move(&done, &lane->done);
    pthread_mutex_unlock(&lane->lock);

    struct commit_group *group = done.first;
    while (group != NULL) {
        struct commit_group *next = group->next;

        lane->in_flight--;
        gauge_add(&stats->queued_bytes, -(int64_t)group->bytes);
        gauge_add(&stats->queued_groups, -1);
        histogram_observe(&stats->wait_time, now_ns - group->added_ns);
        group->done(group); /* Frees it, maybe. */
        group = next;
    }
}

enum kist_status commit_lane_open(struct commit *commit, struct loop *loop,
                                  struct commit_lane **out_lane)
{
    struct commit_lane *lane = calloc(1, sizeof(*lane));

    if (lane == NULL)
        return KIST_NO_MEMORY;
    lane->commit = commit;
    lane->loop = loop;
    lane->wake.run = hand_back;
    list_init(&lane->collected);
    list_init(&lane->done);
    list_init(&lane->decided);
    pthread_mutex_init(&lane->lock, NULL);
    *out_lane = lane;
    return KIST_OK;
}

void commit_lane_close(struct commit_lane *lane)
{
    if (lane == NULL)
        return;
    assert(lane->in_flight == 0);
    pthread_mutex_destroy(&lane->lock);
    free(lane);
}

static enum kist_status writable(const struct commit *commit)
{
    const struct commit_options *options = &commit->options;

    return options->decide != NULL ? options->writable(options->ctx)
                                   : store_writable(commit->store);
}

enum kist_status commit_lane_add(struct commit_lane *lane,
                                 struct commit_group *group)
{
    struct commit *commit = lane->commit;
    int64_t queued = gauge_read(&commit->stats.queued_bytes);
    enum kist_status status = writable(commit);

    if (status != KIST_OK)
        return status;
    /* A group of any size may go alone, else it never could. */
    if (queued > 0 &&
        (uint64_t)queued + group->bytes > commit->options.queue_bytes) {
        counter_add(&commit->stats.refused, 1);
        return KIST_BUSY;
    }
    gauge_add(&commit->stats.queued_bytes, (int64_t)group->bytes);
    gauge_add(&commit->stats.queued_groups, 1);
    group->lane = lane;
    group->added_ns = clock_mono_ns();
    lane->in_flight++;
    list_append(&lane->collected, group);
    return KIST_OK;
}

void commit_lane_flush(struct commit_lane *lane)
{
    struct commit *commit = lane->commit;

    if (lane->collected.first == NULL)
        return;
    if (commit->options.decide != NULL) {
        struct commit_group *groups = lane->collected.first;

        list_init(&lane->collected);
        commit->options.decide(commit->options.ctx, groups);
        return;
    }
    pthread_mutex_lock(&commit->lock);
    list_move(&commit->queue, &lane->collected);
    pthread_cond_signal(&commit->work);
    pthread_mutex_unlock(&commit->lock);
}

bool commit_lane_idle(const struct commit_lane *lane)
{
    return lane->in_flight == 0;
}
