/*
 * purge - takes what is not needed any more out of a part of the records of a
 * node of a cluster, page by page.
 *
 * The dead go once they are below a floor, which all owners have agreed on;
 * everything goes of what has other owners now. The batch that takes a record
 * out takes it out of its leaf's sum, too (storage/replica_index.h).
 *
 * A page: a pool thread looks for such entries, and the loop hands their keys
 * to the commit, which decides by what is there then. The caller begins each
 * page, and so sets the pace.
 *
 * Threads: its loop.
 */
#ifndef KIST_STORAGE_PURGE_H
#define KIST_STORAGE_PURGE_H

#include "base/loop.h"
#include "storage/commit.h"
#include "storage/key_hash.h"

#define PURGE_PAGE 256 /* Records that a page may take out. */

struct purge_options {
    struct store *store; /* Kept, like the next two. */
    struct loop *loop;
    struct commit_lane *lane; /* loop's. */
    enum write_kind kind;     /* WRITE_PURGE or WRITE_DROP. */
    struct version floor;     /* Of WRITE_PURGE. */
    struct key_hash_range range;
    enum engine_sync sync; /* As clients' writes: storage/sweep.h. */
};

struct purge {
    /* Set by purge_open(), then read-only. */
    struct purge_options options;

    /* Results, for done. */
    enum kist_status status; /* Of the page; not KIST_OK: it can be repeated. */
    bool complete;           /* The whole range was looked at. */
    uint64_t removed;        /* Records, of all pages. */

    /* Its own. */
    void (*done)(struct purge *purge);
    bool busy;
    struct loop_work work;
    struct commit_group group;
    struct write *writes; /* PURGE_PAGE of them. */
    struct blob keys;     /* The bytes that writes[].key point to. */
    struct blob after;    /* Everything up to this key was looked at. */
    struct blob next;     /* The same once this page is done. */
    size_t looked_at;     /* Entries of this page. */
    bool is_last;         /* There is no entry behind this page. */
};

/* Copies options. KIST_NO_MEMORY. Ended by purge_close(), if KIST_OK. */
KIST_CHECKED enum kist_status purge_open(struct purge *purge,
                                         const struct purge_options *options);

/* Not while a page is under way. */
void purge_close(struct purge *purge);

/*
 * Begin a page; done is called on the loop when it is over, exactly once. Kept
 * until then. KIST_BUSY: the pool is full; done is not called. Not after it is
 * complete.
 */
KIST_CHECKED enum kist_status purge_page(struct purge *purge,
                                         void (*done)(struct purge *purge));

#endif
