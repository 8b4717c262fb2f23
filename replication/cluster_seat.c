/*
 * What a seat has for home goes there as an errand, also home's own.
 */
#include "replication/cluster_internal.h"

#include "base/owner.h"

#include <stdlib.h>

enum { ERRANDS_BYTES = 8 << 20 }; /* Of missed writes on their way to home. */

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

/* A write that somebody missed goes to the hints. */

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

/* A frame showed that a peer has another ring. */

static void on_sight_at_home(struct errand *errand, enum errand_fate fate)
{
    struct cluster_sight *sight = OWNER(errand, struct cluster_sight, errand);
    struct cluster *cluster = OWNER(sight, struct cluster, sight);
    uint64_t incarnation = sight->incarnation, epoch = sight->epoch;

    atomic_store(&sight->is_out, false);
    if (fate == ERRAND_DONE && cluster->is_seated)
        change_notice(&cluster->change, incarnation, epoch);
}

/* Likewise. Whoever differs shows it with every frame. */
static void on_differs(void *ctx, uint64_t incarnation, uint64_t epoch)
{
    struct cluster *cluster = ctx;
    struct cluster_sight *sight = &cluster->sight;

    if (atomic_exchange(&sight->is_out, true))
        return;
    sight->errand.run = on_sight_at_home;
    sight->incarnation = incarnation;
    sight->epoch = epoch;
    errands_add(&cluster->errands, &sight->errand);
}

void cluster_seat_init(struct cluster *cluster, struct loop_env *env,
                       struct seat *seat)
{
    *seat = (struct seat){
        .env = &env->env,
        .all = &cluster->seats,
        .number = seats_enter(&cluster->seats),
        .stats = &cluster->stats.quorum,
        .ctx = cluster,
        .is_alive = is_alive,
        .takes_writes = takes_writes,
        .missed = on_missed,
        .differs = on_differs,
    };
    timekeeper_start(&seat->clock, &env->env,
                     store_clock(cluster->options.store), &cluster->fence);
}
