/*
 * env - all that replication may ask of the world: clocks, chance, messages,
 * timers, and the store of its own node.
 *
 * Whoever implements it decides what is real: a loop with libcurl and the
 * commit thread, or a simulator that runs a whole cluster from one seed
 * (tests/simulator). Nothing in replication/ may look past it, except for one
 * transport file.
 *
 * Threads: an env and everything that works with it belong to one thread.
 * Nothing is called back from within the call that began it.
 */
#ifndef KIST_REPLICATION_ENV_H
#define KIST_REPLICATION_ENV_H

#include "storage/bucket.h"
#include "storage/engine.h"
#include "storage/key_hash.h"
#include "storage/large_reference.h"
#include "storage/store.h"

struct env;
struct ring;

/* Lives in the struct it is about. */
struct env_timer {
    void (*fire)(struct env_timer *timer);
    void *own; /* The env's; NULL when it is not set. */

    /* replication/timer_heap.c's. */
    uint64_t due_ms;
    struct env_timer *child, *next, *previous;
};

enum env_outcome {
    ENV_ANSWERED,
    ENV_NOT_SENT, /* Not one byte left: it cannot have happened. */
    ENV_LOST,     /* It may have been taken, or may still be. */
};

/*
 * A message to a peer and its answer. done is called exactly once, at latest
 * when timeout_ms are over. The call and its message are kept until then.
 */
struct env_call {
    uint64_t to; /* A member's incarnation; 0: whoever is there. */
    struct view address;
    struct view message;
    uint64_t timeout_ms;
    /* answer is borrowed, and empty unless it was ENV_ANSWERED. */
    void (*done)(struct env_call *call, enum env_outcome outcome,
                 struct view answer);
    void *own; /* The env's. */

    /* replication/outbox.c's. */
    struct env_call *next;
    uint64_t deadline_ms;
};

/*
 * A record for the node's own store, which keeps it if it is newer than what
 * is there (storage/merge.h). Kept, bytes too, until done.
 */
struct env_apply {
    struct view key;
    struct record record;
    enum engine_sync sync;
    struct version floor; /* Nothing below it is taken in. None: anything is. */
    void (*done)(struct env_apply *apply);

    /*
     * Set before done. KIST_OK: what is there now, this record or a newer one,
     * is as durable as sync says. KIST_UNKNOWN: it may be there later. Others:
     * it is not there; KIST_CONFLICT: because it is below the floor;
     * KIST_NOT_FOUND: because the file of its large value is not here, which
     * is to be brought first.
     */
    enum kist_status status;
    struct version winner; /* After KIST_OK: of the record that is there. */
    bool replaced;         /* After KIST_OK: there was a live value before. */
    void *own;             /* The env's. */
};

#define ENV_SOURCES_MAX 16

/*
 * The file of a large value, and the members that may have it: they are asked
 * in this order.
 */
struct env_bring {
    struct large_reference file;
    unsigned count;
    struct env_source {
        uint64_t incarnation;
        struct view address;
    } sources[ENV_SOURCES_MAX];
};

/* An upper bound of the node's clock that shall survive (storage/hlc.h). */
struct env_lease {
    uint64_t lease_ms;
    void (*done)(struct env_lease *lease, enum kist_status status);
    void *own; /* The env's. */
};

/*
 * Something small that the node must not forget, under a name: its ring, what
 * it promised. Replaces what was kept under that name; after a crash there is
 * the one or the other, whole. Kept, bytes too, until done.
 *
 * In a store: a key of its own space, name behind it, in a batch of its own
 * that is synced before done; in the order of the calls.
 */
struct env_keep {
    struct view name; /* Plain ASCII, short. */
    struct view bytes;
    /* KIST_OK: durable. KIST_UNKNOWN: it may be found later. Else it is not. */
    void (*done)(struct env_keep *keep, enum kist_status status);
    void *own; /* The env's. */
};

/*
 * Records of a partition are taken out of the store: those that are dead and
 * below a floor (merge_may_purge()); or, without one, all.
 */
