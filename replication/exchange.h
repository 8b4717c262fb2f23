/*
 * exchange - two owners compare what both should have, and both catch up.
 *
 * From the large to the small: the sums of all partitions that the two share;
 * of the partitions that differ, the sums of their leaves; of the leaves that
 * differ, the keys and versions; and only of what one of them lacks, records.
 * Of the partitions that differ many are looked through together, or each
 * would cost its own round trips (replication/batch.h): how long an exchange
 * takes depends on what is brought over, and not on the number of partitions.
 * What differs is looked at again after a while before anything is listed:
 * writes that were on their way are no difference.
 *
 * Both sides end with the newer record of each key. Whatever goes wrong ends
 * the exchange; what was brought over stays, as it is right by itself.
 *
 * A new owner (replication/transfer.h) fetches in the same way, but pushes
 * nothing, and no faster than it may: what two owners compare is what both own
 * by the current table, so nobody else fills a pending owner.
 */
#ifndef KIST_REPLICATION_EXCHANGE_H
#define KIST_REPLICATION_EXCHANGE_H

#include "replication/batch.h"
#include "replication/seat.h"

enum exchange_state {
    EXCHANGE_ROOTS,    /* The sums of partitions are asked for. */
    EXCHANGE_SETTLING, /* Waits for what is under way. */
    EXCHANGE_LEAVES,   /* The sums of a batch's leaves are asked for. */
    EXCHANGE_LISTING,  /* A page of its keys is asked for. */
    EXCHANGE_FETCHING, /* The peer's newer records are asked for. */
    EXCHANGE_KEEPING,  /* They go into our store. */
    EXCHANGE_PACING,   /* Waits: so much was enough for now. */
    EXCHANGE_BRINGING, /* Waits for files of large values that come to us. */
    EXCHANGE_PUSHING,  /* Ours go to the peer. */
    EXCHANGE_LENDING,  /* Waits for files that the peer fetches. */
    EXCHANGE_OVER,
};

struct exchange_need {
    struct view key;        /* In one of the pages. */
    struct env_apply apply; /* Of a fetched record. */
    bool is_coming;         /* But for its file, which is on its way. */
    struct exchange *exchange;
};

struct exchange {
    /* Set by the caller, who keeps all of it until done. */
    uint64_t peer; /* Incarnation. */
    uint64_t timeout_ms;
    uint64_t settle_ms; /* Longer than a write is under way. */
    void (*done)(struct exchange *exchange);

    /*
     * Only to fetch: which partitions; and one was looked through, and we have
     * all that the peer had of it, so many records of that since now. NULL:
     * both catch up in all that both own.
     */
    bool (*wants)(struct exchange *exchange, unsigned partition);
    void (*has)(struct exchange *exchange, unsigned partition,
                unsigned fetched);
    uint64_t bytes_per_s; /* That are fetched; 0: any number. */

    /* Results. */
    /*
     * KIST_OK: both have the same, or had. KIST_IO: no answer. KIST_NOT_FOUND:
     * another node is where the peer was. KIST_CONFLICT: another ring, or busy,
     * or a file could not be brought.
     */
    enum kist_status status;
    unsigned compared; /* Partitions. */
    unsigned differed; /* Leaves. */
    unsigned fetched;  /* Records that we lacked. */
    uint64_t bytes;    /* Of what was fetched. */
    unsigned pushed;   /* Records that the peer lacked. */

    /* Its own. */
    struct seat *seat;
    const struct ring *ring; /* A share. With another one, it is over. */
    enum exchange_state state;
    unsigned partition;     /* The next one that is not compared. */
    unsigned char *differs; /* A partition each, of all. */
    struct batch batch;     /* The partitions at hand. */
    struct blob after;      /* The last key of them that is compared. */
    bool is_last_page;
    struct blob here, there; /* A page of entries of each. */
    struct exchange_need fetch[FRAME_PAGE_MAX];
    struct view push[FRAME_PAGE_MAX]; /* Keys in one of the pages. */
    unsigned fetch_count, push_count;
    unsigned fetch_at, push_at; /* Before that, it is done. */
    unsigned at_hand;    /* So many from there on are asked for or pushed. */
    struct blob records; /* The answer that holds what was fetched. */
    unsigned waiting;    /* Records that are not in our store yet. */
    bool lacks_files;    /* One could not be brought: others are compared. */
    uint64_t file_bytes; /* Of the files that these records need. */
    uint64_t progress;   /* Of all files together, and the last time that was */
    uint64_t moved_ms;   /* another number. */
    struct env_call call;
    struct blob message;
    struct env_timer timer;
};

/* Begin. KIST_INVALID: no such member. KIST_NO_MEMORY. No callback then. */
KIST_CHECKED enum kist_status exchange_start(struct exchange *exchange,
                                             struct seat *seat);

#endif
