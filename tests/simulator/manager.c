#include "tests/simulator/manager.h"

#include "base/owner.h"

#define PATIENCE 20 /* Steps of manager_heal() before a change is given up. */

static struct world *world_of(const struct manager *manager)
{
    return manager->network->world;
}

/* Some machine of those that fit, or NULL. */
static struct machine *some(struct manager *manager, const struct ring *ring,
                            bool (*fits)(const struct machine *machine,
                                         const struct ring *ring))
{
    struct network *network = manager->network;
    uint64_t first = world_below(network->world, network->count);

    for (unsigned i = 0; i < network->count; i++) {
        struct machine *machine =
            &network->machines[(first + i) % network->count];

        if (machine->is_up && fits(machine, ring))
            return machine;
    }
    return NULL;
}

static bool is_member(const struct machine *machine, const struct ring *ring)
{
    (void)ring; /* Of its own. */
    return machine->seat.is_member;
}

static bool is_spare(const struct machine *machine, const struct ring *ring)
{
    return ring_find_incarnation(ring, machine->env.self) < 0;
}

/* A member whose disk is gone, or NULL. */
static const struct ring_member *lost_member(struct manager *manager,
                                             const struct ring *ring)
{
    for (unsigned i = 0; i < ring->member_count; i++)
        if (network_find(manager->network, ring->members[i].incarnation) ==
            NULL)
            return &ring->members[i];
    return NULL;
}

static void ask(struct manager *manager, struct machine *desk,
                const struct ring_member *joining, struct view leaving)
{
    struct ring_change what = {joining, leaving};
    enum kist_status status = change_plan(&desk->change, &what);

    world_say(world_of(manager),
              "machine %u is asked: %s%.*s joins, %.*s "
              "leaves: %s",
              desk->number, joining == NULL ? "nobody" : "",
              joining != NULL ? (int)joining->name.size : 0,
              joining != NULL ? joining->name.data : "", (int)leaving.size,
              leaving.size > 0 ? leaving.data : "", kist_status_name(status));
    manager->asked += status == KIST_OK;
}

/* What the desk knows is what it can be asked for. */
static void change_members(struct manager *manager, struct machine *desk)
{
    const struct ring *ring = desk->seat.ring;
    const struct ring_member *lost = lost_member(manager, ring);
    struct machine *spare = some(manager, ring, is_spare);
    struct ring_member joining = {0};
    struct view leaving = {0};
    uint64_t die = world_below(world_of(manager), 3);

    if (spare != NULL)
        joining = (struct ring_member){.name = view_of(spare->name),
                                       .address = view_of(spare->address),
                                       .incarnation = spare->env.self};
    else
        die = 0;
    if (lost != NULL)
        leaving = lost->name;
    else if (die != 2)
        leaving =
            ring->members[world_below(world_of(manager), ring->member_count)]
                .name;
    ask(manager, desk, die == 0 ? NULL : &joining, leaving);
}

static void give_up(struct manager *manager, struct machine *desk)
{
    enum kist_status status = change_abort(&desk->change);

    world_say(world_of(manager), "machine %u is asked to give up: %s",
              desk->number, kist_status_name(status));
    manager->aborts += status == KIST_OK;
}

/* Not in the middle of a change, and not the second one. */
static void lose_a_disk(struct manager *manager)
{
    const struct ring *ring = manager->network->ring;
    struct machine *victim = some(manager, NULL, is_member);

    if (victim == NULL || ring->next != NULL ||
        lost_member(manager, ring) != NULL ||
        lost_member(manager, victim->seat.ring) != NULL)
        return;
    machine_crash(victim);
    machine_wipe(victim);
    manager->wipes++;
    machine_start(victim);
}

/* One that cannot go on to the next ring, and coordinates by the old one. */
static void hold_one_back(struct manager *manager)
{
    struct machine *victim = some(manager, NULL, is_member);

    if (victim == NULL || !world_chance(world_of(manager), 4000))
        return;
    victim->disk_is_full = true;
    world_say(world_of(manager), "machine %u: its disk is full",
              victim->number);
}

static void act(struct event *event)
{
    struct manager *manager = OWNER(event, struct manager, next);
    struct world *world = world_of(manager);
    struct machine *desk;

    if (world_chance(world, 1000))
        lose_a_disk(manager);
    desk = some(manager, NULL, is_member);
    if (desk != NULL && desk->seat.ring->next == NULL) {
        change_members(manager, desk);
        hold_one_back(manager);
    } else if (desk != NULL && world_chance(world, 2000))
        give_up(manager, desk);
    world_plan(world, event, 50000 + world_below(world, 600000));
}

void manager_start(struct manager *manager, struct network *network)
{
    *manager = (struct manager){.network = network, .next.happen = act};
    world_plan(network->world, &manager->next, 300000);
}

void manager_stop(struct manager *manager)
{
    world_cancel(manager->network->world, &manager->next);
}

/* The newest ring that anybody is at now. */
static void look_up_ring(struct network *network)
{
    const struct ring *newest = NULL;

    for (unsigned i = 0; i < network->count; i++) {
        const struct seat *seat = &network->machines[i].seat;

        if (seat->is_member &&
            (newest == NULL || seat->ring->epoch > newest->epoch))
            newest = seat->ring;
    }
    if (newest == NULL)
        return;
    ring_share(newest);
    ring_free(network->ring);
    network->ring = newest;
}

static bool is_everybody_there(const struct network *network)
{
    for (unsigned i = 0; i < network->count; i++) {
        const struct machine *machine = &network->machines[i];

        struct view open;

        if (ring_find_incarnation(network->ring, machine->env.self) < 0)
            continue;
        if (machine->seat.ring != network->ring &&
            machine->seat.ring->epoch != network->ring->epoch)
            return false;
        if (decree_is_open(&machine->change.decree, &open))
            return false; /* There may be another ring yet. */
    }
    return true;
}

bool manager_heal(struct manager *manager)
{
    struct network *network = manager->network;
    struct machine *desk = some(manager, NULL, is_member);

    look_up_ring(network);
    if (network->ring->next != NULL) {
        if (desk != NULL && ++manager->patience % PATIENCE == 0)
            give_up(manager, desk);
        return false;
    }
    if (!is_everybody_there(network))
        return false;
    if (lost_member(manager, network->ring) == NULL)
        return true;
    if (desk != NULL)
        change_members(manager, desk);
    return false;
}
