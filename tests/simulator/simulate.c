/*
 * Whole clusters in one thread, each from one seed: clients at work while
 * messages and answers are lost, doubled and delayed, machines crash, links
 * break in one direction, clocks jump and disks are full.
 *
 *     simulate [first [seeds]]      quiet; 1,000 seeds from 1 if not said
 *     simulate -v seed              one seed, with its transcript
 *
 * The first seed that goes wrong is named, and does exactly the same again.
 */
#include "base/owner.h"
#include "tests/simulator/clients.h"
#include "tests/simulator/manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORM_US 6000000 /* How long things go wrong. */
#define READ_US  1000000 /* For the last reads. */

/* What is under way ends, timeouts included; then two rounds of comparisons. */
#define CALM_US (3500000 + 2 * (ROUND_MS * 3 / 2 + 4 * 250) * 1000)

struct totals {
    uint64_t fates[FATE_NOT_APPLIED + 1];
    uint64_t superseded, refused, reads, reads_failed, repaired, compared,
        hinted, listings;
    uint64_t crashes, delivered, lost;
    uint64_t changing, asked, aborts, wipes, adopted, fetched, purged;
};

/* What goes wrong, and when. */
struct nemesis {
    struct network *network;
    struct event next;
};

static void break_or_mend_a_link(struct nemesis *nemesis)
{
    struct network *network = nemesis->network;
    uint64_t from = world_below(network->world, network->count);
    uint64_t to = world_below(network->world, network->count);

    network->blocked[from][to] = from != to && !network->blocked[from][to];
    world_say(network->world, "link %" PRIu64 " to %" PRIu64 " is %s", from, to,
              network->blocked[from][to] ? "broken" : "whole");
}

static void mend_links(struct nemesis *nemesis)
{
    memset(nemesis->network->blocked, 0, sizeof(nemesis->network->blocked));
    world_say(nemesis->network->world, "all links are whole");
}

static struct machine *victim_of(struct nemesis *nemesis)
{
    struct network *network = nemesis->network;

    return &network->machines[world_below(network->world, network->count)];
}

static void crash_or_start(struct nemesis *nemesis)
{
    struct machine *machine = victim_of(nemesis);
    struct world *world = nemesis->network->world;

    if (machine->is_up) {
        machine_crash(machine);
        return;
    }
    /* A machine whose battery is empty may wake up long ago. */
    if (world_chance(world, 2000))
        machine->offset_ms -= (int64_t)world_below(world, 3600000);
    machine_start(machine);
}

/* And with room on their disks. */
static void start_all(struct nemesis *nemesis)
{
    struct network *network = nemesis->network;

    for (unsigned i = 0; i < network->count; i++) {
        network->machines[i].disk_is_full = false;
        if (!network->machines[i].is_up)
            machine_start(&network->machines[i]);
    }
}

static void set_clock(struct nemesis *nemesis)
{
    struct machine *machine = victim_of(nemesis);
    struct world *world = nemesis->network->world;

    machine->offset_ms = (int64_t)world_below(world, 8000) - 4000;
    world_say(world, "machine %u: its clock is off by %lld ms", machine->number,
              (long long)machine->offset_ms);
}

static void fill_or_free_disk(struct nemesis *nemesis)
{
    struct machine *machine = victim_of(nemesis);

    machine->disk_is_full = !machine->disk_is_full;
    world_say(nemesis->network->world, "machine %u: its disk is %s",
              machine->number, machine->disk_is_full ? "full" : "free");
}

static void strike(struct event *event)
{
    static void (*const deeds[])(struct nemesis * nemesis) = {
        break_or_mend_a_link,
        break_or_mend_a_link,
        mend_links,
        mend_links,
        crash_or_start,
        crash_or_start,
        start_all,
        start_all,
        set_clock,
        fill_or_free_disk,
    };
    struct nemesis *nemesis = OWNER(event, struct nemesis, next);
    struct world *world = nemesis->network->world;

    deeds[world_below(world, sizeof(deeds) / sizeof(deeds[0]))](nemesis);
    world_plan(world, event, 20000 + world_below(world, 300000));
}

static void make_weather(struct network *network)
{
    struct world *world = network->world;

    network->weather = (struct weather){
        .lost_messages = (unsigned)world_below(world, 800),
        .lost_answers = (unsigned)world_below(world, 800),
        .doubled = (unsigned)world_below(world, 500),
        .late = (unsigned)world_below(world, 200),
        .delay_us = 100 + world_below(world, 20000),
        .sync_us = 100 + world_below(world, 10000),
        .slow_syncs = (unsigned)world_below(world, 300),
    };
}

static void count_changes(struct totals *totals, const struct manager *manager)
{
    const struct network *network = manager->network;

    totals->changing++;
    totals->asked += manager->asked;
    totals->aborts += manager->aborts;
    totals->wipes += manager->wipes;
    totals->adopted += network->adopted;
    for (unsigned i = 0; i < network->count; i++)
        totals->fetched +=
            counter_read(&network->machines[i].change.transfer.stats.fetched);
}

/* Every change ends, one way or the other. */
static void end_changes(struct world *world, struct manager *manager)
{
    bool is_healed = false;

    manager_stop(manager);
    for (unsigned i = 0; i < 100 && !is_healed && !world->is_wrong; i++) {
        is_healed = manager_heal(manager);
        world_run(world, world->now_us + 200000);
    }
    world_expect(world, is_healed, "a change of the ring never ends");
}

