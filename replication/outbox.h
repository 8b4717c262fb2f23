/*
 * outbox - the messages that wait for one peer, within a number of bytes.
 *
 * Four lanes, because none should wait for the others: pushes, fetches,
 * comparisons and pages, and what keeps the cluster together. A peer that is
 * dead or slow costs no more than the limit: what does not fit is refused at
 * once. The last lane has a few small messages at a time, which always fit:
 * how a member is must not be unknown because much is on its way to it.
 */
#ifndef KIST_REPLICATION_OUTBOX_H
#define KIST_REPLICATION_OUTBOX_H

#include "replication/parcel.h"

enum outbox_lane {
    OUTBOX_PUSHES,
    OUTBOX_FETCHES,
    OUTBOX_READS,
    OUTBOX_MEMBERS,
    OUTBOX_LANES,
};

struct outbox {
    size_t limit_bytes;
    size_t bytes;
    uint64_t expired; /* So many, ever. */
    struct outbox_queue {
        struct env_call *first;
        struct env_call **last;
    } lanes[OUTBOX_LANES];
};

void outbox_init(struct outbox *outbox, size_t limit_bytes);

/*
 * The call is kept until it is taken or done. False: there is no room for it.
 * Sets its deadline.
 */
KIST_CHECKED bool outbox_add(struct outbox *outbox, struct env_call *call,
                             uint64_t now_ms);

/* Of those that wait in the lane as many as fit, into an empty parcel. */
void outbox_take(struct outbox *outbox, enum outbox_lane lane,
                 struct parcel *parcel);

/* Tell those whose time is over. The earliest deadline of the others. */
uint64_t outbox_expire(struct outbox *outbox, uint64_t now_ms);

#endif
