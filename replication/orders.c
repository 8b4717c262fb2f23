#include "replication/orders.h"

#include "base/owner.h"

static void on_task(struct loop_task *task)
{
    struct orders *orders = OWNER(task, struct orders, task);
    struct seat_orders next;

    pthread_mutex_lock(&orders->lock);
    next = orders->next;
    orders->is_posted = false;
    pthread_mutex_unlock(&orders->lock);
    seat_follow(orders->seat, &next);
}

void orders_open(struct orders *orders, struct loop *loop, struct seat *seat)
{
    *orders = (struct orders){.loop = loop, .seat = seat, .task.run = on_task};
    pthread_mutex_init(&orders->lock, NULL);
}

void orders_give(struct orders *orders, const struct seat *home)
{
    struct seat_orders next = seat_orders_of(home);
    const struct ring *skipped = NULL;
    bool is_posted;

    pthread_mutex_lock(&orders->lock);
    is_posted = orders->is_posted;
    if (is_posted)
        skipped = orders->next.ring;
    orders->next = next;
    orders->is_posted = true;
    pthread_mutex_unlock(&orders->lock);
    ring_free(skipped);
    if (!is_posted)
        loop_post(orders->loop, &orders->task);
}

void orders_close(struct orders *orders)
{
    if (orders->is_posted)
        ring_free(orders->next.ring);
    pthread_mutex_destroy(&orders->lock);
}
