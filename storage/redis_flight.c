/*
 * A connection that ends leaves tasks unanswered. They are said again in the
 * same words, which does no harm: storage/redis_script.h.
 *
 * Where writes wait for replicas, none is said to a Redis that has too few: a
 * master just promoted, mostly. They are held, and replicas are asked for from
 * time to time, until there are enough or the write is late and did not happen.
 */
#include "storage/redis_flight.h"

#include "base/clock.h"
#include "storage/redis_refusal.h"

#include <stdio.h>
#include <string.h>

/* So much is said before all of it must have been heard. */
#define FLIGHT_TASKS 4096
#define FLIGHT_BYTES (16u << 20)

/* How long Redis waits for replicas that cannot be behind. */
#define LOOK_TIMEOUT_MS 1

/* To be answered something else than later. */
#define LATER_PAUSE_NS   UINT64_C(20000000)
#define LATER_PAUSES_MAX 5u

void redis_flight_init(struct redis_flight *flight, struct redis_node *node)
{
    flight->node = node;
    redis_task_list_init(&flight->said);
    redis_task_list_init(&flight->waiting);
    redis_task_list_init(&flight->goes_on);
}

void redis_flight_clear(struct redis_flight *flight)
{
    redis_link_close(flight->link);
    redis_command_free(&flight->command);
}

static const struct redis_map_options *
options_of(const struct redis_flight *flight)
{
    return redis_map_options(flight->node->map);
}

static struct redis_map_stats *stats_of(const struct redis_flight *flight)
{
    return redis_map_stats(flight->node->map);
}

static bool wants_replicas(const struct redis_flight *flight)
{
    return options_of(flight)->replicas > 0;
}

bool redis_flight_is_empty(const struct redis_flight *flight)
{
    return flight->said.first == NULL && !flight->asks_replicas;
}

uint64_t redis_flight_late_ns(const struct redis_flight *flight)
{
    return flight->moved_ns +
           options_of(flight)->link.answer_timeout_ms * UINT64_C(1000000);
}

/* Connecting. */

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

static enum kist_status load_scripts(struct redis_flight *flight)
{
    enum kist_status status = KIST_OK;

    for (int i = 0; i < REDIS_SCRIPTS && status == KIST_OK; i++)
        status =
            load_script(flight->link, (enum redis_script)i, flight->sha[i]);
    return status;
}

static enum kist_status say_replicas(struct redis_flight *flight,
                                     uint64_t timeout_ms)
{
    char replicas[24], timeout[24];
    struct view words[] = {VIEW_LITERAL("WAIT"), {0}, {0}};

    snprintf(replicas, sizeof(replicas), "%u", options_of(flight)->replicas);
    snprintf(timeout, sizeof(timeout), "%llu", (unsigned long long)timeout_ms);
    words[1] = view_of(replicas);
    words[2] = view_of(timeout);
    return redis_link_say(flight->link, words, 3);
}

/* Whether enough of them have all that was written on this link. */
static void learn_replicas(struct redis_flight *flight,
                           const struct redis_answer *answer)
{
    flight->lacks_replicas =
        answer->kind != REDIS_ANSWER_NUMBER ||
        answer->number < (int64_t)options_of(flight)->replicas;
}

static enum kist_status look_for_replicas(struct redis_flight *flight)
{
    struct redis_answer answer;
    enum kist_status status;

    if (!wants_replicas(flight))
        return KIST_OK;
    status = say_replicas(flight, LOOK_TIMEOUT_MS);
    if (status == KIST_OK)
        status = redis_link_hear(flight->link, &answer);
    if (status != KIST_OK)
        return status;
    learn_replicas(flight, &answer);
    redis_answer_free(&answer);
    return KIST_OK;
}

enum kist_status redis_flight_connect(struct redis_flight *flight)
{
    const struct redis_node *node = flight->node;
    char fault[REDIS_FAULT_SIZE];
    enum kist_status status = redis_link_open(
        &node->address, &options_of(flight)->link, fault, &flight->link);

    if (status == KIST_OK)
        status = load_scripts(flight);
    if (status == KIST_OK)
        status = look_for_replicas(flight);
    if (status != KIST_OK) {
        redis_link_close(flight->link);
        flight->link = NULL;
    }
    return status;
}

/* Saying. */

