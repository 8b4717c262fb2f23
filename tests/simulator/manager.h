/*
 * manager - who changes the members of a simulated cluster, at any time.
 *
 * Members join, leave and are replaced, changes are given up, two are asked for
 * at once at different machines; and now and then a member loses its disk, but
 * no second one before the first is replaced: more than that three copies do
 * not promise to survive.
 */
#ifndef KIST_TESTS_SIMULATOR_MANAGER_H
#define KIST_TESTS_SIMULATOR_MANAGER_H

#include "tests/simulator/machine.h"

struct manager {
    struct network *network;
    struct event next;
    unsigned asked, aborts, wipes;
    unsigned patience; /* Of manager_heal(), with the pending change. */
};

void manager_start(struct manager *manager, struct network *network);
void manager_stop(struct manager *manager);

/*
 * When all machines are up: one step towards a ring without lost members that
 * everybody is at. False: not there yet.
 */
bool manager_heal(struct manager *manager);

#endif
