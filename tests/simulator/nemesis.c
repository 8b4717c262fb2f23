#include "tests/simulator/nemesis.h"

#include "base/owner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define GOOD_MS 100 /* Good clocks are off by so much at most. */
#define HOUR_MS 3600000

static struct world *world_of(const struct nemesis *nemesis)
{
    return nemesis->network->world;
}

static struct machine *victim_of(struct nemesis *nemesis)
{
    struct network *network = nemesis->network;

    return &network->machines[world_below(network->world, network->count)];
}

/* Links. */

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
    world_say(world_of(nemesis), "all links are whole");
}

/* Clocks. */

static bool has_good_clock(const struct machine *machine)
{
    return machine->drift_of_10000 == 0 && llabs(machine->offset_ms) <= GOOD_MS;
}

/* Whether this one's clock may be wrong, the others being as they are. */
static bool may_be_wrong(const struct nemesis *nemesis,
                         const struct machine *victim)
{
    const struct network *network = nemesis->network;
    unsigned wrong = 0;

    for (unsigned i = 0; i < network->count; i++)
        wrong += &network->machines[i] != victim &&
                 !has_good_clock(&network->machines[i]);
    return wrong < nemesis->wrong_clocks;
}

static void set_right(struct nemesis *nemesis, struct machine *machine)
{
    int64_t off_ms = (int64_t)world_below(world_of(nemesis), 2 * GOOD_MS);

    machine_set_clock(machine, off_ms - GOOD_MS, 0);
}

static void set_a_clock_right(struct nemesis *nemesis)
{
    set_right(nemesis, victim_of(nemesis));
}

static void set_clocks_right(struct nemesis *nemesis)
{
    for (unsigned i = 0; i < nemesis->network->count; i++)
        set_right(nemesis, &nemesis->network->machines[i]);
}

/* By seconds or by hours, to either side. */
static void make_a_clock_jump(struct nemesis *nemesis)
{
    struct machine *victim = victim_of(nemesis);
    struct world *world = world_of(nemesis);
    uint64_t range_ms = world_chance(world, 5000) ? 8000 : 6 * HOUR_MS;

    if (may_be_wrong(nemesis, victim))
        machine_set_clock(
            victim,
            (int64_t)(world_below(world, range_ms)) - (int64_t)range_ms / 2, 0);
}

/* Two seconds in ten, at worst. */
static void make_a_clock_drift(struct nemesis *nemesis)
{
    struct machine *victim = victim_of(nemesis);

    if (may_be_wrong(nemesis, victim))
        machine_set_clock(victim, victim->offset_ms,
                          (int64_t)world_below(world_of(nemesis), 4000) - 2000);
}

/* Machines. */

static void crash_or_start(struct nemesis *nemesis)
{
    struct machine *machine = victim_of(nemesis);
    struct world *world = world_of(nemesis);

    if (machine->is_up) {
        machine_crash(machine);
        return;
    }
    /* A machine whose battery is empty may wake up long ago. */
    if (world_chance(world, 2000) && may_be_wrong(nemesis, machine))
        machine_set_clock(machine, -(int64_t)world_below(world, HOUR_MS), 0);
    else if (world_chance(world, 5000))
        set_right(nemesis, machine);
    machine_start(machine);
}

/* At once, and with its clock set back by no more than good clocks differ. */
static void restart(struct nemesis *nemesis)
{
    struct machine *machine = victim_of(nemesis);

    if (!machine->is_up || !has_good_clock(machine))
        return;
    machine_crash(machine);
    machine_set_clock(machine, -GOOD_MS, 0);
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

static void fill_or_free_disk(struct nemesis *nemesis)
{
    struct machine *machine = victim_of(nemesis);

    machine->disk_is_full = !machine->disk_is_full;
    world_say(world_of(nemesis), "machine %u: its disk is %s", machine->number,
              machine->disk_is_full ? "full" : "free");
}

static void wipe(struct nemesis *nemesis)
{
    struct machine *machine = victim_of(nemesis);

    if (nemesis->wiped == nemesis->wipes || machine->number == 0)
        return;
    if (machine->is_up)
        machine_crash(machine);
    machine_wipe(machine);
    nemesis->wiped++;
    if (nemesis->is_hasty)
        machine_start(machine);
}

/* A write an hour ahead, by somebody who knows how to speak to a peer. */

static void ignore(struct replica_caller *caller, struct view answer)
{
    (void)caller;
    (void)answer;
}

static void forge(struct nemesis *nemesis)
{
    struct machine *victim = victim_of(nemesis);
    uint64_t ms = EPOCH_MS + world_of(nemesis)->now_us / 1000 + 2 * HOUR_MS;
    struct frame_push push = {
        .source = FRAME_CLIENT,
        .sync = ENGINE_SYNC,
        .key = VIEW_LITERAL("ada"),
        .record = {.version = {ms << 16, 77}, .value = VIEW_LITERAL("forged")},
    };
    struct blob message = BLOB_EMPTY;
    struct frame head;

    if (!victim->is_up || !has_good_clock(victim))
        return;
    head = seat_head(&victim->seat, FRAME_PUSH, victim->env.self);
    head.budget_ms = 100;
    frame_begin(&head, &message);
    frame_add_push(&push, &message);
    frame_seal(1, &message);
    machine_receive(victim, blob_view(&message), &nemesis->forger);
    blob_free(&message);
    nemesis->forged++;
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
        restart,
        start_all,
        start_all,
        set_a_clock_right,
        set_clocks_right,
        make_a_clock_jump,
        make_a_clock_drift,
        fill_or_free_disk,
        forge,
        wipe,
    };
    struct nemesis *nemesis = OWNER(event, struct nemesis, next);
    struct world *world = world_of(nemesis);

    deeds[world_below(world, sizeof(deeds) / sizeof(deeds[0]))](nemesis);
    if (nemesis->is_hasty)
        world_plan(world, event, world_below(world, 40000));
    else
        world_plan(world, event, 20000 + world_below(world, 300000));
}

void nemesis_start(struct nemesis *nemesis)
{
    struct world *world = world_of(nemesis);
    unsigned most_lost = nemesis->is_hasty ? 4000 : 800;

    nemesis->network->weather = (struct weather){
        .lost_messages = (unsigned)world_below(world, most_lost),
        .lost_answers = (unsigned)world_below(world, most_lost),
        .doubled = (unsigned)world_below(world, 500),
        .late = (unsigned)world_below(world, 200),
        .delay_us = 100 + world_below(world, 20000),
        .sync_us = 100 + world_below(world, 10000),
        .slow_syncs = (unsigned)world_below(world, 300),
    };
    set_clocks_right(nemesis);
    nemesis->forger.send = ignore;
    nemesis->next.happen = strike;
    world_plan(world, &nemesis->next, nemesis->is_hasty ? 0 : 100000);
}

void nemesis_calm(struct nemesis *nemesis)
{
    struct network *network = nemesis->network;

    world_cancel(network->world, &nemesis->next);
    mend_links(nemesis);
    network->weather = (struct weather){.delay_us = 1000, .sync_us = 1000};
    set_clocks_right(nemesis);
    start_all(nemesis);
}