/* By its name, or all of it to a Redis that does not know it (any more). */
static void name_script(struct redis_flight *flight, struct redis_task *task)
{
    struct view *arguments = flight->command.arguments;
    enum redis_script script = flight->command.script;
    const char *sha = flight->sha[script];
    bool quoted = task->quoted || sha[0] == '\0';

    if (flight->command.failed || flight->command.count < 2 ||
        arguments[0].data != NULL)
        return;
    arguments[0] = quoted ? VIEW_LITERAL("EVAL") : VIEW_LITERAL("EVALSHA");
    arguments[1] = quoted ? redis_script_text(script) : view_of(sha);
    task->quoted = false;
}

/* The flight's command is the task's next one. False: there is no memory. */
static bool make(struct redis_flight *flight, struct redis_task *task)
{
    task->say(task, &flight->command);
    name_script(flight, task);
    return !flight->command.failed;
}

static enum kist_status say(struct redis_flight *flight,
                            struct redis_task *task)
{
    const struct redis_command *command = &flight->command;
    const struct view asking = VIEW_LITERAL("ASKING");
    enum kist_status status = KIST_OK;

    if (task->asks)
        status = redis_link_say(flight->link, &asking, 1);
    if (status == KIST_OK)
        status =
            redis_link_say(flight->link, command->arguments, command->count);
    for (size_t i = 0; i < command->count; i++)
        flight->bytes += command->arguments[i].size;
    counter_add(&stats_of(flight)->commands, 1);
    redis_task_list_add(&flight->said, task);
    flight->count++;
    return status;
}

/* Later, and later still. */
static void put_off(struct redis_flight *flight, struct redis_task *task)
{
    uint64_t pauses = task->failures < LATER_PAUSES_MAX ? task->failures + 1
                                                        : LATER_PAUSES_MAX;

    task->failures++;
    task->not_before_ns = clock_mono_ns() + pauses * LATER_PAUSE_NS;
    counter_add(&stats_of(flight)->refusals, 1);
    redis_task_list_add(&flight->goes_on, task);
}

static bool has_room(const struct redis_flight *flight)
{
    return flight->count < FLIGHT_TASKS && flight->bytes < FLIGHT_BYTES;
}

bool redis_flight_has_room(const struct redis_flight *flight)
{
    return wants_replicas(flight) ? redis_flight_is_empty(flight)
                                  : has_room(flight);
}

/* What was said at once. */
struct saying {
    uint64_t now_ns;
    struct redis_task_list later; /* Not due. */
    bool any;
    bool writes;
    bool held_back; /* Writes, for want of replicas. */
};

static enum kist_status say_if_due(struct redis_flight *flight,
                                   struct saying *saying,
                                   struct redis_task *task)
{
    if (task->not_before_ns > saying->now_ns) {
        redis_task_list_add(&saying->later, task);
        return KIST_OK;
    }
    if (!make(flight, task)) {
        task->done(task, task->is_unanswered ? KIST_UNKNOWN : KIST_NO_MEMORY);
        return KIST_OK;
    }
    if (task->writes && flight->lacks_replicas) {
        put_off(flight, task);
        saying->held_back = true;
        return KIST_OK;
    }
    saying->any = true;
    saying->writes = saying->writes || task->writes;
    return say(flight, task);
}

static enum kist_status ask_replicas(struct redis_flight *flight,
                                     const struct saying *saying)
{
    flight->asks_replicas = true;
    return say_replicas(flight, saying->writes
                                    ? options_of(flight)->replicas_timeout_ms
                                    : LOOK_TIMEOUT_MS);
}

enum kist_status redis_flight_say(struct redis_flight *flight,
                                  struct redis_task_list *tasks)
{
    struct saying saying = {.now_ns = clock_mono_ns()};
    enum kist_status status = KIST_OK;

    if (redis_flight_is_empty(flight))
        flight->moved_ns = saying.now_ns;
    redis_task_list_init(&saying.later);
    while (status == KIST_OK && tasks->first != NULL && has_room(flight))
        status = say_if_due(flight, &saying, redis_task_list_take(tasks));
    redis_task_list_move(&saying.later, tasks);
    redis_task_list_move(tasks, &saying.later);
    if (status == KIST_OK && wants_replicas(flight) &&
        (saying.writes || saying.held_back))
        status = ask_replicas(flight, &saying);
    if (status == KIST_OK && (saying.any || flight->asks_replicas))
        status = redis_link_send(flight->link);
    counter_add(&stats_of(flight)->rounds, saying.any);
    return status;
}

/* Hearing. */

static void redirect(struct redis_flight *flight, struct redis_task *task,
                     struct redis_refusal *refusal)
{
    struct redis_address *address = &refusal->address;
    struct redis_node *node;

