/*
 * copies - how many copies a request is about, and how many it reached.
 *
 *     ?n=  copies of the value that take part    one, quorum, all, or a number
 *     ?r=  copies that are asked for it          of them
 *     ?w=  copies that have it, durable          of them
 *
 * "quorum" is more than half: of the ring's copies for n, of n for r and w.
 * What a request does not say is as configured, at most n. Its answer says
 * what was achieved: Kist-Receipt: n=3, w=2, acked=3.
 */
#ifndef KIST_API_COPIES_H
#define KIST_API_COPIES_H

#include "api/request.h"

struct copies {
    unsigned n, r, w;
};

/* On one node all are 1. False: the request is wrong, and got its reply. */
KIST_CHECKED bool copies_read(struct request *request,
                              struct copies *out_copies);

/*
 * For a read after a version, w of copies.n: what writes with the configured w
 * have on the first n owners at least. False as above: n is too small for it.
 */
KIST_CHECKED bool copies_after(struct request *request, struct copies *copies);

/* Whether this node is one of the first n owners of the request's key. */
bool copies_are_here(const struct request *request, unsigned n);

/* Kist-Receipt of a write, and of a read. */
void copies_write_receipt(struct request *request, const struct copies *copies,
                          unsigned acked);
void copies_read_receipt(struct request *request, const struct copies *copies,
                         unsigned answers);

#endif
