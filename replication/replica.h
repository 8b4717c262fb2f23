/*
 * replica - a node as its peers see it: their frames answered from its store.
 *
 * A frame is refused as a whole, with nothing begun, if it was meant for
 * another incarnation, comes from another ring, or is late; otherwise each of
 * its items has its own result. Every frame may come twice.
 */
#ifndef KIST_REPLICATION_REPLICA_H
#define KIST_REPLICATION_REPLICA_H

#include "replication/seat.h"

/* Where an answer goes. Kept until send was called. */
struct replica_caller {
    /* Exactly once; answer is borrowed, and empty if memory ran out. */
    void (*send)(struct replica_caller *caller, struct view answer);
};

/*
 * An answer to this frame, by the ring of now: begun, its items appended by the
 * caller, and sent, which ends it. Or refused, as a whole.
 */
void replica_begin_answer(const struct seat *seat, const struct frame *frame,
                          enum frame_status status, struct blob *out);
void replica_send_answer(struct replica_caller *caller, unsigned items,
                         struct blob *answer);
void replica_refuse(const struct seat *seat, const struct frame *frame,
                    enum frame_status status, struct replica_caller *caller);

/* Borrows message. The answer may be sent before this returns, or later. */
void replica_receive(struct seat *seat, struct view message,
                     struct replica_caller *caller);

#endif
