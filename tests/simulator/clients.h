/*
 * clients - sessions that read and write at random, and what they may expect.
 *
 * Each answer is checked when it comes, against all that was answered before
 * its request began:
 *
 *   - a write with w copies has w durable ones, of different owners, when it is
 *     acknowledged (so wiping w - 1 machines loses nothing);
 *   - a majority read returns no older version than any majority write that
 *     was acknowledged, or majority read that was answered, before it began;
 *     so neither does a deleted value come back, nor do reads go back in time;
 *   - neither does a listing by majorities, which has each key once;
 *   - with `after`, a session's read returns its own last majority write or a
 *     newer one, however few copies it asks;
 *   - what is read was written, for this key, with this version, byte for byte,
 *     and not by a write that was said not to have been applied;
 *   - no version is given twice, and none below an earlier one of the same
 *     machine, over crashes and clocks set back;
 *   - no version is far from the time at which it was given, whatever some
 *     machines' clocks say.
 */
#ifndef KIST_TESTS_SIMULATOR_CLIENTS_H
#define KIST_TESTS_SIMULATOR_CLIENTS_H

#include "tests/simulator/machine.h"

#define SESSIONS 5
#define KEYS     6

/*
 * A version may be ahead by a lease, and some of it more for each crash, by a
 * jump that is too small to be one, and by what a clock drifts all alone.
 */
#define AHEAD_MS  8000
#define BEHIND_MS 3000

enum fate {
    FATE_OPEN,
    FATE_ACKED,
    FATE_UNKNOWN,
    FATE_NOT_APPLIED,
};

/* Every write that got a version. */
struct logged {
    struct version version;
    unsigned key;
    bool tombstone;
    enum fate fate;
};

struct session {
    struct clients *clients;
    unsigned number;
    struct event next;
    struct version token;      /* Kist-After. */
    struct version mine[KEYS]; /* Its last acknowledged majority write. */
};

struct clients {
    struct network *network;
    struct world *world;
    bool are_tired;   /* Begin nothing more. */
    bool write_files; /* Some of the values are large. */
    struct session sessions[SESSIONS];
    struct version known[KEYS]; /* What a majority read must not fall behind. */
    struct version last[MACHINES_MAX]; /* That each machine has given. */
    struct logged *log;
    size_t logged, capacity;
    unsigned busy; /* Operations that are not over. */

    /* How much happened at all. */
    unsigned fates[FATE_NOT_APPLIED + 1];
    unsigned superseded, refused, reads, reads_failed, repaired, listings;
};

void clients_init(struct clients *clients, struct network *network);
void clients_clear(struct clients *clients);

/*
 * When all is well again and nothing is under way, and comparisons had the time
 * that they are promised to need: every owner has the same bytes, and nothing
 * that was acknowledged is missing.
 */
void clients_check_copies(struct clients *clients);

/* Read each key from all owners, by way of every machine: all must answer. */
void clients_read_all(struct clients *clients);

#endif
