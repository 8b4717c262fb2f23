/*
 * A round: what waits is sifted (late, or somebody else's by now), connected
 * for if need be, said, and heard. A task that goes on, or is refused for the
 * moment, is held for the next round; it keeps its place before those that
 * come later, so that what was asked for in an order is said in it.
 *
 * A connection that ends leaves tasks unanswered. They are said again in the
 * same words, which does no harm: storage/redis_script.h.
 *
 * Where writes wait for replicas, none is said to a Redis that has too few: a
 * master just promoted, mostly. They are held, and replicas are asked for with
 * each round, until there are enough or the write is late and did not happen.
 */
#include "storage/redis_line.h"

#include "base/clock.h"
#include "storage/redis_refusal.h"
#include "storage/redis_script.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A round takes no more than that. */
#define ROUND_TASKS 4096
#define ROUND_BYTES (16u << 20)

#define MS UINT64_C(1000000)

/* Between two attempts to connect; to be answered something else than later. */
#define CONNECT_PAUSE_NS (50 * MS)
#define LATER_PAUSE_NS   (20 * MS)
#define LATER_PAUSES_MAX 5u

struct redis_line {
    /* Set when opened, then read-only. */
    struct redis_node *node;
    struct redis_map *map;
    struct redis_map_stats *stats;
    pthread_t thread;

    pthread_mutex_t lock; /* Guards the fields below. */
    pthread_cond_t work;  /* queue filled, or stopping. */
    struct redis_task_list queue;
    bool stopping;

    /* Its thread only. */
    struct redis_task_list held;
    struct redis_link *link;     /* NULL: there is none. */
    bool lacks_replicas;         /* Too few had all of link's last writes. */
    uint64_t connect_ns;         /* Not before. */
    char sha[REDIS_SCRIPTS][41]; /* The scripts' names at this Redis. */
    struct redis_command command;
    size_t said_bytes;
};

/* Waiting. */

static struct timespec wake_time(uint64_t mono_ns)
{
    return (struct timespec){.tv_sec = (time_t)(mono_ns / 1000000000),
                             .tv_nsec = (long)(mono_ns % 1000000000)};
}

/* When something of what is held is due, or late. */
static uint64_t next_due_ns(const struct redis_line *line)
{
    uint64_t due_ns = UINT64_MAX;

    for (const struct redis_task *task = line->held.first; task != NULL;
         task = task->next) {
        uint64_t at_ns = task->not_before_ns;

        if (line->link == NULL && at_ns < line->connect_ns)
            at_ns = line->connect_ns;
        if (task->deadline_ns < at_ns)
            at_ns = task->deadline_ns;
        if (at_ns < due_ns)
            due_ns = at_ns;
    }
    return due_ns;
}

/* False: stopping. */
static bool take(struct redis_line *line)
{
    uint64_t due_ns = next_due_ns(line);
    struct timespec until = wake_time(due_ns);
    bool goes_on;

    pthread_mutex_lock(&line->lock);
    while (line->queue.first == NULL && !line->stopping &&
           clock_mono_ns() < due_ns) {
        if (due_ns == UINT64_MAX)
            pthread_cond_wait(&line->work, &line->lock);
        else
            pthread_cond_timedwait(&line->work, &line->lock, &until);
    }
    redis_task_list_move(&line->held, &line->queue);
    goes_on = !line->stopping;
    pthread_mutex_unlock(&line->lock);
    return goes_on;
}

/* What is held is late, or somebody else's, or stays. */
static void sift(struct redis_line *line)
{
    struct redis_task_list all = line->held, strays;
    uint64_t now_ns = clock_mono_ns();

    if (all.first == NULL)
        return;
    redis_task_list_init(&line->held);
    redis_task_list_init(&strays);
    while (all.first != NULL) {
        struct redis_task *task = redis_task_list_take(&all);

        if (task->deadline_ns <= now_ns)
            redis_task_give_up(task);
        else if (!task->asks &&
                 redis_map_owner(line->map, task->shard) != line->node)
            redis_task_list_add(&strays, task);
        else
            redis_task_list_add(&line->held, task);
    }
    if (strays.first != NULL)
        redis_map_give(line->map, &strays);
}

/* Connecting. */

static void drop_link(struct redis_line *line)
{
    redis_link_close(line->link);
    line->link = NULL;
    line->connect_ns = clock_mono_ns() + CONNECT_PAUSE_NS;
    redis_map_doubt(line->map);
}

static enum kist_status load_script(struct redis_link *link,
                                    enum redis_script script, char out_sha[41])
{
    struct view words[] = {VIEW_LITERAL("SCRIPT"), VIEW_LITERAL("LOAD"),
                           redis_script_text(script)};
    struct redis_answer answer;
    enum kist_status status = redis_link_say(link, words, 3);

