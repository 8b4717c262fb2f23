/*
 * key_quorum - a key_write in a cluster: to the owners of its key, until w of
 * them have it.
 *
 * The version is stamped first, for it is what a ttl counts from: so the same
 * request with the Kist-Version of an answer that did not know the outcome is
 * the same record, to the byte, and may be sent as often as it takes.
 *
 * Threads: the request's loop.
 */
#ifndef KIST_API_KEY_QUORUM_H
#define KIST_API_KEY_QUORUM_H

#include "api/key_write.h"
#include "storage/large_reference.h"

/*
 * Set quorum and now_ms of a new one. False: it cannot be written as asked,
 * and that was the reply.
 */
KIST_CHECKED bool key_quorum_prepare(struct key_write *key_write);

/* Boot and serial for the file of its large value (upload_file_finish()). */
struct large_reference key_quorum_file_name(const struct key_write *key_write);

/* The same of any write; cluster: of the ring (replication/ring.h). */
struct large_reference key_quorum_name(uint64_t cluster, struct view key,
                                       struct version version);

/* It is not written. If it has a file, nobody needs that for it. */
void key_quorum_give_up(const struct key_write *key_write);

/* Write it. The handler returns after it. */
void key_quorum_start(struct key_write *key_write);

/* Kist-Durable, Kist-Receipt, Kist-Superseded of a write that is done. */
void key_quorum_headers(struct key_write *key_write);

void key_quorum_free(struct key_quorum *quorum); /* Takes NULL. */

#endif
