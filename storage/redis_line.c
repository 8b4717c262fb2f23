/*
 * A turn: what waits is sifted (late, or somebody else's by now), connected for
 * if need be, said, and what has come is heard. A task that goes on, or is
 * refused for the moment, is held for the next turn; it keeps its place before
 * those that come later, so that what was asked for in an order is said in it.
 */
#include "storage/redis_line.h"

#include "base/clock.h"
#include "storage/redis_flight.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

/* Between two attempts to connect. */
#define CONNECT_PAUSE_NS (50 * MS)

struct redis_line {
    /* Set when opened, then read-only. */
    struct redis_node *node;
    struct redis_map *map;
    pthread_t thread;
    int bell; /* An eventfd: queue filled, or stopping. */

    pthread_mutex_t lock; /* Guards the fields below. */
    struct redis_task_list queue;
    bool stopping;

    /* Its thread only. */
    struct redis_task_list held;
    uint64_t connect_ns; /* Not before. */
    struct redis_flight flight;
};

/* Waiting. */

static void ring(struct redis_line *line)
{
    uint64_t one = 1;

    /* It fails only if it has rung 2^64 - 2 times. */
    while (write(line->bell, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
}

static void hush(struct redis_line *line)
{
    uint64_t rings;

    while (read(line->bell, &rings, sizeof(rings)) < 0 && errno == EINTR)
        continue;
}

/* When something of what is held is due, or late; or an answer is. */
static uint64_t next_due_ns(const struct redis_line *line)
{
    const struct redis_flight *flight = &line->flight;
    uint64_t due_ns = UINT64_MAX;

    if (!redis_flight_is_empty(flight))
        due_ns = redis_flight_late_ns(flight);
    if (flight->link != NULL && !redis_flight_has_room(flight))
        return due_ns; /* What is held cannot be said now. */
    for (const struct redis_task *task = line->held.first; task != NULL;
         task = task->next) {
        uint64_t at_ns = task->not_before_ns;

        if (flight->link == NULL && at_ns < line->connect_ns)
            at_ns = line->connect_ns;
        if (task->deadline_ns < at_ns)
            at_ns = task->deadline_ns;
        if (at_ns < due_ns)
            due_ns = at_ns;
    }
    return due_ns;
}

/* For poll(): rounded up. */
static int ms_until(uint64_t due_ns)
{
    uint64_t now_ns = clock_mono_ns();

    if (due_ns == UINT64_MAX)
        return -1;
    if (due_ns <= now_ns)
        return 0;
    due_ns = (due_ns - now_ns + MS - 1) / MS;
    return due_ns > INT_MAX ? INT_MAX : (int)due_ns;
}

/* Waits for something to do. True: answers have come. */
static bool wait_for_work(struct redis_line *line)
{
    bool hears = !redis_flight_is_empty(&line->flight);
    struct pollfd polled[2] = {{.fd = line->bell, .events = POLLIN}};

    if (hears) {
        polled[1].fd = redis_link_descriptor(line->flight.link);
        polled[1].events = POLLIN;
    }
    if (poll(polled, hears ? 2 : 1, ms_until(next_due_ns(line))) <= 0)
        return false;
    if (polled[0].revents != 0)
        hush(line);
    return hears && polled[1].revents != 0;
}

/* What goes on comes before what has not begun. */
static void gather(struct redis_line *line)
{
    redis_task_list_move(&line->flight.goes_on, &line->held);
    redis_task_list_move(&line->held, &line->flight.goes_on);
}

/* False: stopping. */
static bool take(struct redis_line *line)
{
    bool goes_on;

    gather(line);
    pthread_mutex_lock(&line->lock);
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

/* Who is on the way to here by an ASK goes where it came from. */
static void forget_asks(struct redis_line *line)
{
    for (struct redis_task *task = line->held.first; task != NULL;
         task = task->next)
        task->asks = false;
}

static void drop_link(struct redis_line *line)
{
    redis_flight_lose(&line->flight);
    line->connect_ns = clock_mono_ns() + CONNECT_PAUSE_NS;
    redis_map_doubt(line->map);
}

static bool connected(struct redis_line *line)
{
    struct redis_flight *flight = &line->flight;

    if (flight->link != NULL && !redis_flight_is_empty(flight))
        return true; /* Answers, or their end, will tell. */
    if (flight->link != NULL && redis_link_is_open(flight->link))
        return true;
    if (flight->link != NULL)
        redis_flight_lose(flight); /* Connect anew at once. */
    else if (clock_mono_ns() < line->connect_ns)
        return false;
    if (redis_flight_connect(flight) == KIST_OK)
        return true;
    forget_asks(line);
    drop_link(line);
    return false;
}

/* A turn. */

/* Nothing of what was said long ago was heard. */
static bool is_late(const struct redis_line *line)
{
    const struct redis_flight *flight = &line->flight;

    return !redis_flight_is_empty(flight) &&
           clock_mono_ns() >= redis_flight_late_ns(flight);
}

static void end_link(struct redis_line *line)
{
    counter_add(&redis_map_stats(line->map)->lost, 1);
    drop_link(line);
}

static void hear(struct redis_line *line)
{
    enum kist_status status = redis_flight_hear(&line->flight);

    if (status == KIST_OK)
        line->node->reached_ns = line->flight.moved_ns;
    else
        end_link(line);
}

static void say(struct redis_line *line)
{
    if (!redis_flight_has_room(&line->flight))
        return;
    sift(line);
    if (line->held.first != NULL && connected(line) &&
        redis_flight_say(&line->flight, &line->held) != KIST_OK)
        end_link(line);
    gather(line);
}

static void *run(void *ctx)
{
    struct redis_line *line = ctx;

    pthread_setname_np(pthread_self(), "kist-redis");
    for (;;) {
        if (wait_for_work(line))
            hear(line);
        else if (is_late(line))
            end_link(line);
        if (!take(line))
            break;
        say(line);
    }
    while (!redis_flight_is_empty(&line->flight))
        hear(line); /* In the time that an answer has. */
    gather(line);
    return NULL;
}

enum kist_status redis_line_open(struct redis_node *node,
                                 struct redis_line **out_line)
{
    struct redis_line *line = calloc(1, sizeof(*line));

    if (line == NULL)
        return KIST_NO_MEMORY;
    line->node = node;
    line->map = node->map;
    redis_task_list_init(&line->queue);
    redis_task_list_init(&line->held);
    redis_flight_init(&line->flight, node);
    line->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (line->bell < 0) {
        free(line);
        return KIST_IO;
    }
    pthread_mutex_init(&line->lock, NULL);
    if (pthread_create(&line->thread, NULL, run, line) != 0) {
        pthread_mutex_destroy(&line->lock);
        close(line->bell);
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
    pthread_mutex_unlock(&line->lock);
    ring(line);
    pthread_join(line->thread, NULL);
}

void redis_line_close(struct redis_line *line)
{
    if (line == NULL)
        return;
    redis_task_list_move(&line->held, &line->queue);
    while (line->held.first != NULL)
        redis_task_give_up(redis_task_list_take(&line->held));
    redis_flight_clear(&line->flight);
    pthread_mutex_destroy(&line->lock);
    close(line->bell);
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
    pthread_mutex_unlock(&line->lock);
    if (first)
        ring(line);
}
