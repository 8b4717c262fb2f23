/*
 * model - what a store must hold, and must have answered, after a workload's
 * turns: the rules of storage/decide.h once more, on an array.
 *
 * Differences are told as text in the model's own buffer, because some callers
 * are processes of which Criterion knows nothing.
 *
 * Threads: one. A model is plain memory: it may be copied, and shared.
 */
#ifndef KIST_TESTS_STORAGE_MODEL_H
#define KIST_TESTS_STORAGE_MODEL_H

#include "tests/storage/workload.h"

struct model_key {
    bool there; /* A record, a dead one too. */
    uint64_t tag;
    size_t size;
    uint64_t expiry_ms;
    struct version version; /* VERSION_NONE: not known yet. */
};

struct model {
    struct model_key keys[WORKLOAD_KEYS];
    struct version newest; /* That was ever given. */
    char difference[200];
};

enum model_belief {
    MODEL_PLANNED,  /* Nothing was answered yet: it will all work. */
    MODEL_ANSWERED, /* KIST_UNKNOWN and all refusals did nothing. */
    MODEL_APPLIED,  /* KIST_UNKNOWN was a success. */
};

/*
 * Take model over the turn. False: an answer is wrong; then difference says
 * which.
 */
KIST_CHECKED bool model_follow(struct model *model, const struct turn *turn,
                               enum model_belief belief);

/* False: some key, listing, expiry or file entry differs, as difference says.
 */
KIST_CHECKED bool model_matches(struct model *model, struct store *store);

/* The record of key is what the model says; record NULL: there is none. */
bool model_has(const struct model *model, struct store *store, unsigned key,
               const struct record *record);

bool model_is_live(const struct model_key *key);

/* The number of this key, or WORKLOAD_KEYS. */
unsigned model_number_of(struct view key);

#endif
