/*
 * roll - who of the members can be counted on, for any thread to read.
 *
 * The home loop hears of the members (replication/members.h) and writes down
 * here what it heard; requests on every loop, and pages and metrics, look it
 * up. It is a forecast and no fact: who stands here as alive may be gone, and
 * nothing is ever safe because of what it says.
 *
 * Lines are only added. A name keeps its line for as long as the node runs, so
 * a line's number and name never change, and nothing has to be locked: each
 * value is atomic, and a reader may find a line half-way between two states.
 *
 * Threads: one writes, any read.
 */
#ifndef KIST_REPLICATION_ROLL_H
#define KIST_REPLICATION_ROLL_H

#include "replication/ring.h"
#include "storage/store.h"

#include <stdatomic.h>

/* All members beat to all others: beyond this it is too much of that. */
#define ROLL_MAX 256

enum roll_standing {
    ROLL_UNHEARD,   /* Not heard of since this node started. */
    ROLL_ALIVE,     /* Answers. */
    ROLL_SILENT,    /* Did, and does not any more. */
    ROLL_STRANGER,  /* Answers to the name, and is somebody else: wiped. */
    ROLL_ELSEWHERE, /* Has another ring, or would found another one. */
    ROLL_GONE,      /* No member any more. */
};

const char *roll_standing_name(enum roll_standing standing);

struct roll_line {
    uint64_t incarnation; /* In the ring; 0: there is no ring yet. */
    uint64_t heard;       /* The incarnation that answered; 0: none yet. */
    enum roll_standing standing;
    enum store_state store;
    bool clock_is_good;
    uint64_t epoch, digest; /* Of its ring; 0: it has none. */
    int64_t clock_ahead_ms; /* Of ours, as near as the round trip tells. */
    uint64_t round_trip_ms; /* Of its last answer. */
    uint64_t heard_at_ms;   /* Its last answer, on the monotonic clock. */
};

/* A line in the roll: what struct roll_line says. */
struct roll_entry {
    char name[RING_NAME_MAX + 1]; /* Set before the entry is counted. */
    _Atomic uint64_t incarnation, heard;
    _Atomic unsigned standing, store, clock_is_good;
    _Atomic uint64_t epoch, digest;
    _Atomic int64_t clock_ahead_ms;
    _Atomic uint64_t round_trip_ms, heard_at_ms;
};

struct roll {
    _Atomic unsigned count;
    struct roll_entry entries[ROLL_MAX];
};

/* All zero is an empty roll. */

/* Whether this member may be expected to answer. */
bool roll_answers(const struct roll *roll, uint64_t incarnation);

/* And whether it would take a write: store and clock are well, too. */
bool roll_takes_writes(const struct roll *roll, uint64_t incarnation);

unsigned roll_count(const struct roll *roll);
struct roll_line roll_read(const struct roll *roll, unsigned number);
const char *roll_name(const struct roll *roll, unsigned number);

/*
 * The writer's: the line of this name, a new one if there was none. -1: there
 * are too many, or the name is too long.
 */
int roll_enter(struct roll *roll, struct view name);
void roll_write(struct roll *roll, unsigned number,
                const struct roll_line *line);

#endif