    if (status == KIST_OK)
        status = redis_link_hear(link, &answer);
    if (status != KIST_OK)
        return status;
    /* A Redis that is loading takes no script now; all of it will be sent. */
    out_sha[0] = '\0';
    if (answer.kind == REDIS_ANSWER_TEXT && answer.text.size == 40)
        memcpy(out_sha, answer.text.data, 41);
    redis_answer_free(&answer);
    return KIST_OK;
}

static enum kist_status load_scripts(struct redis_line *line)
{
    enum kist_status status = KIST_OK;

    for (int i = 0; i < REDIS_SCRIPTS && status == KIST_OK; i++)
        status = load_script(line->link, (enum redis_script)i, line->sha[i]);
    return status;
}

/* How long Redis waits for replicas that cannot be behind. */
#define LOOK_TIMEOUT_MS 1

static bool wants_replicas(const struct redis_line *line)
{
    return redis_map_options(line->map)->replicas > 0;
}

static enum kist_status say_replicas(struct redis_line *line,
                                     uint64_t timeout_ms)
{
    char replicas[24], timeout[24];
    struct view words[] = {VIEW_LITERAL("WAIT"), {0}, {0}};

    snprintf(replicas, sizeof(replicas), "%u",
             redis_map_options(line->map)->replicas);
    snprintf(timeout, sizeof(timeout), "%llu", (unsigned long long)timeout_ms);
    words[1] = view_of(replicas);
    words[2] = view_of(timeout);
    return redis_link_say(line->link, words, 3);
}

/* Whether enough of them have all that was written on this link. */
static enum kist_status learn_replicas(struct redis_line *line)
{
    struct redis_answer answer;
    enum kist_status status = redis_link_hear(line->link, &answer);

    if (status != KIST_OK)
        return status;
    line->lacks_replicas =
        answer.kind != REDIS_ANSWER_NUMBER ||
        answer.number < (int64_t)redis_map_options(line->map)->replicas;
    redis_answer_free(&answer);
    return KIST_OK;
}

static enum kist_status look_for_replicas(struct redis_line *line)
{
    enum kist_status status = KIST_OK;

    if (wants_replicas(line))
        status = say_replicas(line, LOOK_TIMEOUT_MS);
    if (status == KIST_OK && wants_replicas(line))
        status = learn_replicas(line);
    return status;
}

/* Who is on the way to here by an ASK goes where it came from. */
static void forget_asks(struct redis_line *line)
{
    for (struct redis_task *task = line->held.first; task != NULL;
         task = task->next)
        task->asks = false;
}

static bool connected(struct redis_line *line)
{
    char fault[REDIS_FAULT_SIZE];

    if (line->link != NULL && redis_link_is_open(line->link))
        return true;
    if (line->link != NULL) {
        redis_link_close(line->link); /* Connect anew at once. */
        line->link = NULL;
    } else if (clock_mono_ns() < line->connect_ns) {
        return false;
    }
    if (redis_link_open(&line->node->address,
                        &redis_map_options(line->map)->link, fault,
                        &line->link) == KIST_OK &&
        load_scripts(line) == KIST_OK && look_for_replicas(line) == KIST_OK)
        return true;
    forget_asks(line);
    drop_link(line);
    return false;
}

/* Saying. */

/* By its name, or all of it to a Redis that does not know it (any more). */
static void name_script(struct redis_line *line, struct redis_task *task)
{
    struct view *arguments = line->command.arguments;
    enum redis_script script = line->command.script;
    const char *sha = line->sha[script];
    bool quoted = task->quoted || sha[0] == '\0';

    if (line->command.failed || line->command.count < 2 ||
        arguments[0].data != NULL)
        return;
    arguments[0] = quoted ? VIEW_LITERAL("EVAL") : VIEW_LITERAL("EVALSHA");
    arguments[1] = quoted ? redis_script_text(script) : view_of(sha);
    task->quoted = false;
}

/* The line's command is the task's next one. False: there is no memory. */
static bool make(struct redis_line *line, struct redis_task *task)
{
    task->say(task, &line->command);
    name_script(line, task);
    return !line->command.failed;
}

static enum kist_status say(struct redis_line *line, struct redis_task *task)
{
    const struct redis_command *command = &line->command;
    const struct view asking = VIEW_LITERAL("ASKING");
    enum kist_status status = KIST_OK;

    if (task->asks)
        status = redis_link_say(line->link, &asking, 1);
    if (status == KIST_OK)
        status = redis_link_say(line->link, command->arguments, command->count);
    for (size_t i = 0; i < command->count; i++)
        line->said_bytes += command->arguments[i].size;
    counter_add(&line->stats->commands, 1);
    return status;
}