struct env_drop {
    unsigned partition;
    struct version floor;
    void (*done)(struct env_drop *drop, enum kist_status status);
    uint64_t removed; /* Set before done: records. */
    void *own;        /* The env's. */
};

/*
 * A part of the node's records: a partition of the ring, or one of its leaves.
 */
struct env_part {
    unsigned partition;
    unsigned leaf; /* ENV_ALL_LEAVES: the whole partition. */
};

#define ENV_ALL_LEAVES KEY_HASH_ALL_LEAVES

/* Keys: lower <= key < upper; an empty bound is none. */
struct env_scan_range {
    struct view lower;
    struct view upper;
    bool reverse;   /* From the last one backwards. */
    bool values;    /* Else the records come without theirs. */
    unsigned limit; /* Records of a page; 0: as many as one has. */
    /* With values: those in files of up to so many bytes come as bytes. */
    uint32_t value_limit;
};

/*
 * A page of the records that the node owns in that ring, dead ones too
 * (replication/scan_page.h). Kept, bounds and ring too, until done.
 */
struct env_scan {
    const struct ring *ring;
    struct env_scan_range range;
    void (*done)(struct env_scan *scan);

    /* Set before done. */
    enum kist_status status;
    struct blob page; /* The caller's, empty before. */
    unsigned count;   /* Records in it. */
    void *own;        /* The env's. */
};

struct env_ops {
    uint64_t (*wall_ms)(struct env *env); /* Any thread, */
    uint64_t (*mono_ms)(struct env *env); /* these two. */
    uint64_t (*random)(struct env *env);

    void (*timer_set)(struct env *env, struct env_timer *timer,
                      uint64_t delay_ms); /* Once; a set one is set anew. */
    void (*timer_stop)(struct env *env, struct env_timer *timer);

    void (*send)(struct env *env, struct env_call *call);

    /* As store_get(): dead records, too. */
    enum kist_status (*get)(struct env *env, struct view key,
                            struct item *out_item);
    void (*apply)(struct env *env, struct env_apply *apply);

    /*
     * Have a file brought, or hear how far that is: it does not block, and
     * nothing is called back, so that one asks again until it is there.
     * KIST_BUSY: it is on its way, waits for others, or has come meanwhile;
     * *out_progress is another number each time as long as something comes.
     * Others, said once: it could not be brought. KIST_NOT_FOUND: nobody has
     * it. Who asks after that begins anew.
     */
    enum kist_status (*bring)(struct env *env, const struct env_bring *bring,
                              uint64_t *out_progress);

    /* The sum of the records of a part, dead ones too (storage/bucket.h). */
    struct bucket_sum (*sum)(struct env *env, struct env_part part);

    /*
     * Append the keys of a part and their versions to *out, as entries of a
     * frame (replication/frame.h), by hash and then by key, from the first one
     * behind `after` (empty: the first of all) on: at most limit, which is not
     * 0, and *out_count of them. Fewer than that: there are no more.
     */
    enum kist_status (*list)(struct env *env, struct env_part part,
                             struct view after, unsigned limit,
                             struct blob *out, unsigned *out_count);
    void (*lease)(struct env *env, struct env_lease *lease);

    /* scan_page_fill(), which may block, and then done. */
    void (*scan)(struct env *env, struct env_scan *scan);
    /* In order with each other and with apply, and durable when done. */
    void (*keep)(struct env *env, struct env_keep *keep);
    /* Append what is kept under a name, durable. KIST_NOT_FOUND. May block:
     * for the time before a node answers anybody. */
    enum kist_status (*kept)(struct env *env, struct view name,
                             struct blob *out);

    /* Whether the store takes writes now. */
    enum store_state (*state)(struct env *env);

    void (*drop)(struct env *env, struct env_drop *drop);
};

/* Every implementation's struct begins with this one. */
struct env {
    const struct env_ops *ops;
    uint64_t self; /* The incarnation of this node's data directory. */
};

#endif
