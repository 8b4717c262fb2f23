/*
 * anti_entropy - a node compares itself with each of its peers, for ever.
 *
 * Nothing else brings copies together for sure: hints and repairs are quicker
 * and may be lost. One exchange runs at a time, with one peer after the other,
 * so two rounds without failures are the bound within which copies are the
 * same, and twice the period of a round is what that takes. A peer that was
 * away does not wait for its turn.
 */
#ifndef KIST_REPLICATION_ANTI_ENTROPY_H
#define KIST_REPLICATION_ANTI_ENTROPY_H

#include "base/metric.h"
#include "replication/exchange.h"

struct anti_entropy_stats {
    struct counter exchanges;
    struct counter failures;
    struct counter leaves;  /* That differed. */
    struct counter fetched; /* Records that were missing here. */
    struct counter pushed;  /* Records that were missing there. */
    struct gauge good_ms;   /* The last one that did not fail (wall_ms). */
};

struct anti_entropy {
    /* Set by the caller. */
    struct seat *seat;  /* Kept. */
    uint64_t period_ms; /* Of a round: one exchange with each peer. */
    uint64_t timeout_ms;
    uint64_t settle_ms;
    /* One with this peer that began then (mono_ms) ended well. May be NULL. */
    void (*compared)(struct anti_entropy *entropy, uint64_t peer,
                     uint64_t began_ms);

    struct anti_entropy_stats stats;

    /* Its own. */
    struct env_timer timer;
    struct exchange exchange;
    uint64_t began_ms;
    uint64_t returned; /* Whose turn is out of turn; 0: nobody's. */
    unsigned turn;     /* The member that is next. */
    bool is_busy;
    bool is_stopped;
};

void anti_entropy_start(struct anti_entropy *entropy);

/*
 * This peer was away and may have missed more than hints bring: it is next, and
 * within the time that a write is under way. Of several the last one.
 */
void anti_entropy_expect(struct anti_entropy *entropy, uint64_t peer);

/* Begins nothing more; an exchange that runs ends by itself. */
void anti_entropy_stop(struct anti_entropy *entropy);

#endif
