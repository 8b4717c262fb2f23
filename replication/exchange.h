/*
 * exchange - two owners compare what both should have, and both catch up.
 *
 * From the large to the small: the sums of all partitions that the two share;
 * of the partitions that differ, the sums of their leaves; of the leaves that
 * differ, the keys and versions; and only of what one of them lacks, records.
 * What differs is looked at again after a while before anything is listed:
 * writes that were on their way are no difference.
 *
 * Both sides end with the newer record of each key. Whatever goes wrong ends
 * the exchange; what was brought over stays, as it is right by itself.
 */
#ifndef KIST_REPLICATION_EXCHANGE_H
#define KIST_REPLICATION_EXCHANGE_H

#include "replication/seat.h"

enum exchange_state {
    EXCHANGE_ROOTS,    /* The sums of partitions are asked for. */
    EXCHANGE_SETTLING, /* Waits for what is under way. */
    EXCHANGE_LEAVES,   /* The sums of a partition's leaves are asked for. */
    EXCHANGE_LISTING,  /* A leaf's keys are asked for. */
    EXCHANGE_FETCHING, /* The peer's newer records are asked for. */
    EXCHANGE_KEEPING,  /* They go into our store. */
    EXCHANGE_PUSHING,  /* Ours go to the peer. */
    EXCHANGE_OVER,
};

struct exchange_need {
    struct view key;        /* In one of the pages. */
    struct env_apply apply; /* Of a fetched record. */
    struct exchange *exchange;
};

struct exchange {
    /* Set by the caller, who keeps all of it until done. */
    uint64_t peer; /* Incarnation. */
    uint64_t timeout_ms;
    uint64_t settle_ms; /* Longer than a write is under way. */
    void (*done)(struct exchange *exchange);

    /* Results. */
    enum kist_status status; /* KIST_OK: both have the same, or had. */
    unsigned compared;       /* Partitions. */
    unsigned differed;       /* Leaves. */
    unsigned fetched;        /* Records that we lacked. */
    unsigned pushed;         /* Records that the peer lacked. */

    /* Its own. */
    struct seat *seat;
    enum exchange_state state;
    unsigned partition;     /* The next one that is not compared. */
    unsigned char *differs; /* A partition each, of all. */
    uint64_t leaves;        /* Of the partition at hand: a bit for each. */
    struct env_part part;   /* Partition and leaf at hand. */
    struct blob after;      /* The last key of it that is compared. */
    bool is_last_page;
    struct blob here, there; /* A page of entries of each. */
    struct exchange_need fetch[FRAME_PAGE_MAX], push[FRAME_PAGE_MAX];
    unsigned fetch_count, push_count;
    struct blob records; /* The answer that holds what was fetched. */
    unsigned waiting;    /* Records that are not in our store yet. */
    struct env_call call;
    struct blob message;
    struct env_timer timer;
};

/* Begin. KIST_INVALID: no such member. KIST_NO_MEMORY. No callback then. */
KIST_CHECKED enum kist_status exchange_start(struct exchange *exchange,
                                             struct seat *seat);

#endif
