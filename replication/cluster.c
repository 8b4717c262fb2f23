#include "replication/cluster.h"

#include "base/clock.h"
#include "base/owner.h"
#include "replication/errands.h"
#include "replication/loop_env.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    CALL_MS = 2000, /* Of hints and comparisons. */
    RETRY_MS = 500, /* After a delivery that failed; doubles to 16 s. */
    ERRANDS_BYTES = 8 << 20, /* Of missed writes on their way to home. */
};

struct cluster {
    /* Set by cluster_open(), then read-only. */
    struct cluster_options options;
    struct cluster_hooks hooks;
    struct ring_member members[ROLL_MAX];
    struct ring first;

    /* Any thread. */
    struct cluster_stats stats;
    struct errands errands;
    struct roll roll;
    _Atomic unsigned state; /* enum founding_state */
    _Atomic size_t errands_bytes;
    atomic_bool has_begun;

    /* Home. */
    struct loop_env env;
    struct seat seat;
    struct fence fence;
    struct members watch;
    struct hints hints;
    struct anti_entropy entropy;
    struct cluster_loop *loops;
    bool has_env;
    bool is_comparing;
    bool is_stopped;
};

struct cluster_loop {
    /* Set by cluster_loop_open(), then read-only. */
    struct cluster *cluster;
    struct cluster_loop *next;
    struct loop *loop;

    struct loop_task join; /* Home posts it, once. */

    /* The loop. */
    struct loop_env env;
    struct seat seat;
    unsigned errands_out; /* That will come back. */
    bool is_stopped;
};

/* What home is told by the loops. */

struct missed {
    struct errand errand;
    struct cluster *cluster;
    uint64_t incarnation;
    size_t key_size;
    struct blob bytes; /* The key, then the record, encoded. */
};

static void on_missed_at_home(struct errand *errand, enum errand_fate fate)
{
    struct missed *missed = OWNER(errand, struct missed, errand);
    struct view bytes = blob_view(&missed->bytes);
    struct record record;

    if (fate == ERRAND_DONE) {
        record_trust(view_from(bytes, missed->key_size), &record);
        hints_add(&missed->cluster->hints, missed->incarnation,
                  (struct view){bytes.data, missed->key_size}, &record);
    }
    atomic_fetch_sub(&missed->cluster->errands_bytes, bytes.size);
    blob_free(&missed->bytes);
    free(missed);
}

/* NULL: no memory. */
static struct missed *new_missed(struct cluster *cluster, uint64_t incarnation,
                                 struct view key, const struct record *record)
{
    struct missed *missed = calloc(1, sizeof(*missed));

    if (missed == NULL)
        return NULL;
    missed->errand.run = on_missed_at_home;
    missed->cluster = cluster;
    missed->incarnation = incarnation;
    missed->key_size = key.size;
    blob_append(&missed->bytes, key);
    record_encode(key, record, &missed->bytes);
    if (!missed->bytes.failed)
        return missed;
    blob_free(&missed->bytes);
    free(missed);
    return NULL;
}

/* struct seat's hook, on any loop. */
static void on_missed(void *ctx, uint64_t incarnation, struct view key,
                      const struct record *record)
{
    struct cluster *cluster = ctx;
    struct missed *missed = NULL;

    if (incarnation == cluster->env.env.self ||
        cluster->options.hint_bytes == 0)
        return;
    if (atomic_load(&cluster->errands_bytes) < ERRANDS_BYTES)
        missed = new_missed(cluster, incarnation, key, record);
    if (missed == NULL) {
        counter_add(&cluster->hints.stats.dropped, 1);
        return;
    }
    atomic_fetch_add(&cluster->errands_bytes, missed->bytes.size);
    errands_add(&cluster->errands, &missed->errand);
}

static bool is_alive(void *ctx, uint64_t incarnation)
{
    const struct cluster *cluster = ctx;

    return roll_answers(&cluster->roll, incarnation);
}

static bool takes_writes(void *ctx, uint64_t incarnation)
{
    const struct cluster *cluster = ctx;

    return roll_takes_writes(&cluster->roll, incarnation);
}

/* A message for home that arrived on another loop, there and back. */
struct forwarded {
    struct errand errand;         /* There. */
    struct loop_task back;        /* And back. */
    struct replica_caller caller; /* What home answers to. */
    struct replica_caller *from;
    struct cluster_loop *loop;
    struct blob message;
    struct blob answer;
};

