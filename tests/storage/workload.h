/*
 * workload - pseudo-random turns of writes: every kind of group that a commit
 * takes, over a dozen keys, so that they meet each other.
 *
 * A value is told by a tag and a size: its bytes follow from them. Edits make
 * their value's tag from that of the current value.
 *
 * Threads: one at a time; the edits run on the commit thread.
 */
#ifndef KIST_TESTS_STORAGE_WORKLOAD_H
#define KIST_TESTS_STORAGE_WORKLOAD_H

#include "storage/commit.h"

enum {
    WORKLOAD_KEYS = 12,
    WORKLOAD_GROUPS = 4, /* A turn has at most so many, */
    WORKLOAD_WRITES = 3, /* and a group. */
    WORKLOAD_TAG_SIZE = 16,
};

/* Expiries are long past or never reached, so no outcome hangs on time. */
#define WORKLOAD_PAST   UINT64_C(1000)
#define WORKLOAD_FUTURE (UINT64_C(1) << 50)

enum workload_op {
    WORKLOAD_PUT,
    WORKLOAD_DELETE,
    WORKLOAD_EDIT,
    WORKLOAD_LEAVE,  /* An edit that changes nothing. */
    WORKLOAD_REFUSE, /* An edit that answers KIST_INVALID. */
    WORKLOAD_EXPIRE, /* As the sweep does. */
    WORKLOAD_OPS,
};

/* One write, and what the model (tests/storage/model.h) must know of it. */
struct workload_write {
    enum workload_op op;
    unsigned key; /* Its number. */
    uint64_t tag;
    size_t size;
    struct blob bytes;
    struct large_reference file; /* Of a put that turn_spill() changed. */
};

struct turn {
    struct commit_group groups[WORKLOAD_GROUPS];
    struct commit_group *pointers[WORKLOAD_GROUPS]; /* For node_commit(). */
    size_t count;
    struct write writes[WORKLOAD_GROUPS][WORKLOAD_WRITES];
    struct workload_write plans[WORKLOAD_GROUPS][WORKLOAD_WRITES];
};

struct model;

/* A sequence of numbers from *state, which begins with any. */
uint64_t workload_random(uint64_t *state);

/*
 * Turn number of the workload with this seed. Takes from model only which
 * versions conditions may ask for. Ended by turn_clear(). Aborts if memory
 * runs out.
 */
void turn_make(struct turn *turn, uint64_t seed, unsigned number,
               const struct model *model);
void turn_clear(struct turn *turn);

/*
 * Put the larger values of the turn into files, before it is committed; a file
 * that cannot be written leaves its value as it is. Then, with the answers
 * there, drop the files that no record came to name.
 */
void turn_spill(struct turn *turn, struct large *large);
void turn_settle(struct turn *turn, struct large *large);

struct view workload_key(unsigned number); /* Lives for ever. */

/* Appends the value's bytes. */
void workload_value(uint64_t tag, size_t size, struct blob *out);

/* The tag of the value an edit makes from one with tag before (0: none). */
uint64_t workload_edited(uint64_t before, uint64_t by);

#endif