/* All faults end; the clocks stay as they are, as they may in life. */
static void calm(struct nemesis *nemesis)
{
    struct network *network = nemesis->network;

    world_cancel(network->world, &nemesis->next);
    mend_links(nemesis);
    network->weather = (struct weather){.delay_us = 1000, .sync_us = 1000};
    start_all(nemesis);
}

static void count(struct totals *totals, const struct clients *clients)
{
    for (unsigned i = 0; i <= FATE_NOT_APPLIED; i++)
        totals->fates[i] += clients->fates[i];
    totals->superseded += clients->superseded;
    totals->refused += clients->refused;
    totals->reads += clients->reads;
    totals->reads_failed += clients->reads_failed;
    totals->repaired += clients->repaired;
    totals->listings += clients->listings;
    totals->crashes += clients->network->crashes;
    totals->delivered += clients->network->delivered;
    totals->lost += clients->network->lost;
    totals->purged += clients->network->purged;
    for (unsigned i = 0; i < clients->network->count; i++) {
        struct machine *machine = &clients->network->machines[i];

        totals->compared += counter_read(&machine->entropy.stats.fetched) +
                            counter_read(&machine->entropy.stats.pushed);
        totals->hinted += counter_read(&machine->hints.stats.delivered);
    }
}

static bool run(uint64_t seed, bool is_loud, struct totals *totals)
{
    struct world world;
    struct network *network = calloc(1, sizeof(*network));
    struct clients clients;
    struct nemesis nemesis = {network, {.happen = strike}};
    struct manager manager = {0};
    bool is_wrong, is_changing;
    unsigned founders;

    if (network == NULL)
        abort();
    world_init(&world, seed, is_loud);
    founders = 3 + (unsigned)world_below(&world, 3);
    is_changing = world_chance(&world, 5000);
    network_init(network, &world, founders, is_changing ? 2 : 0, 3);
    make_weather(network);
    clients_init(&clients, network);
    world_plan(&world, &nemesis.next, 100000);
    if (is_changing)
        manager_start(&manager, network);
    world_run(&world, STORM_US);

    calm(&nemesis);
    clients.are_tired = true;
    if (is_changing)
        end_changes(&world, &manager);
    world_run(&world, world.now_us + CALM_US);
    if (!world.is_wrong)
        clients_check_copies(&clients);
    if (!world.is_wrong) {
        clients_read_all(&clients);
        world_run(&world, world.now_us + READ_US);
        clients_check_copies(&clients);
    }

    is_wrong = world.is_wrong;
    if (is_wrong)
        printf("seed %" PRIu64 ": %s\n", seed, world.fault);
    count(totals, &clients);
    if (is_changing)
        count_changes(totals, &manager);
    world.is_loud = false;
    network_clear(network);
    clients_clear(&clients);
    world_clear(&world);
    free(network);
    return !is_wrong;
}

static void report(const struct totals *totals, uint64_t seeds)
{
    const struct {
        const char *what;
        uint64_t count;
    } lines[] = {
        {"clusters", seeds},
        {"writes acknowledged", totals->fates[FATE_ACKED]},
        {"of them superseded", totals->superseded},
        {"writes unknown", totals->fates[FATE_UNKNOWN]},
        {"writes not applied", totals->fates[FATE_NOT_APPLIED]},
        {"requests refused at once", totals->refused},
        {"reads", totals->reads},
        {"of them failed", totals->reads_failed},
        {"records repaired by reads", totals->repaired},
        {"listings", totals->listings},
        {"records brought by comparing", totals->compared},
        {"records brought by hints", totals->hinted},
        {"crashes", totals->crashes},
        {"messages arrived", totals->delivered},
        {"calls without an answer", totals->lost},
        {"clusters whose members change", totals->changing},
        {"changes asked for", totals->asked},
        {"of them to be given up", totals->aborts},
        {"disks lost", totals->wipes},
        {"rings gone on to", totals->adopted},
        {"records fetched by new owners", totals->fetched},
        {"deletions purged", totals->purged},
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        printf("%10" PRIu64 " %s\n", lines[i].count, lines[i].what);
}

/* Checks that met too few faults, or too little work, have shown nothing. */
static bool is_void(const struct totals *totals, uint64_t seeds)
{
    return totals->fates[FATE_ACKED] < 30 * seeds ||
           totals->reads < 30 * seeds || totals->listings < seeds ||
           totals->crashes < 2 * seeds || totals->lost < 10 * seeds ||
           totals->repaired < 2 * seeds || totals->compared < 2 * seeds ||
           totals->hinted < 2 * seeds || totals->asked < totals->changing ||
           totals->adopted < 4 * totals->changing ||
           totals->wipes < totals->changing / 4 ||
           totals->fetched < totals->changing || totals->purged < seeds;
}

int main(int argc, char **argv)
{
    bool is_loud = argc == 3 && strcmp(argv[1], "-v") == 0;
    uint64_t first = 1, seeds = 1000, wrong = 0;
    struct totals totals = {0};

    if (is_loud) {
        first = strtoull(argv[2], NULL, 10);
        seeds = 1;
    } else {
        first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
        seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
    }
    for (uint64_t i = 0; i < seeds && wrong == 0; i++)
        wrong += !run(first + i, is_loud, &totals);
    if (wrong == 0 && !is_loud && is_void(&totals, seeds)) {
        puts("void: too little happened");
        wrong++;
    }
    report(&totals, seeds);
    return wrong != 0;
}