/* Hearing. */

/* Later, and later still. */
static void put_off(struct redis_line *line, struct redis_task *task,
                    struct redis_task_list *held)
{
    uint64_t pauses = task->failures < LATER_PAUSES_MAX ? task->failures + 1
                                                        : LATER_PAUSES_MAX;

    task->failures++;
    task->not_before_ns = clock_mono_ns() + pauses * LATER_PAUSE_NS;
    counter_add(&line->stats->refusals, 1);
    redis_task_list_add(held, task);
}

static void redirect(struct redis_line *line, struct redis_task *task,
                     struct redis_refusal *refusal)
{
    struct redis_address *address = &refusal->address;
    struct redis_node *node;

    counter_add(&line->stats->redirections, 1);
    if (address->host[0] == '\0')
        memcpy(address->host, line->node->address.host, sizeof(address->host));
    task->asks = refusal->kind == REDIS_REFUSAL_ASK;
    if (!task->asks) {
        node = redis_map_node(line->map, address);
        if (node != NULL)
            redis_map_set(line->map, task->shard, node);
        redis_map_doubt(line->map);
    }
    redis_map_redirect(line->map, task, address);
}

static void refused(struct redis_line *line, struct redis_task *task,
                    struct view text, struct redis_task_list *held)
{
    struct redis_refusal refusal = redis_refusal_read(text);

    task->asks = false;
    switch (refusal.kind) {
    case REDIS_REFUSAL_MOVED:
    case REDIS_REFUSAL_ASK:
        redirect(line, task, &refusal);
        return;
    case REDIS_REFUSAL_NOSCRIPT:
        task->quoted = true;
        redis_task_list_add(held, task);
        return;
    case REDIS_REFUSAL_DEMOTED:
        redis_map_doubt(line->map);
        put_off(line, task, held);
        return;
    case REDIS_REFUSAL_LATER:
        redis_map_doubt(line->map);
        put_off(line, task, held);
        return;
    case REDIS_REFUSAL_FINAL:
        task->done(task, task->is_unanswered ? KIST_UNKNOWN : refusal.status);
        return;
    }
}

/* held: what goes on. waiting: done, once enough replicas have it. */
static void heard(struct redis_line *line, struct redis_task *task,
                  const struct redis_answer *answer,
                  struct redis_task_list *held, struct redis_task_list *waiting)
{
    bool wrote = task->writes;

    if (answer->kind == REDIS_ANSWER_ERROR) {
        refused(line, task, answer->text, held);
        return;
    }
    switch (task->hear(task, answer)) {
    case REDIS_HEARD_ALL:
        task->asks = false;
        if (wrote && wants_replicas(line))
            redis_task_list_add(waiting, task);
        else
            task->done(task, KIST_OK);
        return;
    case REDIS_HEARD_PART:
        break;
    case REDIS_HEARD_LATER:
        task->is_unanswered = false;
        task->asks = false;
        put_off(line, task, held);
        return;
    }
    task->is_unanswered = false;
    task->asks = false;
    redis_task_list_add(held, task);
}

/*
 * These were written here, and whether replicas have it is not known any more:
 * who is asked next may be one of them.
 */
static void doubt(struct redis_task_list *waiting)
{
    while (waiting->first != NULL) {
        struct redis_task *task = redis_task_list_take(waiting);

        task->done(task, KIST_UNKNOWN);
    }
}

/* These were said, and the link is dead. */
static void lose(struct redis_task_list *said, struct redis_task_list *held)
{
    while (said->first != NULL) {
        struct redis_task *task = redis_task_list_take(said);

        task->is_unanswered = task->is_unanswered || task->writes;
        task->asks = false;
        redis_task_list_add(held, task);
    }
}

static enum kist_status hear_asking(struct redis_line *line,
                                    const struct redis_task *task)
{
    struct redis_answer answer;
    enum kist_status status;

    if (!task->asks)
        return KIST_OK;
    status = redis_link_hear(line->link, &answer);
    if (status == KIST_OK)
        redis_answer_free(&answer);
    return status;
}

/* Replicas have what was written, or nobody can say that they will. */
static enum kist_status hear_replicas(struct redis_line *line,
                                      struct redis_task_list *waiting)
{
    enum kist_status status = learn_replicas(line);

    if (status != KIST_OK)
        return status;
    while (waiting->first != NULL) {
        struct redis_task *task = redis_task_list_take(waiting);

        task->done(task, line->lacks_replicas ? KIST_UNKNOWN : KIST_OK);
    }
    return KIST_OK;
}

/* One round. */

struct round {
    struct redis_task_list said;
    struct redis_task_list held; /* For the next one. */
    struct redis_task_list waiting;
    bool asks_replicas;
};