static void on_back(struct loop_task *task)
{
    struct forwarded *forwarded = OWNER(task, struct forwarded, back);

    forwarded->loop->errands_out--;
    if (forwarded->answer.failed)
        blob_clear(&forwarded->answer);
    forwarded->from->send(forwarded->from, blob_view(&forwarded->answer));
    blob_free(&forwarded->answer);
    free(forwarded);
}

static void on_answered_at_home(struct replica_caller *caller,
                                struct view answer)
{
    struct forwarded *forwarded = OWNER(caller, struct forwarded, caller);

    blob_append(&forwarded->answer, answer);
    loop_post(forwarded->loop->loop, &forwarded->back);
}

static void on_forwarded(struct errand *errand, enum errand_fate fate)
{
    struct forwarded *forwarded = OWNER(errand, struct forwarded, errand);
    struct cluster *cluster = forwarded->loop->cluster;
    /* Once it is answered, all of it may be gone; the message is read on. */
    struct blob message = forwarded->message;

    forwarded->message = BLOB_EMPTY;
    if (fate == ERRAND_DONE)
        members_receive(&cluster->watch, blob_view(&message),
                        &forwarded->caller);
    else
        on_answered_at_home(&forwarded->caller, (struct view){0});
    blob_free(&message);
}

static void forward(struct cluster_loop *loop, struct view message,
                    struct replica_caller *caller)
{
    struct forwarded *forwarded = calloc(1, sizeof(*forwarded));

    if (forwarded != NULL) {
        forwarded->errand.run = on_forwarded;
        forwarded->back.run = on_back;
        forwarded->caller.send = on_answered_at_home;
        forwarded->from = caller;
        forwarded->loop = loop;
        blob_append(&forwarded->message, message);
    }
    if (forwarded == NULL || forwarded->message.failed) {
        if (forwarded != NULL)
            blob_free(&forwarded->message);
        free(forwarded);
        caller->send(caller, (struct view){0});
        return;
    }
    loop->errands_out++;
    errands_add(&loop->cluster->errands, &forwarded->errand);
}

void cluster_receive(struct cluster_loop *loop, struct view message,
                     struct replica_caller *caller)
{
    if (members_takes(message))
        forward(loop, message, caller);
    else if (loop->seat.ring == NULL)
        caller->send(caller, (struct view){0});
    else
        replica_receive(&loop->seat, message, caller);
}

/* What home tells the loops. */

static void take_ring(struct cluster_loop *loop)
{
    seat_adopt(&loop->seat, ring_share(loop->cluster->seat.ring),
               loop->cluster->seat.digest);
}

static void on_join(struct loop_task *task)
{
    take_ring(OWNER(task, struct cluster_loop, join));
}

/* The hooks of struct members, at home. */

static void on_joined(void *ctx)
{
    struct cluster *cluster = ctx;

    for (struct cluster_loop *loop = cluster->loops; loop != NULL;
         loop = loop->next)
        loop_post(loop->loop, &loop->join);
    cluster->is_comparing = true;
    anti_entropy_start(&cluster->entropy);
}

static void on_returned(void *ctx, uint64_t incarnation)
{
    struct cluster *cluster = ctx;

    hints_wake(&cluster->hints, incarnation);
    if (cluster->is_comparing)
        anti_entropy_expect(&cluster->entropy, incarnation);
}

static void on_member_moved(void *ctx, unsigned number, enum roll_standing from,
                            enum roll_standing to)
{
    struct cluster *cluster = ctx;

    if (cluster->hooks.member_moved != NULL)
        cluster->hooks.member_moved(
            cluster->hooks.ctx, roll_name(&cluster->roll, number), from, to);
}

static void on_founded(void *ctx, enum founding_state from,
                       enum founding_state to)
{
    struct cluster *cluster = ctx;

    atomic_store(&cluster->state, to);
    if (cluster->hooks.founded != NULL)
        cluster->hooks.founded(cluster->hooks.ctx, from, to);
}

static void on_clock_moved(void *ctx, enum fence_state from,
                           enum fence_state to)
{
    struct cluster *cluster = ctx;

