/*
 * What it costs that a node is part of a cluster (storage/replica_index.h):
 * durable writes of one store, without HTTP, first as a node alone, then as one
 * of a cluster, round after round on one directory each.
 *
 *     replica directory [rounds [seconds [waiting [keys]]]]
 *
 * waiting: how many writes are under way, as from so many connections. Told
 * are writes a second and microseconds of CPU a write, of the whole process.
 */
#include "base/clock.h"
#include "base/owner.h"
#include "storage/commit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { VALUE_SIZE = 93, WAITING_MAX = 4096, KINDS = 2 };

struct load {
    struct store *store;
    struct commit *commit;
    struct commit_lane *lane;
    struct loop *loop;
    struct loop_timer *end;
    struct loop_task begin;
    bool in_cluster, is_over;
    unsigned waiting, under_way;
    uint64_t keys, writes, random;
    struct writer *writers; /* As many as may wait. */
};

struct writer {
    struct commit_group group;
    struct write write;
    struct load *load;
    char key[32];
};

static char value[VALUE_SIZE];

static _Noreturn void give_up(const char *what, enum kist_status status)
{
    fprintf(stderr, "%s: %s\n", what, kist_status_name(status));
    exit(1);
}

static void expect(const char *what, enum kist_status status)
{
    if (status != KIST_OK)
        give_up(what, status);
}

/* Marsaglia: Xorshift RNGs, 2003. */
static uint64_t draw(struct load *load)
{
    load->random ^= load->random << 13;
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

static void add_write(struct writer *writer)
{
    struct load *load = writer->load;

    snprintf(writer->key, sizeof(writer->key), "key/%012" PRIu64,
             draw(load) % load->keys);
    writer->write = (struct write){
        .kind = load->in_cluster ? WRITE_APPLY : WRITE_CLIENT,
        .key = view_of(writer->key),
        .next = {.media_type = VIEW_LITERAL("application/json"),
                 .value = {value, sizeof(value)}},
    };
    if (load->in_cluster)
        writer->write.next.version =
            hlc_next(store_clock(load->store), clock_wall_ms());
    expect("add", commit_lane_add(load->lane, &writer->group));
    load->under_way++;
}

static void on_done(struct commit_group *group)
{
    struct writer *writer = OWNER(group, struct writer, group);
    struct load *load = writer->load;

    expect("write", writer->write.status);
    load->under_way--;
    load->writes++;
    if (!load->is_over)
        add_write(writer);
    else if (load->under_way == 0)
        loop_stop(load->loop);
}

static void begin(struct loop_task *task)
{
    struct load *load = OWNER(task, struct load, begin);

    for (unsigned i = 0; i < load->waiting; i++) {
        struct writer *writer = &load->writers[i];

        writer->load = load;
        writer->group = (struct commit_group){.writes = &writer->write,
                                              .count = 1,
                                              .bytes = 1,
                                              .sync = ENGINE_SYNC,
                                              .done = on_done};
        add_write(writer);
    }
}

static void on_end(void *ctx)
{
    struct load *load = ctx;

    load->is_over = true;
}

static void on_turn_end(void *ctx)
{
    struct load *load = ctx;

    commit_lane_flush(load->lane);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void open_load(struct load *load, const char *path)
{
    static const struct store_replication replication = {.bits = 12,
                                                         .cluster = 1};
    struct store_options options = {
        .path = path,
        .cache_bytes = 64 << 20,
        .replicated = load->in_cluster ? &replication : NULL,
    };
    struct commit_options commit = {.queue_bytes = 1 << 20};
    struct store_hooks hooks = {0};
    struct engine_fault fault;
    enum kist_status status =
        store_open(&options, &hooks, &fault, &load->store);

    if (status != KIST_OK)
        give_up(fault.text, status);
    expect("commit", commit_open(load->store, &commit, &load->commit));
}

static void close_load(struct load *load)
{
    commit_close(load->commit);
    store_close(load->store);
}

/* One round, in a loop of its own: a loop runs once. */
static void run(struct load *load, unsigned seconds)
{
    double cpu = cpu_seconds(), took;
    uint64_t from_ns = clock_mono_ns();

    load->writes = 0;
    load->is_over = false;
    expect("loop", loop_open("load", &load->loop));
    expect("lane", commit_lane_open(load->commit, load->loop, &load->lane));
    expect("timer", loop_timer_open(load->loop, on_end, load, &load->end));
    load->begin.run = begin;
    loop_on_turn_end(load->loop, on_turn_end, load);
    loop_timer_set(load->end, seconds * UINT64_C(1000));
    loop_post(load->loop, &load->begin);
    loop_run(load->loop);
    took = (double)(clock_mono_ns() - from_ns) / 1e9;
    cpu = cpu_seconds() - cpu;
    loop_timer_close(load->end);
    commit_lane_close(load->lane);
    loop_close(load->loop);
    printf("%-8s %8.0f writes/s  %6.2f us CPU a write\n",
           load->in_cluster ? "cluster" : "alone", (double)load->writes / took,
           cpu * 1e6 / (double)load->writes);
    fflush(stdout);
}

static unsigned argument(int argc, char **argv, int i, unsigned otherwise)
{
    return argc > i ? (unsigned)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    unsigned rounds = argument(argc, argv, 2, 5);
    unsigned seconds = argument(argc, argv, 3, 4);
    unsigned waiting = argument(argc, argv, 4, 64);
    struct load loads[KINDS] = {{.in_cluster = false}, {.in_cluster = true}};
    char path[4096];

    if (argc < 2 || waiting > WAITING_MAX) {
        fprintf(stderr, "replica directory [rounds [seconds [waiting]]]\n");
        return 2;
    }
    memset(value, 'v', sizeof(value));
    mkdir(argv[1], 0700);
    for (unsigned i = 0; i < KINDS; i++) {
        loads[i].waiting = waiting;
        loads[i].keys = argument(argc, argv, 5, 1000000);
        loads[i].random = 88172645463325252;
        loads[i].writers = calloc(waiting, sizeof(*loads[i].writers));
        if (loads[i].writers == NULL)
            give_up("writers", KIST_NO_MEMORY);
        snprintf(path, sizeof(path), "%s/%u", argv[1], i);
        open_load(&loads[i], path);
    }
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < KINDS; i++)
            run(&loads[i], seconds);
    for (unsigned i = 0; i < KINDS; i++) {
        close_load(&loads[i]);
        free(loads[i].writers);
    }
    return 0;
}
