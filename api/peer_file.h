/*
 * peer_file - GET /peer/1/file/<reference>: a file of a large value, for
 * another member, at --peer-listen.
 *
 * The reference is that of the record (storage/large_reference.h), in 64 hex
 * digits: whoever asks knows size and hash, and checks what it gets. Range is
 * honoured, for who goes on with what another member began.
 */
#ifndef KIST_API_PEER_FILE_H
#define KIST_API_PEER_FILE_H

struct request;

void peer_file_send(struct request *request);

#endif