    if (to == FENCE_OPEN && !cluster->is_stopped)
        timekeeper_wake(&cluster->seat.clock); /* The lease is everybody's. */
    if (cluster->hooks.clock_moved != NULL)
        cluster->hooks.clock_moved(cluster->hooks.ctx, from, to);
}

/* From open to close. */

static struct loop_env_options env_options(struct cluster *cluster,
                                           struct loop *loop,
                                           struct commit_lane *lane)
{
    return (struct loop_env_options){
        .store = cluster->options.store,
        .lane = lane,
        .transport = {.loop = loop,
                      .secret = cluster->options.secret,
                      .queue_bytes = cluster->options.queue_bytes,
                      .stats = &cluster->stats.transport},
    };
}

static void set_seat(struct cluster *cluster, struct loop_env *env,
                     struct seat *seat)
{
    *seat = (struct seat){
        .env = &env->env,
        .ctx = cluster,
        .is_alive = is_alive,
        .takes_writes = takes_writes,
        .missed = on_missed,
    };
    timekeeper_start(&seat->clock, &env->env,
                     store_clock(cluster->options.store), &cluster->fence);
}

static void set_parts(struct cluster *cluster)
{
    const struct cluster_options *options = &cluster->options;

    cluster->first = (struct ring){
        .bits = RING_BITS,
        .copies = options->copies,
        .member_count = options->member_count,
        .members = cluster->members,
    };
    cluster->fence.env = &cluster->env.env;
    cluster->fence.hlc = store_clock(options->store);
    cluster->fence.limit_ms = options->clock_offset_ms;
    cluster->fence.ctx = cluster;
    cluster->fence.moved = on_clock_moved;
    cluster->hints.seat = &cluster->seat;
    cluster->hints.limit_bytes = options->hint_bytes;
    cluster->hints.age_ms = options->hint_age_ms;
    cluster->hints.timeout_ms = CALL_MS;
    cluster->hints.retry_ms = RETRY_MS;
    cluster->entropy.seat = &cluster->seat;
    cluster->entropy.period_ms = options->anti_entropy_period_ms;
    cluster->entropy.timeout_ms = CALL_MS;
    cluster->entropy.settle_ms = options->write_timeout_ms;
    cluster->stats.hints = &cluster->hints.stats;
    cluster->stats.entropy = &cluster->entropy.stats;
    cluster->stats.fence = &cluster->fence.stats;
}

static enum kist_status start_watch(struct cluster *cluster)
{
    cluster->watch = (struct members){
        .seat = &cluster->seat,
        .fence = &cluster->fence,
        .roll = &cluster->roll,
        .name = view_of(cluster->options.name),
        .first = &cluster->first,
        .beat_ms = MEMBERS_BEAT_MS,
        .silence_ms = MEMBERS_SILENCE_MS,
        .ctx = cluster,
        .joined = on_joined,
        .returned = on_returned,
        .moved = on_member_moved,
        .founded = on_founded,
    };
    return members_start(&cluster->watch);
}

enum kist_status cluster_open(const struct cluster_options *options,
                              const struct cluster_hooks *hooks,
                              struct cluster **out_cluster)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    struct loop_env_options env;
    enum kist_status status;

    if (cluster == NULL)
        return KIST_NO_MEMORY;
    assert(options->member_count <= ROLL_MAX);
    cluster->options = *options;
    cluster->hooks = *hooks;
    for (unsigned i = 0; i < options->member_count; i++)
        cluster->members[i] = options->members[i];
    errands_open(&cluster->errands, options->home);
    env = env_options(cluster, options->home, options->lane);
    status = loop_env_open(&env, &cluster->env);
    if (status == KIST_OK) {
        cluster->has_env = true;
        set_seat(cluster, &cluster->env, &cluster->seat);
        set_parts(cluster);
        fence_start(&cluster->fence);
        status = start_watch(cluster);
    }
    if (status != KIST_OK) {
        cluster_close(cluster);
        return status;
    }
    *out_cluster = cluster;
    return KIST_OK;
}

void cluster_turn_end(struct cluster *cluster)
{
    loop_env_turn_end(&cluster->env);
}

