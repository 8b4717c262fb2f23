/*
 * import - POST /admin/import: records from NDJSON, as its lines come.
 *
 *     received --> filling          on the loop
 *                    | full, or the body ended
 *                  lines --> operations, values into files    on the pool
 *                              |
 *                  the commit, or the owners of the keys
 *
 * While that is under way the next lines fill, and then the connection is
 * suspended: an import of any length takes a few MiB of --body-memory, and is
 * no faster than the disk. What a cut import has applied stays; to send it
 * again does no harm with mode=merge. One at a time.
 *
 * Threads: all on the loop.
 */
#ifndef KIST_API_IMPORT_H
#define KIST_API_IMPORT_H

#include "base/bytes.h"

struct exchange;
struct import;
struct request;

/* For the route: begin, before the body is read. False: it has replied why
 * not. */
KIST_CHECKED bool import_admit(struct request *request);

/*
 * How many of bytes were taken. Fewer than all: the connection is suspended
 * until there is room for the rest.
 */
size_t import_take(struct import *import, struct view bytes);

/* It cannot go on; import_refuse() replies why, and where it stopped. */
bool import_is_stopped(const struct import *import);
void import_refuse(struct import *import, struct request *request);

/* The handlers, once the body is whole; and of GET. */
void import_post(struct request *request);
void import_get(struct request *request);

/* The request is over. Takes NULL. */
void import_close(struct import *import);

#endif