    counter_add(&stats_of(flight)->redirections, 1);
    if (address->host[0] == '\0')
        memcpy(address->host, flight->node->address.host,
               sizeof(address->host));
    task->asks = refusal->kind == REDIS_REFUSAL_ASK;
    if (!task->asks) {
        node = redis_map_node(flight->node->map, address);
        if (node != NULL)
            redis_map_set(flight->node->map, task->shard, node);
        redis_map_doubt(flight->node->map);
    }
    redis_map_redirect(flight->node->map, task, address);
}

static void refused(struct redis_flight *flight, struct redis_task *task,
                    struct view text)
{
    struct redis_refusal refusal = redis_refusal_read(text);

    task->asks = false;
    switch (refusal.kind) {
    case REDIS_REFUSAL_MOVED:
    case REDIS_REFUSAL_ASK:
        redirect(flight, task, &refusal);
        return;
    case REDIS_REFUSAL_NOSCRIPT:
        task->quoted = true;
        redis_task_list_add(&flight->goes_on, task);
        return;
    case REDIS_REFUSAL_DEMOTED:
    case REDIS_REFUSAL_LATER:
        redis_map_doubt(flight->node->map);
        put_off(flight, task);
        return;
    case REDIS_REFUSAL_FINAL:
        task->done(task, task->is_unanswered ? KIST_UNKNOWN : refusal.status);
        return;
    }
}

static void heard(struct redis_flight *flight, struct redis_task *task,
                  const struct redis_answer *answer)
{
    bool wrote = task->writes;

    if (answer->kind == REDIS_ANSWER_ERROR) {
        refused(flight, task, answer->text);
        return;
    }
    switch (task->hear(task, answer)) {
    case REDIS_HEARD_ALL:
        task->asks = false;
        if (wrote && wants_replicas(flight))
            redis_task_list_add(&flight->waiting, task);
        else
            task->done(task, KIST_OK);
        return;
    case REDIS_HEARD_PART:
        break;
    case REDIS_HEARD_LATER:
        task->is_unanswered = false;
        task->asks = false;
        put_off(flight, task);
        return;
    }
    task->is_unanswered = false;
    task->asks = false;
    redis_task_list_add(&flight->goes_on, task);
}

/* Replicas have what was written, or nobody can say that they will. */
static void heard_replicas(struct redis_flight *flight,
                           const struct redis_answer *answer)
{
    learn_replicas(flight, answer);
    flight->asks_replicas = false;
    while (flight->waiting.first != NULL) {
        struct redis_task *task = redis_task_list_take(&flight->waiting);

        task->done(task, flight->lacks_replicas ? KIST_UNKNOWN : KIST_OK);
    }
}

/* The next answer is to what was said first. */
static void take(struct redis_flight *flight, const struct redis_answer *answer)
{
    struct redis_task *task = flight->said.first;

    if (task == NULL) {
        heard_replicas(flight, answer);
    } else if (task->asks && !flight->asked) {
        flight->asked = true;
    } else {
        flight->asked = false;
        redis_task_list_take(&flight->said);
        heard(flight, task, answer);
    }
}

enum kist_status redis_flight_hear(struct redis_flight *flight)
{
    enum kist_status status = redis_link_receive(flight->link);

    while (status == KIST_OK && !redis_flight_is_empty(flight)) {
        struct redis_answer answer;

        status = redis_link_next(flight->link, &answer);
        if (status != KIST_OK)
            break;
        take(flight, &answer);
        redis_answer_free(&answer);
    }
    if (status == KIST_NOT_FOUND)
        status = KIST_OK; /* There is more to come. */
    if (status == KIST_OK)
        flight->moved_ns = clock_mono_ns();
    if (redis_flight_is_empty(flight)) {
        flight->count = 0;
        flight->bytes = 0;
    }
    return status;
}

/*
 * What was written and waits for replicas may be on them or not: who is asked
 * next may be one of them.
 */
void redis_flight_lose(struct redis_flight *flight)
{
    redis_link_close(flight->link);
    flight->link = NULL;
    flight->asks_replicas = false;
    flight->asked = false;
    flight->count = 0;
    flight->bytes = 0;
    while (flight->waiting.first != NULL) {
        struct redis_task *task = redis_task_list_take(&flight->waiting);

        task->done(task, KIST_UNKNOWN);
    }
    while (flight->said.first != NULL) {
        struct redis_task *task = redis_task_list_take(&flight->said);

        task->is_unanswered = task->is_unanswered || task->writes;
        task->asks = false;
        redis_task_list_add(&flight->goes_on, task);
    }
}
