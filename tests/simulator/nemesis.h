/*
 * nemesis - what goes wrong, and when.
 *
 * Links break, machines crash, disks are full, clocks jump, drift and are set
 * right, and somebody who may speak to peers sends them a write from the far
 * future. Machines that found a cluster lose their data (where members change,
 * tests/simulator/manager.h sees to that).
 */
#ifndef KIST_TESTS_SIMULATOR_NEMESIS_H
#define KIST_TESTS_SIMULATOR_NEMESIS_H

#include "tests/simulator/machine.h"

struct nemesis {
    /* Set by the caller. */
    struct network *network;
    unsigned wrong_clocks; /* At a time, at most: fewer than half of members. */
    unsigned wipes; /* So often a machine may lose its data, never the first. */
    bool is_hasty;  /* All of it quicker and worse: foundings are short. */

    struct event next;
    struct replica_caller forger; /* Does not care for answers. */
    unsigned wiped, forged;
};

/* Makes the weather, too. */
void nemesis_start(struct nemesis *nemesis);

/* All faults end, but for what was lost. */
void nemesis_calm(struct nemesis *nemesis);

#endif
