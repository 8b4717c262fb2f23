#include "replication/cluster.h"

#include "base/clock.h"
#include "base/owner.h"
#include "replication/cluster_internal.h"
#include "replication/cluster_loop.h"
#include "storage/large_leftover.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CALL_MS = 2000, /* Of hints, comparisons, and questions about rings. */
    RETRY_MS = 500, /* After a delivery that failed; doubles to 16 s. */
    FILES_KEPT_MS = 60000, /* That were fetched, for their records to follow. */
    FILES_LOOK_MS = 1000,
    TICK_MS = 500, /* Looks at a change under way, and at the floor. */
};

/* A message for the node as a whole. */

void cluster_answer(struct cluster *cluster, struct view message,
                    struct replica_caller *caller)
{
    if (members_takes(message))
        members_receive(&cluster->watch, message, caller);
    else
        replica_receive(&cluster->seat, message, caller);
}

/* struct seat's hook, of home's. */
static void on_ring(void *ctx, const struct frame *frame,
                    struct replica_caller *caller)
{
    struct cluster *cluster = ctx;

    if (!cluster->is_seated)
        replica_refuse(&cluster->seat, frame, FRAME_BUSY, caller);
    else if (frame->kind == FRAME_FLOOR)
        floor_receive(&cluster->floor, frame, caller);
    else
        change_receive(&cluster->change, frame, caller);
}

/* The hooks of struct change and struct floor. */

static enum founding_state state_of(const struct seat *seat)
{
    if (seat->ring->epoch == 0)
        return FOUNDING_CANDIDATE;
    return seat->is_member ? FOUNDING_MEMBER : FOUNDING_OUTSIDER;
}

static void move(struct cluster *cluster, enum founding_state to)
{
    enum founding_state from = cluster_state(cluster);

    atomic_store(&cluster->state, to);
    if (from != to && cluster->hooks.founded != NULL)
        cluster->hooks.founded(cluster->hooks.ctx, from, to);
}

static void show_ring(struct cluster *cluster)
{
    const struct ring *ring = cluster->seat.ring;
    struct env *env = &cluster->env.env;

    gauge_set(&cluster->stats.epoch, (int64_t)ring->epoch);
    gauge_set(&cluster->stats.pending, ring->next != NULL);
    gauge_set(&cluster->stats.since_ms, (int64_t)env->ops->mono_ms(env));
}

static void on_adopted(struct change *change)
{
    struct cluster *cluster = OWNER(change, struct cluster, change);

    cluster_loop_give_orders(cluster);
    show_ring(cluster);
    floor_follow(&cluster->floor);
    if (members_follow(&cluster->watch) != KIST_OK)
        counter_add(&cluster->stats.unwatched, 1);
    move(cluster, state_of(&cluster->seat));
    if (cluster->hooks.adopted != NULL)
        cluster->hooks.adopted(cluster->hooks.ctx, cluster->seat.ring);
}

static void on_floor_heard(struct change *change, uint64_t level)
{
    floor_learn(&OWNER(change, struct cluster, change)->floor, level);
}

static void on_raised(struct floor *floor)
{
    cluster_loop_give_orders(OWNER(floor, struct cluster, floor));
}

static void on_compared(struct anti_entropy *entropy, uint64_t peer,
                        uint64_t began_ms)
{
    floor_compared(&OWNER(entropy, struct cluster, entropy)->floor, peer,
                   began_ms);
}

/* Taking the seat: from here on the node has a ring, and follows others. */

static void forget_kept(struct cluster *cluster)
{
    blob_free(&cluster->kept.ring);
    blob_free(&cluster->kept.decree);
    blob_free(&cluster->kept.floor);
}

static enum kist_status start_change(struct cluster *cluster,
                                     const struct ring *first)
{
    struct change *change = &cluster->change;

    change->seat = &cluster->seat;
    change->tick_ms = TICK_MS;
    change->timeout_ms = CALL_MS;
    change->bytes_per_s = cluster->options.transfer_bytes_per_s;
    change->adopted = on_adopted;
    change->floor_heard = on_floor_heard;
    cluster_plan_init(cluster);
    return change_start(change, blob_view(&cluster->kept.ring),
                        blob_view(&cluster->kept.decree), first);
}

static enum kist_status start_floor(struct cluster *cluster)
{
    struct floor *floor = &cluster->floor;

    floor->seat = &cluster->seat;
    floor->tick_ms = TICK_MS;
    floor->timeout_ms = CALL_MS;
    floor->grace_ms = cluster->options.grace_ms;
    floor->interval_ms = cluster->options.grace_ms / 4;
    floor->raised = on_raised;
    cluster->entropy.compared = on_compared;
    return floor_start(floor, blob_view(&cluster->kept.floor));
}

