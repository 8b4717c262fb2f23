/*
 * parcel - several messages to one peer, under way as one.
 *
 * Pushes and fetches to the same peer, of the same ring, become one frame with
 * the items of all; the answer is taken apart again, so that whoever sent a
 * message gets a frame that answers exactly it. A parcel of one message can be
 * of any kind.
 */
#ifndef KIST_REPLICATION_PARCEL_H
#define KIST_REPLICATION_PARCEL_H

#include "replication/frame.h"

#define PARCEL_BYTES (1u << 20) /* A larger message goes alone. */

struct parcel {
    struct blob body;
    unsigned items;
    unsigned count;   /* Of parts. */
    unsigned waiting; /* Parts whose call is not done. */
    struct parcel_part {
        struct env_call *call; /* NULL: it was done before the answer. */
        unsigned items;
    } parts[FRAME_ITEMS_MAX];
};

enum frame_kind parcel_kind_of(const struct env_call *call);

/* Room for another one? A call is kept until it is done or the parcel is. */
KIST_CHECKED bool parcel_add(struct parcel *parcel, struct env_call *call);

/*
 * No more parts: the body is a frame then, whose budget is the longest that
 * any of the calls has left. KIST_NO_MEMORY: there is no body.
 */
KIST_CHECKED enum kist_status parcel_seal(struct parcel *parcel,
                                          uint64_t now_ms);

/* What came of it, told to every call that waits. Leaves it empty. */
void parcel_finish(struct parcel *parcel, enum env_outcome outcome,
                   struct view answer);

/* Tell the calls whose time is over. The earliest deadline of the others. */
uint64_t parcel_expire(struct parcel *parcel, uint64_t now_ms,
                       enum env_outcome outcome);

#endif
