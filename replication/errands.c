#include "replication/errands.h"

#include "base/owner.h"

#include <assert.h>

static struct errand *take_all(struct errands *errands, bool close)
{
    struct errand *first;

    pthread_mutex_lock(&errands->lock);
    first = errands->first;
    errands->first = NULL;
    errands->last = &errands->first;
    errands->is_closed |= close;
    pthread_mutex_unlock(&errands->lock);
    return first;
}

static void run_all(struct errand *errand, enum errand_fate fate)
{
    while (errand != NULL) {
        struct errand *next = errand->next;

        errand->run(errand, fate);
        errand = next;
    }
}

static void on_task(struct loop_task *task)
{
    struct errands *errands = OWNER(task, struct errands, task);

    run_all(take_all(errands, false), ERRAND_DONE);
}

void errands_open(struct errands *errands, struct loop *loop)
{
    *errands = (struct errands){.loop = loop, .task.run = on_task};
    errands->last = &errands->first;
    pthread_mutex_init(&errands->lock, NULL);
}

void errands_add(struct errands *errands, struct errand *errand)
{
    bool is_first, is_closed;

    errand->next = NULL;
    pthread_mutex_lock(&errands->lock);
    is_closed = errands->is_closed;
    is_first = errands->first == NULL;
    if (!is_closed) {
        *errands->last = errand;
        errands->last = &errand->next;
    }
    pthread_mutex_unlock(&errands->lock);
    if (is_closed)
        errand->run(errand, ERRAND_TOO_LATE);
    else if (is_first)
        loop_post(errands->loop, &errands->task);
}

void errands_close(struct errands *errands)
{
    run_all(take_all(errands, true), ERRAND_TOO_LATE);
}

void errands_end(struct errands *errands)
{
    assert(errands->is_closed && errands->first == NULL);
    pthread_mutex_destroy(&errands->lock);
}
