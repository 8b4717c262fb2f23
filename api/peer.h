/*
 * peer - POST /peer/1: a message of another member, at --peer-listen.
 *
 * The body is a frame (replication/frame.h), and so is the answer. Who does
 * not show the cluster's secret gets 401 and nothing else; an answer of 200
 * does not say more than that a frame was read.
 */
#ifndef KIST_API_PEER_H
#define KIST_API_PEER_H

#include <stdbool.h>

struct request;

/* It shows the secret. False: it does not, and got its reply. */
bool peer_is_trusted(struct request *request);

void peer_receive(struct request *request);

#endif
