/*
 * Whole clusters in one thread, each from one seed: clients at work while
 * messages and answers are lost, doubled and delayed, machines crash, links
 * break in one direction, clocks jump and drift and disks are full or lost.
 * Every fourth of them has no ring yet, and founds one meanwhile.
 *
 *     simulate [first [seeds]]      quiet; 1,000 seeds from 1 if not said
 *     simulate -v seed              one seed, with its transcript
 *
 * The first seed that goes wrong is named, and does exactly the same again.
 */
#include "base/owner.h"
#include "tests/simulator/clients.h"
#include "tests/simulator/manager.h"
#include "tests/simulator/nemesis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORM_US 6000000 /* How long things go wrong. */
#define READ_US  1000000 /* For the last reads. */

/* In one of so many clusters some values are large, and have files. */
#define FILES_OF 16
#define FILES_AT 7

#define FOUNDING_US      1000000
#define FOUNDING_CALM_US 3000000

/* What is under way ends, timeouts included; then two rounds of comparisons. */
#define CALM_US (3500000 + 2 * (ROUND_MS * 3 / 2 + 4 * 250) * 1000)

struct totals {
    uint64_t fates[FATE_NOT_APPLIED + 1];
    uint64_t superseded, refused, reads, reads_failed, repaired, compared,
        hinted, listings;
    uint64_t crashes, delivered, lost, forged, fenced, jumps;
    uint64_t foundings, founded; /* Clusters that had no ring, and got one. */
    uint64_t changing, asked, aborts, wipes, adopted, fetched, purged;
    uint64_t with_files, hauled;
};

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
}

static void count_faults(struct totals *totals, const struct nemesis *nemesis)
{
    const struct network *network = nemesis->network;

    totals->crashes += network->crashes;
    totals->delivered += network->delivered;
    totals->lost += network->lost;
    totals->purged += network->purged;
    totals->wipes += nemesis->wiped;
    totals->forged += nemesis->forged;
    for (unsigned i = 0; i < network->count; i++) {
        const struct machine *machine = &network->machines[i];

        totals->compared += counter_read(&machine->entropy.stats.fetched) +
                            counter_read(&machine->entropy.stats.pushed);
        totals->hinted += counter_read(&machine->hints.stats.delivered);
        totals->fenced += counter_read(&machine->fence.stats.closed);
        totals->jumps += counter_read(&machine->fence.stats.jumps);
    }
}

/* Members see those who are there, and nobody who was wiped. */
static unsigned check_roll(const struct machine *machine)
{
    struct network *network = machine->network;
    const struct ring *ring = machine->seat.ring;
    unsigned present = 0;

    for (unsigned i = 0; i < ring->member_count; i++) {
        uint64_t incarnation = ring->members[i].incarnation;
        bool is_there = network_find(network, incarnation) != NULL;

        present += is_there;
        world_expect(network->world,
                     roll_answers(&machine->roll, incarnation) == is_there,
                     "machine %u: member %lx is %s, and not counted so",
                     machine->number, incarnation, is_there ? "there" : "gone");
    }
    return present;
}

static void check_members(struct network *network)
{
    for (unsigned i = 0; i < network->count; i++) {
        const struct machine *machine = &network->machines[i];
        enum fence_state state = fence_state(&machine->fence);

        if (machine->seat.is_member &&
            2 * check_roll(machine) > machine->seat.ring->member_count)
            world_expect(network->world, state == FENCE_OPEN,
                         "machine %u: all is well, and its fence is %s", i,
                         fence_state_name(state));
    }
}

static bool is_right(struct world *world)
{
    if (world->is_wrong)
        printf("seed %" PRIu64 ": %s\n", world->seed, world->fault);
    world->is_loud = false;
    return !world->is_wrong;
}

static void calm(struct nemesis *nemesis, struct clients *clients,
                 struct manager *manager)
{
    struct world *world = nemesis->network->world;

    nemesis_calm(nemesis);
    clients->are_tired = true;
    if (manager != NULL)
        end_changes(world, manager);
    world_run(world, world->now_us + CALM_US);
    if (world->is_wrong)
        return;
    check_members(nemesis->network);
    clients_check_copies(clients);
    clients_read_all(clients);
    world_run(world, world->now_us + READ_US);
    clients_check_copies(clients);
}

