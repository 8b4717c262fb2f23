#include "storage/redis_call.h"

#include "base/clock.h"
#include "base/owner.h"

void redis_calls_init(struct redis_calls *calls, struct redis_map *map,
                      uint64_t timeout_ms)
{
    *calls = (struct redis_calls){.map = map, .timeout_ms = timeout_ms};
    pthread_mutex_init(&calls->lock, NULL);
    pthread_cond_init(&calls->all_done, NULL);
}

void redis_calls_clear(struct redis_calls *calls)
{
    pthread_cond_destroy(&calls->all_done);
    pthread_mutex_destroy(&calls->lock);
}

static void note(struct redis_calls *calls, enum kist_status status,
                 size_t finished)
{
    pthread_mutex_lock(&calls->lock);
    if (calls->status == KIST_OK)
        calls->status = status;
    calls->waiting -= finished;
    if (calls->waiting == 0)
        pthread_cond_signal(&calls->all_done);
    pthread_mutex_unlock(&calls->lock);
}

static void say(struct redis_task *task, struct redis_command *command)
{
    struct redis_call *call = OWNER(task, struct redis_call, task);

    call->say(call, command);
}

static enum redis_heard hear(struct redis_task *task,
                             const struct redis_answer *answer)
{
    struct redis_call *call = OWNER(task, struct redis_call, task);
    enum kist_status status = call->hear(call, answer);

    if (status != KIST_OK)
        note(call->calls, status, 0);
    return REDIS_HEARD_ALL;
}

static void done(struct redis_task *task, enum kist_status status)
{
    struct redis_call *call = OWNER(task, struct redis_call, task);

    note(call->calls, status, 1);
}

void redis_calls_add(struct redis_calls *calls, struct redis_task_list *list,
                     struct redis_call *call)
{
    call->calls = calls;
    call->task.deadline_ns =
        clock_mono_ns() + calls->timeout_ms * UINT64_C(1000000);
    call->task.say = say;
    call->task.hear = hear;
    call->task.done = done;
    calls->waiting++;
    redis_task_list_add(list, &call->task);
}

enum kist_status redis_calls_run(struct redis_calls *calls,
                                 struct redis_task_list *list)
{
    enum kist_status status;

    redis_map_give(calls->map, list);
    pthread_mutex_lock(&calls->lock);
    while (calls->waiting > 0)
        pthread_cond_wait(&calls->all_done, &calls->lock);
    status = calls->status;
    calls->status = KIST_OK;
    pthread_mutex_unlock(&calls->lock);
    return status;
}
