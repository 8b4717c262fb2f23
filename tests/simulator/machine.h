/*
 * machine - one simulated node: its env, its disk, its clock, its links.
 *
 * A machine crashes at any moment. What its disk had not synced is lost, or
 * some of it is found again; what was under way there ends as it would end for
 * whoever waits, while nothing of it reaches anybody else. So a crash leaves
 * no memory behind, and the code under test does not know that it died.
 *
 * A large value has a file, of which a machine knows only whether it has it:
 * durable, beside the records, and gone with the last record that names it.
 *
 * A message may be lost, its answer may be lost, either may come late, and a
 * message may come twice, also long after its sender gave up.
 */
#ifndef KIST_TESTS_SIMULATOR_MACHINE_H
#define KIST_TESTS_SIMULATOR_MACHINE_H

#include "replication/anti_entropy.h"
#include "replication/change.h"
#include "replication/floor.h"
#include "replication/hints.h"
#include "replication/members.h"
#include "tests/simulator/world.h"

#define MACHINES_MAX 8
#define CELLS_MAX    1024 /* Keys that a machine's disk can hold. */
#define KEPT_MAX     4    /* Names of what it keeps besides. */
#define EPOCHS_MAX   256
#define FILES_MAX    64 /* Of large values, on a machine's disk. */

/* Of all links and disks of a network. */
struct weather {
    unsigned lost_messages; /* Of 10,000. */
    unsigned lost_answers;
    unsigned doubled;
    unsigned late;       /* Delayed by up to 3 s. */
    uint64_t delay_us;   /* Up to so long otherwise. */
    uint64_t sync_us;    /* Up to so long takes a sync. */
    unsigned slow_syncs; /* Of 10,000: up to a second. */
};

/* A stored record: encoded, or empty. */
struct cell {
    struct blob key;
    uint64_t hash; /* The ring's, of the key. */
    struct blob record;
    bool is_damaged; /* The index has it, and it cannot be read. */
};

struct kept {
    struct blob name;
    struct blob bytes;
};

struct machine {
    struct env env; /* First: the code under test has this. */
    struct seat seat;
    struct seat other; /* Of another loop of it, if the network has such. */
    struct seats seats;
    struct env_timer follow; /* The other one goes on to what seat has. */
    struct hlc hlc;
    struct fence fence;
    struct roll roll;
    struct members members;
    struct anti_entropy entropy;
    struct hints hints;
    struct change change;
    struct floor floor;
    struct network *network;
    unsigned number;
    char name[8];    /* Of the member it is; another one once it was wiped. */
    char address[2]; /* Its letter. */
    bool is_founder; /* Knows the first ring by itself. */
    bool is_up;
    bool is_dying; /* Within a crash. */
    bool disk_is_full;

    int64_t offset_ms;      /* Of its wall clock, then: */
    uint64_t set_at_us;     /* Since when it drifts, */
    int64_t drift_of_10000; /* so much. */

    struct cell cells[CELLS_MAX]; /* Durable, and what reads find. */
    uint64_t lease_ms;            /* Durable. */
    uint64_t files[FILES_MAX];    /* Their serials; durable. 0: none. */
    struct kept kept[KEPT_MAX];   /* Durable. */
    struct write_back *queue;     /* Waits for the next sync, in order. */
    struct write_back *syncing;   /* The sync under way has these. */
    struct event sync;

    struct flight *flights; /* Calls that are not done. */
    struct alarm *alarms;   /* Timers that are set. */
    struct haul *hauls;     /* Files on their way here. */
};

#define GRACE_MS 1000 /* Deletions stay for at least so long. */
/* The day the simulation begins on. */
#define EPOCH_MS UINT64_C(1700000000000)

/* Turns of beats, and how long a member may say nothing. */
#define BEAT_MS    200
#define SILENCE_MS 600

/* A round of comparisons with all peers takes about so long. */
#define ROUND_MS 500

struct network {
    struct world *world;
    struct weather weather;
    unsigned count;
    bool is_blind;    /* Nobody looks at the roll: nothing depends on it. */
    bool is_founding; /* There is no ring but what the machines found. */
    bool has_loops;   /* Each machine has two seats. */
    struct machine machines[MACHINES_MAX];
    bool blocked[MACHINES_MAX][MACHINES_MAX]; /* From, to. */
    const struct ring *ring;      /* A share: the newest of any machine. */
    const struct ring *first;     /* A share: what the founders know. */
    uint64_t digests[EPOCHS_MAX]; /* Of the ring of each epoch; 0: none yet. */
    uint64_t incarnations;        /* Given so far. */
    struct bucket_secret secret;
    unsigned delivered, lost, crashes; /* Proof that faults had an effect. */
    unsigned adopted;                  /* Rings, by machines. */
    unsigned purged;                   /* Records. */
    unsigned hauled;                   /* Files. */
    struct version floor; /* The highest that anybody has purged to. */
};

/*
 * count machines, up, in a ring of one cluster with so many copies; and spare
 * ones, up as well, that belong to none.
 */
void network_init(struct network *network, struct world *world, unsigned count,
                  unsigned spare, unsigned copies);

/*
 * count machines, down, that know of each other and have no ring. They found
 * one, and that is all they do; who is wiped there keeps its name.
 */
void network_init_founding(struct network *network, struct world *world,
                           unsigned count, unsigned copies);

/* From now on each machine has two loops, of which the second one is late. */
void network_use_loops(struct network *network);
void network_clear(struct network *network); /* Crashes what is up. */

void machine_crash(struct machine *machine);
void machine_start(struct machine *machine);

/* Of one that is down: its disk is empty, and it is another node from then. */
void machine_wipe(struct machine *machine);

/* Of one of its loops. */
struct seat *machine_seat(struct machine *machine);

/* A message from anybody. */
void machine_receive(struct machine *machine, struct view message,
                     struct replica_caller *caller);

/* Sets its wall clock, which drifts from then on. */
void machine_set_clock(struct machine *machine, int64_t offset_ms,
                       int64_t drift_of_10000);

/* NULL: it was wiped since. */
struct machine *network_find(struct network *network, uint64_t incarnation);

/* Where a key is on the disk. */
struct cell *machine_cell(struct machine *machine, struct view key);

/* The file of a large value, as the one that takes it from a client has it. */
bool machine_has_file(const struct machine *machine,
                      const struct record *record);
void machine_put_file(struct machine *machine, const struct record *record);

/* Nobody needs it for that write any more; a record here may name it. */
void machine_give_up_file(struct machine *machine, struct view key,
                          const struct record *record);

/* What a read of the disk finds now, or NULL; decoded into *out. */
const struct record *machine_record(struct machine *machine, struct view key,
                                    struct record *out);

#endif
