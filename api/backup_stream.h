/*
 * backup_stream - GET /admin/backup: what the node holds now, as one file.
 *
 * Memory does not follow what is stored, and the client may be slow within
 * --response-timeout. What it costs meanwhile: storage/snapshot.h.
 */
#ifndef KIST_API_BACKUP_STREAM_H
#define KIST_API_BACKUP_STREAM_H

#include "api/request.h"

/* Replies, if only with the problem. */
void backup_stream_reply(struct request *request);

#endif