void cluster_stop(struct cluster *cluster)
{
    if (cluster->is_stopped)
        return;
    cluster->is_stopped = true;
    errands_close(&cluster->errands);
    if (!cluster->has_env)
        return;
    members_stop(&cluster->watch);
    hints_stop(&cluster->hints);
    if (cluster->is_comparing)
        anti_entropy_stop(&cluster->entropy);
    fence_stop(&cluster->fence);
    timekeeper_stop(&cluster->seat.clock);
    loop_env_stop(&cluster->env);
}

void cluster_close(struct cluster *cluster)
{
    if (cluster == NULL)
        return;
    assert(cluster->loops == NULL);
    cluster_stop(cluster);
    if (cluster->has_env) {
        /* What was refused since is told. */
        while (!loop_env_is_idle(&cluster->env))
            loop_env_turn_end(&cluster->env);
        hints_clear(&cluster->hints);
        members_clear(&cluster->watch);
        loop_env_close(&cluster->env);
    }
    errands_end(&cluster->errands);
    free(cluster);
}

/* The loops. */

enum kist_status cluster_loop_open(struct cluster *cluster, struct loop *loop,
                                   struct commit_lane *lane,
                                   struct cluster_loop **out_loop)
{
    struct cluster_loop *self = calloc(1, sizeof(*self));
    struct loop_env_options env = env_options(cluster, loop, lane);
    enum kist_status status;

    if (self == NULL)
        return KIST_NO_MEMORY;
    status = loop_env_open(&env, &self->env);
    if (status != KIST_OK) {
        free(self);
        return status;
    }
    self->cluster = cluster;
    self->loop = loop;
    self->join.run = on_join;
    set_seat(cluster, &self->env, &self->seat);
    if (cluster->seat.ring != NULL)
        take_ring(self);
    self->next = cluster->loops;
    cluster->loops = self;
    *out_loop = self;
    return KIST_OK;
}

void cluster_loop_close(struct cluster_loop *loop)
{
    struct cluster_loop **at = &loop->cluster->loops;

    while (*at != loop)
        at = &(*at)->next;
    *at = loop->next;
    timekeeper_stop(&loop->seat.clock);
    loop_env_stop(&loop->env);
    loop_env_close(&loop->env);
    ring_free(loop->seat.ring);
    free(loop);
}

struct seat *cluster_loop_seat(struct cluster_loop *loop)
{
    return &loop->seat;
}

void cluster_loop_turn_end(struct cluster_loop *loop)
{
    loop_env_turn_end(&loop->env);
}

bool cluster_loop_rests(struct cluster_loop *loop)
{
    if (!loop->is_stopped) {
        loop->is_stopped = true;
        timekeeper_stop(&loop->seat.clock);
        loop_env_stop(&loop->env);
    }
    if (!loop_env_is_idle(&loop->env))
        loop_env_turn_end(&loop->env); /* What was refused is told now. */
    return loop->errands_out == 0 && loop_env_is_idle(&loop->env);
}

/* For whoever looks. */

const char *cluster_secret(const struct cluster *cluster)
{
    return cluster->options.secret;
}

const char *cluster_name(const struct cluster *cluster)
{
    return cluster->options.name;
}

enum founding_state cluster_state(const struct cluster *cluster)
{
    return (enum founding_state)atomic_load(
        &((struct cluster *)cluster)->state);
}

enum fence_state cluster_clock(const struct cluster *cluster)
{
    return fence_state(&cluster->fence);
}

bool cluster_may_stamp(const struct cluster *cluster)
{
    const struct hlc *hlc = store_clock(cluster->options.store);
    uint64_t now_ms = clock_wall_ms();

    return fence_state(&cluster->fence) == FENCE_OPEN &&
           now_ms + hlc_ahead_ms(hlc, now_ms) < hlc_lease_ms(hlc);
}

bool cluster_has_begun(struct cluster *cluster)
{
    unsigned writers = 0, count = roll_count(&cluster->roll);

    if (atomic_load(&cluster->has_begun))
        return true;
    for (unsigned i = 0; i < count; i++)
        writers += roll_takes_writes(&cluster->roll,
                                     roll_read(&cluster->roll, i).incarnation);
    if (writers <= count / 2)
        return false;
    atomic_store(&cluster->has_begun, true);
    return true;
}

const struct roll *cluster_roll(const struct cluster *cluster)
{
    return &cluster->roll;
}

const struct cluster_stats *cluster_stats(const struct cluster *cluster)
{
    return &cluster->stats;
}