/* A cluster that has a ring, at work. */
static bool run_clients(struct network *network, struct world *world,
                        struct totals *totals)
{
    unsigned founders = 3 + (unsigned)world_below(world, 3);
    bool is_changing = world_chance(world, 5000);
    struct nemesis nemesis = {.network = network};
    struct manager manager = {0};
    struct clients clients;
    bool right;

    network_init(network, world, founders, is_changing ? 2 : 0, 3);
    if (world->seed % 2 == 0)
        network_use_loops(network);
    network->is_blind = world_chance(world, 5000);
    nemesis.wrong_clocks = is_changing ? 1 : (founders - 1) / 2;
    nemesis_start(&nemesis);
    clients_init(&clients, network);
    clients.write_files = world->seed % FILES_OF == FILES_AT;
    if (is_changing)
        manager_start(&manager, network);
    world_run(world, STORM_US);

    calm(&nemesis, &clients, is_changing ? &manager : NULL);
    right = is_right(world);
    count(totals, &clients);
    count_faults(totals, &nemesis);
    totals->with_files += clients.write_files;
    totals->hauled += network->hauled;
    if (is_changing)
        count_changes(totals, &manager);
    network_clear(network);
    clients_clear(&clients);
    return right;
}

/* The first machine keeps its data. Whoever was wiped since is a stranger. */
static void check_founding(struct network *network)
{
    const struct ring *ring = network->machines[0].seat.ring;

    for (unsigned i = 0; ring != NULL && i < network->count; i++) {
        const struct machine *machine = &network->machines[i];
        bool belongs = ring_find_incarnation(ring, machine->env.self) >= 0;
        enum founding_state state = machine->members.founding.state;

        world_expect(network->world,
                     state == (belongs ? FOUNDING_MEMBER : FOUNDING_STRANGER),
                     "machine %u %s, and takes itself for a %s", i,
                     belongs ? "is in the ring" : "was wiped",
                     founding_state_name(state));
    }
}

/*
 * A cluster that has none. Machines that lose their data may keep it from ever
 * getting one; what must not happen is that it gets two, which is noticed when
 * a machine gets the second (machine.c).
 */
static bool run_founding(struct network *network, struct world *world,
                         struct totals *totals)
{
    unsigned count_of_machines = 3 + (unsigned)world_below(world, 3);
    struct nemesis nemesis = {.network = network, .is_hasty = true};
    bool right;

    network_init_founding(network, world, count_of_machines, 3);
    nemesis.wrong_clocks = (count_of_machines - 1) / 2;
    nemesis.wipes = (unsigned)world_below(world, count_of_machines);
    nemesis_start(&nemesis);
    world_run(world, FOUNDING_US);
    nemesis_calm(&nemesis);
    world_run(world, FOUNDING_US + FOUNDING_CALM_US);

    world_expect(world,
                 network->machines[0].seat.ring != NULL || nemesis.wiped > 0,
                 "all is well, and there is no ring");
    check_founding(network);
    check_members(network);
    right = is_right(world);
    totals->foundings++;
    totals->founded += network->machines[0].seat.ring != NULL;
    count_faults(totals, &nemesis);
    network_clear(network);
    return right;
}

static bool run(uint64_t seed, bool is_loud, struct totals *totals)
{
    struct world world;
    struct network *network = calloc(1, sizeof(*network));
    bool right;

    if (network == NULL)
        abort();
    world_init(&world, seed, is_loud);
    if (seed % 4 == 0)
        right = run_founding(network, &world, totals);
    else
        right = run_clients(network, &world, totals);
    world_clear(&world);
    free(network);
    return right;
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
        {"jumps of clocks noticed", totals->jumps},
        {"fences closed", totals->fenced},
        {"writes forged", totals->forged},
        {"clusters without a ring", totals->foundings},
        {"of them with one in the end", totals->founded},
        {"messages arrived", totals->delivered},
        {"calls without an answer", totals->lost},
        {"clusters whose members change", totals->changing},
        {"changes asked for", totals->asked},
        {"of them to be given up", totals->aborts},
        {"disks lost", totals->wipes},
        {"rings gone on to", totals->adopted},
        {"records fetched by new owners", totals->fetched},
        {"deletions purged", totals->purged},
        {"clusters with large values", totals->with_files},
        {"files brought", totals->hauled},
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
           totals->wipes < totals->changing / 4 || totals->purged < seeds ||
           totals->fetched < totals->changing ||
           totals->founded < totals->foundings / 4 || totals->forged < seeds ||
           totals->jumps < seeds || totals->fenced < seeds ||
           totals->hauled < 20 * totals->with_files;
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