static void on_ring_heard(struct join *join, struct view ring)
{
    change_learn(&OWNER(join, struct cluster, join)->change, ring);
}

static void on_join_moved(struct join *join, struct view address,
                          bool is_reached)
{
    struct cluster *cluster = OWNER(join, struct cluster, join);

    if (cluster->hooks.join_moved != NULL)
        cluster->hooks.join_moved(cluster->hooks.ctx, address, is_reached);
}

static void start_join(struct cluster *cluster)
{
    cluster->join = (struct join){
        .seat = &cluster->seat,
        .addresses = cluster->options.join,
        .count = cluster->options.join_count,
        .period_ms = CALL_MS,
        .timeout_ms = CALL_MS,
        .heard = on_ring_heard,
        .moved = on_join_moved,
    };
    join_start(&cluster->join);
}

/* Takes a share of first, as change_start(). */
static enum kist_status take_seat(struct cluster *cluster,
                                  const struct ring *first)
{
    enum kist_status status = start_change(cluster, first);

    if (status == KIST_OK) {
        status = start_floor(cluster);
        if (status != KIST_OK) {
            change_stop(&cluster->change);
            change_clear(&cluster->change);
        }
    }
    if (status != KIST_OK)
        return status;
    cluster->is_seated = true;
    show_ring(cluster);
    forget_kept(cluster);
    anti_entropy_start(&cluster->entropy);
    start_join(cluster);
    return KIST_OK;
}

/* The hooks of struct members. */

static void on_joined(void *ctx)
{
    struct cluster *cluster = ctx;

    if (!cluster->is_seated)
        cluster->status = take_seat(cluster, ring_share(cluster->seat.ring));
    if (cluster->status != KIST_OK)
        return;
    cluster_loop_give_orders(cluster);
    move(cluster, state_of(&cluster->seat));
}

