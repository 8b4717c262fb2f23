#include "replication/cluster_loop.h"

#include "base/owner.h"
#include "replication/cluster_internal.h"

#include <stdlib.h>

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
        cluster_answer(cluster, blob_view(&message), &forwarded->caller);
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

void cluster_loop_receive(struct cluster_loop *loop, struct view message,
                          struct replica_caller *caller)
{
    if (frame_is_for_home(message))
        forward(loop, message, caller);
    else
        replica_receive(&loop->seat, message, caller);
}

void cluster_loop_give_orders(struct cluster *cluster)
{
    for (struct cluster_loop *loop = cluster->loops; loop != NULL;
         loop = loop->next)
        orders_give(&loop->orders, &cluster->seat);
}

/* From open to close. */

enum kist_status cluster_loop_open(struct cluster *cluster, struct loop *loop,
                                   struct commit_lane *lane,
                                   struct cluster_loop **out_loop)
{
    struct cluster_loop *self = calloc(1, sizeof(*self));
    struct loop_env_options env = cluster_env_options(cluster, loop, lane);
    struct seat_orders orders = seat_orders_of(&cluster->seat);
    enum kist_status status = KIST_NO_MEMORY;

    if (self != NULL)
        status = loop_env_open(&env, &self->env);
    if (status != KIST_OK) {
        ring_free(orders.ring);
        free(self);
        return status;
    }
    self->cluster = cluster;
    self->loop = loop;
    cluster_seat_init(cluster, &self->env, &self->seat);
    seat_follow(&self->seat, &orders);
    orders_open(&self->orders, loop, &self->seat);
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
    seats_leave(&loop->cluster->seats, loop->seat.number);
    orders_close(&loop->orders);
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
