/*
 * seats - how far each seat of a node is with what the node has decided.
 *
 * A node has a seat for each of its loops (replication/seat.h), and goes on to
 * another ring, or another floor, one seat after the other. Peers know but one
 * node: what it tells them of its rings and floors has to hold for all of its
 * seats. So each seat writes down here the newest phase, of all that the node
 * went through, by which everything is stored that the seat began before it.
 *
 * Threads: each seat's number is written by its own; anybody may read.
 */
#ifndef KIST_REPLICATION_SEATS_H
#define KIST_REPLICATION_SEATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SEATS_MAX 72

struct seats {
    _Atomic unsigned count;
    _Atomic uint64_t settled[SEATS_MAX]; /* A phase for each seat. */
};

/* All zero has no seats. One more, which is at no phase yet; its number. */
unsigned seats_enter(struct seats *seats);

/* Nothing that the seat began before this phase is on its way to the store. */
void seats_settle(struct seats *seats, unsigned number, uint64_t phase);

/* The seat begins nothing any more. */
void seats_leave(struct seats *seats, unsigned number);

/* Whether all of them are through with what was before this phase. */
bool seats_are_settled(const struct seats *seats, uint64_t phase);

#endif
