/*
 * listing - the keys of some parts of the records and their versions, a page at
 * a time, and what two owners' pages of the same parts say.
 *
 * A page has the keys of as many parts as it has room for, in the order that
 * everybody lists them in: by hash, then by bytes. Parts follow each other in
 * that order, too. So it costs as many pages as there are keys, and not as
 * there are parts: most of a large ring's are small. Of two pages only what
 * lies within both can be compared; the next pages go on there.
 */
#ifndef KIST_REPLICATION_LISTING_H
#define KIST_REPLICATION_LISTING_H

#include "replication/frame.h"

struct listing_page {
    struct frame_entry entries[FRAME_PAGE_MAX];
    unsigned count;
};

/*
 * Append the entries of one more part, from the first key behind `after` on,
 * as far as the page goes. *count is that of the page, and 0 before the first.
 * Failures as env_ops.list says.
 */
KIST_CHECKED enum kist_status listing_add(struct env *env, struct env_part part,
                                          struct view after, struct blob *out,
                                          unsigned *count);

/* Borrows bytes. KIST_CORRUPT: no page of so many keys, in order. */
KIST_CHECKED enum kist_status listing_read(struct view bytes, unsigned count,
                                           struct listing_page *out_page);

/*
 * Cut both to what lies within both. False: they had all that there is. Else
 * *out_end is the key behind which the next pages go on.
 */
KIST_CHECKED bool listing_cut(struct listing_page *here,
                              struct listing_page *there, struct view *out_end);

/* Pages that were cut: the keys of which one side has nothing as new. */
struct listing_visitor {
    void *ctx;
    void (*newer_here)(void *ctx, struct view key);
    void (*newer_there)(void *ctx, struct view key);
};

void listing_compare(const struct listing_page *here,
                     const struct listing_page *there,
                     const struct listing_visitor *visitor);

#endif