static void on_returned(void *ctx, uint64_t incarnation)
{
    struct cluster *cluster = ctx;

    hints_wake(&cluster->hints, incarnation);
    if (cluster->is_seated)
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

/* To be a member takes a seat, too. */
static void on_founded(void *ctx, enum founding_state from,
                       enum founding_state to)
{
    (void)from;
    if (to != FOUNDING_MEMBER)
        move(ctx, to);
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

struct loop_env_options cluster_env_options(struct cluster *cluster,
                                            struct loop *loop,
                                            struct commit_lane *lane)
{
    return (struct loop_env_options){
        .store = cluster->options.store,
        .lane = lane,
        .files = cluster->files,
        .transport = {.loop = loop,
                      .secret = cluster->options.secret,
                      .queue_bytes = cluster->options.queue_bytes,
                      .stats = &cluster->stats.transport},
    };
}

static void set_first(struct cluster *cluster)
{
    const struct cluster_options *options = &cluster->options;

    for (unsigned i = 0; i < options->member_count; i++)
        cluster->members[i] = options->members[i];
    cluster->first = (struct ring){
        .bits = RING_BITS,
        .copies = options->copies,
        .member_count = options->member_count,
        .members = cluster->members,
    };
}

static void set_parts(struct cluster *cluster)
{
    const struct cluster_options *options = &cluster->options;

    cluster->seat.on_ring = on_ring;
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
    cluster->stats.floor = &cluster->floor.stats;
    cluster->stats.transfer = &cluster->change.transfer.stats;
}

static enum kist_status read_kept(struct cluster *cluster, struct view name,
                                  struct blob *out)
{
    struct env *env = &cluster->env.env;
    enum kist_status status = env->ops->kept(env, name, out);

    if (status == KIST_NOT_FOUND)
        return KIST_OK;
    return status == KIST_OK && out->failed ? KIST_NO_MEMORY : status;
}

/* A ring that came after the first one decides, and not who was told of. */
static enum kist_status resume(struct cluster *cluster)
{
    struct cluster_kept *kept = &cluster->kept;
    enum kist_status status =
        read_kept(cluster, VIEW_LITERAL(CHANGE_NAME), &kept->ring);

    if (status == KIST_OK)
        status = read_kept(cluster, VIEW_LITERAL(DECREE_NAME), &kept->decree);
    if (status == KIST_OK)
        status = read_kept(cluster, VIEW_LITERAL(FLOOR_NAME), &kept->floor);
    if (status != KIST_OK ||
        (kept->ring.size == 0 && cluster->options.member_count > 0))
        return status;
    return take_seat(cluster, NULL);
}

static enum kist_status start_watch(struct cluster *cluster)
{
    enum kist_status status;

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
    status = members_start(&cluster->watch);
    if (status == KIST_OK)
        status = cluster->status;
    if (status == KIST_OK && cluster->is_seated)
        move(cluster, state_of(&cluster->seat));
    return status;
}

static enum kist_status open_parts(struct cluster *cluster)
{
    const struct cluster_options *options = &cluster->options;
    struct loop_env_options env =
        cluster_env_options(cluster, options->home, options->lane);
    enum kist_status status = loop_env_open(&env, &cluster->env);

    if (status != KIST_OK)
        return status;
    cluster->has_env = true;
    cluster_seat_init(cluster, &cluster->env, &cluster->seat);
    set_first(cluster);
    set_parts(cluster);
    fence_start(&cluster->fence);
    status = resume(cluster);
    return status == KIST_OK ? start_watch(cluster) : status;
}

static enum kist_status open_files(struct cluster *cluster)
{
    struct transport_files_options options = {
        .large = store_large(cluster->options.store),
        .secret = cluster->options.secret,
        .kept_ms = FILES_KEPT_MS,
        .stats = &cluster->stats.files,
    };

    return transport_files_open(&options, &cluster->files);
}

enum kist_status cluster_open(const struct cluster_options *options,
                              const struct cluster_hooks *hooks,
                              struct cluster **out_cluster)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    enum kist_status status;

    if (cluster == NULL)
        return KIST_NO_MEMORY;
    assert(options->member_count <= ROLL_MAX);
    cluster->options = *options;
    cluster->hooks = *hooks;
    errands_open(&cluster->errands, options->home);
    status = open_files(cluster);
    if (status == KIST_OK)
        status = open_parts(cluster);
    if (status != KIST_OK) {
        cluster_close(cluster);
        return status;
    }
    *out_cluster = cluster;
    return KIST_OK;
}

const struct ring *cluster_ring(const struct cluster *cluster)
{
    return cluster->seat.ring;
}

/* Those whose records did not follow; the commit finds out. */
static void give_up_files(struct cluster *cluster)
{
    uint64_t now_ms = cluster->env.env.ops->mono_ms(&cluster->env.env);
    struct large_reference file;

    if (now_ms - cluster->looked_ms < FILES_LOOK_MS || cluster->is_stopped)
        return;
    cluster->looked_ms = now_ms;
    while (transport_files_take_old(cluster->files, &file))
        large_leftover_give_up(cluster->options.lane, &file);
}

void cluster_turn_end(struct cluster *cluster)
{
    give_up_files(cluster);
    loop_env_turn_end(&cluster->env);
}

void cluster_set_transfer_rate(struct cluster *cluster, uint64_t bytes_per_s)
{
    cluster->options.transfer_bytes_per_s = bytes_per_s;
    change_set_rate(&cluster->change, bytes_per_s);
}

static void leave_seat(struct cluster *cluster)
{
    anti_entropy_stop(&cluster->entropy);
    change_stop(&cluster->change);
    floor_stop(&cluster->floor);
    join_stop(&cluster->join);
}

void cluster_stop(struct cluster *cluster)
{
    if (cluster->is_stopped)
        return;
    cluster->is_stopped = true;
    errands_close(&cluster->errands);
    if (cluster->files != NULL)
        transport_files_stop(cluster->files);
    if (!cluster->has_env)
        return;
    members_stop(&cluster->watch);
    hints_stop(&cluster->hints);
    if (cluster->is_seated)
        leave_seat(cluster);
    fence_stop(&cluster->fence);
    timekeeper_stop(&cluster->seat.clock);
    loop_env_stop(&cluster->env);
}

bool cluster_rests(struct cluster *cluster)
{
    if (!loop_env_is_idle(&cluster->env))
        loop_env_turn_end(&cluster->env); /* What was refused is told now. */
    return loop_env_is_idle(&cluster->env);
}

static void clear_parts(struct cluster *cluster)
{
    while (!cluster_rests(cluster))
        ;
    hints_clear(&cluster->hints);
    if (cluster->is_seated) {
        change_clear(&cluster->change);
        floor_clear(&cluster->floor);
        join_clear(&cluster->join);
        cluster_plan_clear(cluster);
    }
    members_clear(&cluster->watch);
    ring_free(cluster->seat.ring); /* If the members did not bring it. */
    loop_env_close(&cluster->env);
}

void cluster_close(struct cluster *cluster)
{
    if (cluster == NULL)
        return;
    assert(cluster->loops == NULL);
    cluster_stop(cluster);
    if (cluster->has_env)
        clear_parts(cluster);
    errands_end(&cluster->errands);
    forget_kept(cluster);
    transport_files_close(cluster->files);
    free(cluster);
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

struct transport_files *cluster_files(const struct cluster *cluster)
{
    return cluster->files;
}

const struct roll *cluster_roll(const struct cluster *cluster)
{
    return &cluster->roll;
}

const struct cluster_stats *cluster_stats(const struct cluster *cluster)
{
    return &cluster->stats;
}
