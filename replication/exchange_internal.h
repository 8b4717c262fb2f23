/*
 * exchange_internal - the steps of an exchange, each of which goes on to the
 * next: exchange.c compares, exchange_fetch.c brings over what this node
 * lacks, exchange_push.c what the peer does.
 */
#ifndef KIST_REPLICATION_EXCHANGE_INTERNAL_H
#define KIST_REPLICATION_EXCHANGE_INTERNAL_H

#include "replication/exchange.h"

/* A message of this kind, to which items are appended; and off with it. The
 * state says what its answer is for. It may end the exchange. */
void exchange_begin_message(struct exchange *exchange, enum frame_kind kind);
void exchange_send(struct exchange *exchange, enum exchange_state state,
                   unsigned items);

void exchange_finish(struct exchange *exchange, enum kist_status status);

/* Sums of another ring's partitions would be compared with ours. */
bool exchange_is_outdated(const struct exchange *exchange);

/*
 * Files of large values are on their way, ours or the peer's: begun just now,
 * or so far. It is over if nothing came for as long as a message may take.
 */
void exchange_files_begin(struct exchange *exchange);
void exchange_files_wait(struct exchange *exchange, enum exchange_state state,
                         uint64_t progress);

/* The page is compared, and everything that is newer there is here. */
void exchange_next_page(struct exchange *exchange);

/* What exchange->fetch has. exchange_push() is next. */
void exchange_fetch(struct exchange *exchange);
KIST_CHECKED enum kist_status exchange_fetch_read(struct exchange *exchange,
                                                  const struct frame *frame);
/* Files may have come meanwhile. */
void exchange_fetch_again(struct exchange *exchange);

/* What exchange->push has. exchange_next_page() is next. */
void exchange_push(struct exchange *exchange);
KIST_CHECKED enum kist_status exchange_push_read(struct exchange *exchange,
                                                 const struct frame *frame);
void exchange_push_again(struct exchange *exchange);

#endif
