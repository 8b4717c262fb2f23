/*
 * decide - what each write of a batch does, one after the other.
 *
 * Here, and nowhere else, is decided whether a write happens: its condition,
 * its edit (a patch, a counter), its version. The outcome is a batch for the
 * engine; nothing has happened until that is applied.
 *
 * Threads: the committing one.
 */
#ifndef KIST_STORAGE_DECIDE_H
#define KIST_STORAGE_DECIDE_H

#include "storage/bucket_sums.h"
#include "storage/commit.h"
#include "storage/overlay.h"

struct decision {
    struct store *store;   /* Kept. Set by the owner. */
    bool has_unsynced;     /* Batches of this process may have been. */
    struct version purged; /* The highest floor of a purge so far. */

    struct engine_batch batch;
    struct overlay overlay;
    struct bucket_changes changes; /* In a cluster. */
    struct blob losers;    /* References of records that were not kept. */
    struct blob encoded;   /* The record at work. */
    uint64_t work;         /* Bytes of records read and made. */
    size_t writes;         /* That the batch holds. */
    size_t drops;          /* Large values whose files go with the batch. */
    uint64_t opening;      /* Of the engine that it is decided on. */
    uint64_t now_ms;       /* One wall time for the whole batch. */
    struct version newest; /* Of what was stamped or learnt. */
    uint64_t lease_ms;     /* Written with the batch; 0: none is due. */
    enum engine_sync group_sync; /* What the group at hand asks for. */
};

/* On the store of a cluster. */
bool decision_is_replicated(const struct decision *decision);

void decision_begin(struct decision *decision);

/* Decide group's writes; sets their results as if the batch were applied. */
void decision_add(struct decision *decision, struct commit_group *group);

/* The batch is large enough: the next group belongs into another one. */
bool decision_is_full(const struct decision *decision);

/* No more groups: adds what the batch itself needs. */
void decision_seal(struct decision *decision);

/*
 * What the batch needs at least, whatever its groups asked for. A file must
 * not be gone while a power loss could bring back the record that names it.
 */
enum engine_sync decision_sync(const struct decision *decision);

/*
 * The batch is applied, with sync, which is no less than decision_sync(): the
 * clock may rely on its lease, and the files of large values that nobody has
 * any more are dropped.
 */
void decision_applied(struct decision *decision, enum engine_sync sync);

void decision_end(struct decision *decision);  /* Keeps memory for the next. */
void decision_free(struct decision *decision); /* Keeps none. */

/*
 * The batch was not applied: every write that was to happen gets status. One
 * that was refused for what another was to do is not refused any more, it was
 * just not tried: KIST_READ_ONLY if status is KIST_UNKNOWN, else status.
 */
void decision_fail(struct commit_group *group, enum kist_status status);

#endif
