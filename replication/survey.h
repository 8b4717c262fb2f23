/*
 * survey - how far everybody is with what a change of the members moves.
 *
 * Those to whom something moves are asked, all at once; who does not answer in
 * time is not waited for.
 *
 * Threads: the seat's env's.
 */
#ifndef KIST_REPLICATION_SURVEY_H
#define KIST_REPLICATION_SURVEY_H

#include "replication/seat.h"

struct survey;

/* One to whom something moves. */
struct survey_member {
    unsigned number; /* In the ring. */
    bool has_answered;
    struct frame_moved moved; /* If so. */

    /* Its own. */
    struct survey *survey;
    struct env_call call;
    struct blob message;
};

struct survey {
    /* Set by the caller, who keeps all of it until done. */
    uint64_t timeout_ms;
    void (*done)(struct survey *survey);

    /* Results, until survey_clear(). */
    const struct ring *ring; /* A share. */
    struct survey_member *members;
    unsigned count; /* 0: no change is pending. */

    /* Its own. */
    unsigned out;
    struct env_timer timer;
};

/*
 * Begin, at a seat with a ring. KIST_NO_MEMORY: done is not called. Ends in
 * survey_clear() in any case.
 */
KIST_CHECKED enum kist_status survey_start(struct survey *survey,
                                           struct seat *seat);

/* Done, or not started. */
void survey_clear(struct survey *survey);

#endif
