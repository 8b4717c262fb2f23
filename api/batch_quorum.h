/*
 * batch_quorum - the operations of a batch in a cluster: each to the owners of
 * its own key.
 *
 * Puts, deletes and gets, some at a time; what is of one key goes one after the
 * other, so that a get sees the put before it. Nothing binds the operations to
 * each other: each has its own outcome.
 *
 * Threads: all on the loop of the seat.
 */
#ifndef KIST_API_BATCH_QUORUM_H
#define KIST_API_BATCH_QUORUM_H

#include "api/api.h"
#include "api/batch_operation.h"
#include "api/copies.h"

/* So many are waited for at once; and so many owners' late votes beyond. */
#define BATCH_QUORUM_WIDTH     64
#define BATCH_QUORUM_UNDER_WAY 1024

/* What the owners of an operation's key said (api/copies.h). */
struct batch_receipt {
    bool is_given;             /* They were asked at all. */
    unsigned reached;          /* Copies that have it, or answered. */
    struct version superseded; /* An owner had this newer one; or none. */
};

struct batch_quorum {
    /* Set by batch_quorum_prepare(). */
    struct seat *seat; /* NULL: before it, or on one node. */
    const struct quorum_defaults *defaults;
    struct copies copies;
    unsigned after_w; /* copies_after()'s. */
    struct version after;
    enum engine_sync sync;
    uint64_t value_limit; /* Of one that is put. */
    uint64_t read_limit;  /* Of all that are got. */

    /* Set by the caller, who keeps all of it until ended. */
    struct batch_operation *operations;
    struct write *writes; /* One an operation, prepared. */
    size_t count;

    /*
     * Once, when every operation has its result; then ended, once, when no
     * owner uses the operations any more.
     */
    void (*answered)(struct batch_quorum *batch);
    void (*ended)(struct batch_quorum *batch);

    /* Results: in operations, writes, and here, one an operation. */
    struct batch_receipt *receipts;

    /* Where values that are not here can be had, an operation each; or NULL. */
    struct far_value **afar;

    /* Its own. */
    size_t next;
    uint64_t read;
    size_t awaited[BATCH_QUORUM_WIDTH]; /* Numbers of operations. */
    size_t awaited_count;
    size_t under_way;
    bool is_answered;
};

/* False: the request asks what a cluster cannot do, and got its reply. */
KIST_CHECKED bool batch_quorum_prepare(struct batch_quorum *batch,
                                       struct request *request,
                                       enum engine_sync sync, bool atomic);

/*
 * Begin; if no operation needs an owner, answered and ended come from within.
 * A write whose next has a version already keeps it. When it has ended and was
 * cleared, other operations may be given, and it may begin anew.
 * KIST_NO_MEMORY: nothing was begun, and no callback follows.
 */
KIST_CHECKED enum kist_status batch_quorum_start(struct batch_quorum *batch);

/*
 * On the loop, once it was answered: gets of large values may go to other
 * owners for them. Those for which there is no memory do not.
 */
void batch_quorum_look_afar(struct batch_quorum *batch,
                            struct request *request);

/*
 * Of a get of a large value that has at most limit bytes, wherever it lies, the
 * value: what was seen has it until *out_loaded, which is empty before, is
 * freed. Else it stays large. On the pool.
 */
void batch_quorum_load(struct batch_quorum *batch, size_t i,
                       struct store *store, uint64_t limit,
                       struct item *out_loaded);

/* Into the result object that *out ends in: "receipt", "superseded". */
void batch_quorum_append_receipt(const struct batch_quorum *batch, size_t i,
                                 struct blob *out);

/* Frees the receipts, and what is afar. */
void batch_quorum_clear(struct batch_quorum *batch);

#endif