static enum kist_status say_all(struct redis_line *line, struct round *round)
{
    uint64_t now_ns = clock_mono_ns();
    enum kist_status status = KIST_OK;
    bool writes = false;
    size_t count = 0;

    line->said_bytes = 0;
    while (status == KIST_OK && line->held.first != NULL &&
           count < ROUND_TASKS && line->said_bytes < ROUND_BYTES) {
        struct redis_task *task = redis_task_list_take(&line->held);

        if (task->not_before_ns > now_ns) {
            redis_task_list_add(&round->held, task);
            continue;
        }
        if (!make(line, task)) {
            task->done(task,
                       task->is_unanswered ? KIST_UNKNOWN : KIST_NO_MEMORY);
            continue;
        }
        if (task->writes && line->lacks_replicas) {
            put_off(line, task, &round->held);
            round->asks_replicas = true;
            continue;
        }
        status = say(line, task);
        redis_task_list_add(&round->said, task);
        writes = writes || task->writes;
        count++;
    }
    round->asks_replicas =
        round->asks_replicas || (writes && wants_replicas(line));
    if (status == KIST_OK && round->asks_replicas)
        status = say_replicas(
            line, writes ? redis_map_options(line->map)->replicas_timeout_ms
                         : LOOK_TIMEOUT_MS);
    counter_add(&line->stats->rounds, count > 0);
    return status;
}

static enum kist_status hear_all(struct redis_line *line, struct round *round)
{
    while (round->said.first != NULL) {
        struct redis_task *task = round->said.first;
        struct redis_answer answer;
        enum kist_status status = hear_asking(line, task);

        if (status == KIST_OK)
            status = redis_link_hear(line->link, &answer);
        if (status != KIST_OK)
            return status;
        redis_task_list_take(&round->said);
        heard(line, task, &answer, &round->held, &round->waiting);
        redis_answer_free(&answer);
    }
    if (!round->asks_replicas)
        return KIST_OK;
    return hear_replicas(line, &round->waiting);
}

static void work(struct redis_line *line)
{
    struct round round = {.asks_replicas = false};
    enum kist_status status;

    redis_task_list_init(&round.said);
    redis_task_list_init(&round.held);
    redis_task_list_init(&round.waiting);
    status = say_all(line, &round);
    if (status == KIST_OK)
        status = hear_all(line, &round);
    if (status == KIST_OK) {
        line->node->reached_ns = clock_mono_ns();
    } else {
        counter_add(&line->stats->lost, 1);
        doubt(&round.waiting);
        lose(&round.said, &round.held);
        drop_link(line);
    }
    redis_task_list_move(&round.held, &line->held);
    redis_task_list_move(&line->held, &round.held);
}

static void *run(void *ctx)
{
    struct redis_line *line = ctx;

    pthread_setname_np(pthread_self(), "kist-redis");
    while (take(line)) {
        sift(line);
        if (line->held.first != NULL && connected(line))
            work(line);
    }
    return NULL;
}

enum kist_status redis_line_open(struct redis_node *node,
                                 struct redis_line **out_line)
{
    struct redis_line *line = calloc(1, sizeof(*line));
    pthread_condattr_t attributes;

    if (line == NULL)
        return KIST_NO_MEMORY;
    line->node = node;
    line->map = node->map;
    line->stats = redis_map_stats(node->map);
    redis_task_list_init(&line->queue);
    redis_task_list_init(&line->held);
    pthread_mutex_init(&line->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&line->work, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&line->thread, NULL, run, line) != 0) {
        pthread_cond_destroy(&line->work);
        pthread_mutex_destroy(&line->lock);
        free(line);
        return KIST_IO;
    }
    *out_line = line;
    return KIST_OK;
}

void redis_line_stop(struct redis_line *line)
{
    pthread_mutex_lock(&line->lock);
    line->stopping = true;
    pthread_cond_signal(&line->work);
    pthread_mutex_unlock(&line->lock);
    pthread_join(line->thread, NULL);
}

void redis_line_close(struct redis_line *line)
{
    if (line == NULL)
        return;
    redis_task_list_move(&line->held, &line->queue);
    while (line->held.first != NULL)
        redis_task_give_up(redis_task_list_take(&line->held));
    redis_link_close(line->link);
    redis_command_free(&line->command);
    pthread_cond_destroy(&line->work);
    pthread_mutex_destroy(&line->lock);
    free(line);
}

void redis_line_give(struct redis_line *line, struct redis_task_list *list)
{
    bool first;

    if (list->first == NULL)
        return;
    pthread_mutex_lock(&line->lock);
    first = line->queue.first == NULL;
    redis_task_list_move(&line->queue, list);
    if (first)
        pthread_cond_signal(&line->work);
    pthread_mutex_unlock(&line->lock);
}
